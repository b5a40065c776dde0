"""The Temporal Schedule of the backstop."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from pitstop.contracts import names
from pitstop.contracts.booking import SweepOrder
from pitstop.gateways.temporal_engine import spans_of
from pitstop.settings import Settings

BATCH = 500


def sweep_order(settings: Settings) -> SweepOrder:
    overdue = timedelta(seconds=settings.hold_grace_seconds + settings.sweep_interval_seconds)
    return SweepOrder(batch=BATCH, overdue=overdue, spans=spans_of(settings))


def _schedule(settings: Settings) -> Schedule:
    order = sweep_order(settings)
    interval = timedelta(seconds=settings.sweep_interval_seconds)
    return Schedule(
        action=ScheduleActionStartWorkflow(
            names.SWEEP_WORKFLOW, order, id=schedule_id(settings), task_queue=settings.task_queue
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=interval),
    )


def schedule_id(settings: Settings) -> str:
    return f"{names.SWEEP_SCHEDULE}/{settings.task_queue}"


async def keep_sweeping(client: Client, settings: Settings) -> None:
    """Sees to it that the schedule exists, with the present settings. Workers that start together agree."""
    wanted = _schedule(settings)
    try:
        await client.create_schedule(schedule_id(settings), wanted)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(schedule_id(settings))

        async def replace(_: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(schedule=wanted)

        await handle.update(replace)
