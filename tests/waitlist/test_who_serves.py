"""Of several task queues on one database one serves the waitlist."""

from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from pitstop.contracts import names
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.temporal_engine import TemporalEngine
from tests.support.processes import settings


async def _has_run(temporal: Client, queue: str) -> bool:
    try:
        await temporal.get_workflow_handle(names.waitlist_workflow_id(queue)).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


@pytest.mark.parametrize("serves", [True, False])
async def test_workers_of_another_task_queue_start_no_run(stack: Stack, temporal: Client, serves: bool) -> None:
    own = settings(stack, task_queue=f"second-{uuid4()}", serves_waitlist=serves)
    await TemporalEngine(temporal, own).wake_waitlist()
    assert await _has_run(temporal, own.task_queue) is serves
    if serves:
        await temporal.get_workflow_handle(names.waitlist_workflow_id(own.task_queue)).terminate("nobody works here")
