"""The Temporal Schedules: of the backstop, and of the seals over the audit log."""

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
from pitstop.contracts.privacy import SealOrder
from pitstop.gateways.temporal_engine import spans_of
from pitstop.settings import Settings

BATCH = 500
# Entries that one seal covers, roughly; the next one covers the rest.
SEALED_AT_ONCE = 5_000


def _sweep(settings: Settings) -> Schedule:
    overdue = timedelta(seconds=settings.hold_grace_seconds + settings.sweep_interval_seconds)
    order = SweepOrder(batch=BATCH, overdue=overdue, spans=spans_of(settings))
    action = ScheduleActionStartWorkflow(
        names.SWEEP_WORKFLOW, order, id=schedule_id(settings), task_queue=settings.task_queue
    )
    return _every(settings.sweep_interval_seconds, action)


def _seal(settings: Settings) -> Schedule:
    action = ScheduleActionStartWorkflow(
        names.SEAL_WORKFLOW,
        SealOrder(most=SEALED_AT_ONCE),
        id=seal_schedule_id(settings),
        task_queue=settings.task_queue,
    )
    return _every(settings.audit_seal_interval_seconds, action)


def _every(seconds: float, action: ScheduleActionStartWorkflow) -> Schedule:
    interval = timedelta(seconds=seconds)
    return Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=interval),
    )


def schedule_id(settings: Settings) -> str:
    return f"{names.SWEEP_SCHEDULE}/{settings.task_queue}"


def seal_schedule_id(settings: Settings) -> str:
    return f"{names.SEAL_SCHEDULE}/{settings.task_queue}"


async def keep_sweeping(client: Client, settings: Settings) -> None:
    """Sees to it that the schedule exists, with the present settings. Workers that start together agree."""
    await _keep(client, schedule_id(settings), _sweep(settings))


async def keep_sealing(client: Client, settings: Settings) -> None:
    """As `keep_sweeping`, for the seals over the audit log."""
    await _keep(client, seal_schedule_id(settings), _seal(settings))


async def _keep(client: Client, id: str, wanted: Schedule) -> None:
    try:
        await client.create_schedule(id, wanted)
    except ScheduleAlreadyRunningError:

        async def replace(_: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(schedule=wanted)

        await client.get_schedule_handle(id).update(replace)
