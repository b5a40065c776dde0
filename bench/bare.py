"""What bookings are measured against: the least that the same engine can be asked to do, without any option."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

TASK_QUEUE = "bare"
ANSWER_LIMIT = timedelta(seconds=60)
_ACTIVITY_LIMIT = timedelta(seconds=10)


@activity.defn(name="nothing")
async def nothing() -> None:
    """A no-op."""


@workflow.defn(name="BareHold")
class BareHold:
    """One update that is answered after one activity."""

    def __init__(self) -> None:
        self._done = False

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(nothing, start_to_close_timeout=_ACTIVITY_LIMIT)
        self._done = True
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update(name="hold")
    async def hold(self) -> None:
        await workflow.wait_condition(lambda: self._done)


@workflow.defn(name="BareSaga")
class BareSaga:
    """Two activities, a signal, three activities."""

    def __init__(self) -> None:
        self._paid = False

    @workflow.run
    async def run(self) -> None:
        await _activities(2)
        await workflow.wait_condition(lambda: self._paid)
        await _activities(3)

    @workflow.signal(name="paid")
    def paid(self) -> None:
        self._paid = True


async def _activities(count: int) -> None:
    for _ in range(count):
        await workflow.execute_activity(nothing, start_to_close_timeout=_ACTIVITY_LIMIT)


class BareClient:
    """Calls them directly by the Temporal client, in the process that also sends the HTTP requests."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def hold(self) -> None:
        """One update-with-start."""
        start = WithStartWorkflowOperation(
            BareHold.run,
            id=f"bare-hold/{uuid.uuid4()}",
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
        await self._client.execute_update_with_start_workflow(
            "hold", start_workflow_operation=start, rpc_timeout=ANSWER_LIMIT
        )

    async def start_saga(self) -> WorkflowHandle[BareSaga, None]:
        return await self._client.start_workflow(
            BareSaga.run, id=f"bare-saga/{uuid.uuid4()}", task_queue=TASK_QUEUE, execution_timeout=ANSWER_LIMIT * 5
        )

    async def finish_saga(self, saga: WorkflowHandle[BareSaga, None]) -> None:
        await saga.signal(BareSaga.paid)
        await asyncio.wait_for(saga.result(), ANSWER_LIMIT.total_seconds())


@contextmanager
def bare_worker(address: str, namespace: str) -> Iterator[int]:
    """A worker for them, with the defaults of the library, as a process of its own. Yields its id when it works."""
    from bench.stack import stop

    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bare_worker", address, namespace],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError("the bare worker did not start")
        yield process.pid
    finally:
        stop(process, patience_seconds=20)
