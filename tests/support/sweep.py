"""A sweep at a moment of the test's choosing."""

from datetime import timedelta
from uuid import uuid4

from temporalio.client import Client

from pitstop.contracts import names
from pitstop.contracts.booking import SweepOrder, SweepReport
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.temporal_engine import spans_of
from tests.support.processes import settings


async def sweep(temporal: Client, stack: Stack, overdue: timedelta = timedelta(minutes=1)) -> SweepReport:
    """One sweep now, as the schedule starts them; a negative `overdue` looks at what will be overdue by then."""
    order = SweepOrder(batch=1000, overdue=overdue, spans=spans_of(settings(stack)))
    report: SweepReport = await temporal.execute_workflow(
        names.SWEEP_WORKFLOW, order, id=f"sweep-{uuid4()}", task_queue="pitstop", result_type=SweepReport
    )
    return report
