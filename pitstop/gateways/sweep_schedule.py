"""The Temporal Schedule of the backstop."""

from datetime import timedelta

from temporalio.client import Client

from pitstop.contracts import names
from pitstop.contracts.booking import SweepOrder
from pitstop.gateways.schedules import keep_starting
from pitstop.gateways.temporal_engine import spans_of
from pitstop.settings import Settings

BATCH = 500


def sweep_order(settings: Settings) -> SweepOrder:
    overdue = timedelta(seconds=settings.hold_grace_seconds + settings.sweep_interval_seconds)
    return SweepOrder(batch=BATCH, overdue=overdue, spans=spans_of(settings))


def schedule_id(settings: Settings) -> str:
    return f"{names.SWEEP_SCHEDULE}/{settings.task_queue}"


async def keep_sweeping(client: Client, settings: Settings) -> None:
    """Sees to it that the schedule exists, with the present settings."""
    every = timedelta(seconds=settings.sweep_interval_seconds)
    order = sweep_order(settings)
    await keep_starting(client, schedule_id(settings), names.SWEEP_WORKFLOW, order, settings.task_queue, every)
