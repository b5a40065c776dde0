"""Temporal Schedules: what is started again and again, whichever workers come and go."""

from datetime import timedelta
from typing import Any

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


async def keep_starting(
    client: Client, schedule_id: str, workflow: str, order: Any, task_queue: str, every: timedelta
) -> None:
    """Sees to it that the schedule exists, as it is given here. Workers that start together agree.

    While one runs no second one is started; what was missed for longer than `every` is let go.
    """
    wanted = Schedule(
        action=ScheduleActionStartWorkflow(workflow, order, id=schedule_id, task_queue=task_queue),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )
    try:
        await client.create_schedule(schedule_id, wanted)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(schedule_id)

        async def replace(_: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(schedule=wanted)

        await handle.update(replace)
