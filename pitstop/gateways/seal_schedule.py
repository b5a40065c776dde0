"""The Temporal Schedule of the seals over the audit log."""

from datetime import timedelta

from temporalio.client import Client

from pitstop.contracts import names
from pitstop.contracts.privacy import SealOrder
from pitstop.gateways.schedules import keep_starting
from pitstop.settings import Settings

# Entries that one seal covers, roughly; the next one covers the rest.
SEALED_AT_ONCE = 5_000


def schedule_id(settings: Settings) -> str:
    return f"{names.SEAL_SCHEDULE}/{settings.task_queue}"


async def keep_sealing(client: Client, settings: Settings) -> None:
    """Sees to it that the schedule exists, with the present settings."""
    every = timedelta(seconds=settings.audit_seal_interval_seconds)
    order = SealOrder(most=SEALED_AT_ONCE)
    await keep_starting(client, schedule_id(settings), names.SEAL_WORKFLOW, order, settings.task_queue, every)
