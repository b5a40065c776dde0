"""The front desk: builds the adapters, registers workflows and activities, drains on SIGTERM. Run: python -m worker."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import uvloop
from temporalio.client import Client
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.booking import PaymentActivities, ReservationActivities
from activities.notices import NoticeActivities
from activities.privacy import AuditActivities, ErasureActivities
from activities.sweep import SweepActivities
from pitstop import logs
from pitstop.gateways import temporal_engine
from pitstop.gateways.letters import LetterWriter
from pitstop.gateways.manage_links import ManageLinks
from pitstop.gateways.smtp_mailer import SmtpMailer
from pitstop.gateways.stripe_payments import StripePayments, stripe_client
from pitstop.gateways.sweep_schedule import keep_sealing, keep_sweeping
from pitstop.ports import PaymentGateway
from pitstop.postgres.audit_log import PostgresSeals
from pitstop.postgres.erasure import PostgresErasure
from pitstop.postgres.inbox import PostgresInbox
from pitstop.postgres.notices import PostgresNotices
from pitstop.postgres.pool import Pool, open_pool
from pitstop.postgres.saga import PostgresSaga
from pitstop.settings import Settings
from workflows.booking import BookingWorkflow
from workflows.privacy import ErasureWorkflow, SealWorkflow
from workflows.sweep import SweepWorkflow

_log = logging.getLogger("pitstop.worker")


@asynccontextmanager
async def at_work(client: Client, settings: Settings, interceptors: Sequence[Interceptor] = ()) -> AsyncIterator[None]:
    """A worker with its adapters that works inside the block, and finishes what it has begun at its end."""
    async with (
        open_pool(settings.worker_database_url, settings.database_pool_size, "pitstop-worker") as pool,
        stripe_client(settings) as stripe,
        _worker(client, pool, StripePayments(stripe), settings, interceptors),
    ):
        yield


def _worker(
    client: Client, pool: Pool, gateway: PaymentGateway, settings: Settings, interceptors: Sequence[Interceptor]
) -> Worker:
    saga = PostgresSaga(pool)
    reservations = ReservationActivities(saga)
    payments = PaymentActivities(saga, gateway)
    notices = NoticeActivities(
        PostgresNotices(pool, ManageLinks(settings).url), LetterWriter(settings), SmtpMailer(settings)
    )
    sweep = SweepActivities(saga, PostgresInbox(pool), temporal_engine.TemporalEngine(client, settings))
    erasure = ErasureActivities(PostgresErasure(pool), gateway)
    audit = AuditActivities(PostgresSeals(pool))
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[BookingWorkflow, SweepWorkflow, ErasureWorkflow, SealWorkflow],
        activities=[
            reservations.place_hold,
            reservations.withdraw,
            reservations.confirm,
            reservations.close_unpaid,
            reservations.call_off,
            reservations.complete,
            payments.request,
            payments.record_decline,
            payments.cancel,
            payments.refund,
            notices.send,
            notices.give_up,
            sweep.expire_lapsed_holds,
            sweep.forget_requests,
            sweep.drain_inbox,
            sweep.revive_stranded,
            erasure.erase_records,
            erasure.erase_at_stripe,
            audit.seal,
        ],
        workflow_runner=SandboxedWorkflowRunner() if settings.workflow_sandbox else UnsandboxedWorkflowRunner(),
        # A dead worker's runs go to another one after this long; the engine's default of 10 s would dominate recovery.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.sticky_seconds),
        graceful_shutdown_timeout=timedelta(seconds=settings.drain_seconds),
        interceptors=interceptors,
    )


async def serve(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT, then finishes what it has begun."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    try:
        client = await temporal_engine.connect(settings)
    except RuntimeError as error:
        sys.exit(f"Temporal cannot be reached at {settings.temporal_address} ({error}). Start it, then this worker.")
    await keep_sweeping(client, settings)
    await keep_sealing(client, settings)
    async with at_work(client, settings):
        _log.info("working on task queue %s", settings.task_queue)
        _tell_ready()
        await stop.wait()
        _log.info("draining")


def _tell_ready() -> None:
    path = os.environ.get("PITSTOP_WORKER_READY_FILE")
    if path:
        Path(path).touch()


if __name__ == "__main__":
    # Their clients log each call; so does the engine, with what it was for.
    logs.configure(quiet=("stripe", "httpx"))
    uvloop.run(serve(Settings()))
