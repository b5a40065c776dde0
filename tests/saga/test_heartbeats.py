"""A sign of life while an activity works: who is slow is not taken for dead, who is cancelled finishes what he does."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker

from activities.heartbeats import OFTEN, Heartbeats

_TIMEOUT = timedelta(seconds=1)
_WORK_SECONDS = 2.5


class _Slow:
    def __init__(self) -> None:
        self.begun, self.finished = 0, 0
        self.at_it = asyncio.Event()

    @activity.defn(name="slow")
    async def slow(self) -> str:
        self.begun += 1
        self.at_it.set()
        await asyncio.sleep(_WORK_SECONDS)
        self.finished += 1
        return "done"


@workflow.defn(name="OneSlowStep", sandboxed=False)
class _OneSlowStep:
    @workflow.run
    async def run(self) -> str:
        outcome: str = await workflow.execute_activity(
            "slow",
            result_type=str,
            start_to_close_timeout=timedelta(seconds=20),
            heartbeat_timeout=_TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=10)),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        return outcome


def _worker(temporal: Client, queue: str, steps: _Slow, interceptors: list[Interceptor]) -> Worker:
    return Worker(
        temporal,
        task_queue=queue,
        workflows=[_OneSlowStep],
        activities=[steps.slow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=interceptors,
        max_heartbeat_throttle_interval=OFTEN,
        build_id="test",
    )


@pytest.mark.parametrize("beating", [True, False])
async def test_only_the_heartbeats_keep_a_slow_step_from_being_done_twice(temporal: Client, beating: bool) -> None:
    """The control: without them its first try is given up while it works."""
    queue, steps = f"beats-{uuid4()}", _Slow()
    async with _worker(temporal, queue, steps, [Heartbeats()] if beating else []):
        run = await temporal.start_workflow("OneSlowStep", id=queue, task_queue=queue)
        await asyncio.wait([asyncio.ensure_future(run.result())])
    assert steps.begun == (1 if beating else 2)


async def test_a_cancelled_try_is_finished(temporal: Client) -> None:
    """A mail half sent may have arrived: what was done is known."""
    queue, steps = f"beats-{uuid4()}", _Slow()
    async with _worker(temporal, queue, steps, [Heartbeats()]):
        run = await temporal.start_workflow("OneSlowStep", id=queue, task_queue=queue)
        await steps.at_it.wait()
        await run.cancel()
        assert await run.result() == "done"
    assert (steps.begun, steps.finished) == (1, 1)
