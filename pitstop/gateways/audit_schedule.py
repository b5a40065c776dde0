"""The Temporal Schedule of the audit."""

from datetime import timedelta

from temporalio.client import Client

from pitstop.contracts import names
from pitstop.contracts.audit import AuditOrder
from pitstop.gateways.schedules import keep_starting
from pitstop.settings import Settings


def schedule_id(settings: Settings) -> str:
    return f"{names.AUDIT_SCHEDULE}/{settings.task_queue}"


async def keep_auditing(client: Client, settings: Settings) -> None:
    """Sees to it that the schedule exists, with the present settings."""
    every = timedelta(seconds=settings.audit_interval_seconds)
    order = AuditOrder()
    await keep_starting(client, schedule_id(settings), names.AUDIT_WORKFLOW, order, settings.task_queue, every)
