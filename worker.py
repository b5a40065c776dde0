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
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.audit import AuditActivities
from activities.booking import PaymentActivities, ReservationActivities
from activities.changes import ChangeActivities
from activities.heartbeats import OFTEN, Heartbeats
from activities.notices import ByMail, ByText, NoticeActivities
from activities.privacy import ErasureActivities, SealActivities
from activities.supplements import SupplementActivities
from activities.sweep import SweepActivities
from activities.waitlist import AfterLettingGo, WaitlistActivities, WaitlistRounds
from pitstop import logs
from pitstop.audit import composition as audit
from pitstop.domain.limits import DeclineLimits
from pitstop.domain.notices import Channel
from pitstop.domain.quiet_hours import QuietHours
from pitstop.domain.reminder_plan import TextRules
from pitstop.gateways import temporal_engine
from pitstop.gateways.audit_schedule import keep_auditing
from pitstop.gateways.deployment import Deployment, worker_options
from pitstop.gateways.holiday_library import HolidayLibrary
from pitstop.gateways.letters import LetterWriter
from pitstop.gateways.manage_links import ManageLinks
from pitstop.gateways.pseudonyms import NumberNames
from pitstop.gateways.referral_links import ReferralLinks
from pitstop.gateways.seal_schedule import keep_sealing
from pitstop.gateways.short_texts import ShortTexts
from pitstop.gateways.smtp_mailer import SmtpMailer
from pitstop.gateways.stripe_payments import StripePayments, stripe_client
from pitstop.gateways.sweep_schedule import keep_sweeping
from pitstop.gateways.twilio_messages import twilio_messages
from pitstop.ports import PaymentGateway, TextMessenger
from pitstop.postgres.audit_log import PostgresSeals
from pitstop.postgres.changes import PostgresChanges
from pitstop.postgres.erasure import PostgresErasure
from pitstop.postgres.holidays import PostgresHolidays
from pitstop.postgres.inbox import PostgresInbox
from pitstop.postgres.notices import PostgresNotices
from pitstop.postgres.pool import Pool, open_pool
from pitstop.postgres.saga import PostgresSaga
from pitstop.postgres.supplements import PostgresSupplements
from pitstop.postgres.waitlist import PostgresWaitlist
from pitstop.settings import Settings, from_environment
from workflows.audit import AuditWorkflow
from workflows.booking import BookingWorkflow
from workflows.privacy import ErasureWorkflow, SealWorkflow
from workflows.sweep import SweepWorkflow
from workflows.waitlist import WaitlistWorkflow

_log = logging.getLogger("pitstop.worker")
WORKFLOW_TASKS = 20
CACHED_BOOKINGS = 300
STEPS_PER_CONNECTION = 8


@asynccontextmanager
async def at_work(client: Client, settings: Settings, interceptors: Sequence[Interceptor] = ()) -> AsyncIterator[None]:
    """A worker with its adapters that works inside the block, and finishes what it has begun at its end."""
    async with (
        open_pool(
            settings.worker_database_url,
            settings.database_pool_size,
            "pitstop-worker",
            settings.database_wait_seconds,
        ) as pool,
        audit.audit_pool(settings) as audit_pool,
        stripe_client(settings) as stripe,
        twilio_messages(settings) as messenger,
        _worker(
            client,
            pool,
            StripePayments(stripe),
            messenger,
            AuditActivities(audit.build(audit_pool, stripe, client, settings).passes),
            settings,
            interceptors,
        ),
    ):
        await _enter_service(client, settings)
        yield


async def _enter_service(client: Client, settings: Settings) -> None:
    """Takes the bookings over, or says that they are still those of another version."""
    deployment = Deployment(client, settings)
    if settings.versioning == "at_start":
        await deployment.take_over(settings.build)
    elif settings.versioning == "by_hand" and await deployment.current() != settings.build:
        advice = "no booking comes here until `python -m deploy.release current %s`"
        _log.warning(f"version %s is not the current one: {advice}", settings.build, settings.build)


def _worker(
    client: Client,
    pool: Pool,
    gateway: PaymentGateway,
    messenger: TextMessenger | None,
    auditing: AuditActivities,
    settings: Settings,
    interceptors: Sequence[Interceptor],
) -> Worker:
    texts = TextRules(QuietHours(settings.sms_quiet_from, settings.sms_quiet_until), settings.sends_texts)
    saga = PostgresSaga(pool, texts)
    reservations = ReservationActivities(saga)
    changes = ChangeActivities(PostgresChanges(pool, texts))
    payments = PaymentActivities(saga, gateway, _decline_limits(settings))
    supplements = SupplementActivities(PostgresSupplements(pool, texts), saga, gateway)
    notices = _notices(pool, messenger, settings)
    engine, waitlist = temporal_engine.TemporalEngine(client, settings), PostgresWaitlist(pool)
    offers = WaitlistActivities(waitlist, engine)
    sweep = SweepActivities(
        saga,
        PostgresInbox(pool),
        engine,
        WaitlistRounds(waitlist, engine, temporal_engine.waitlist_order(settings)),
        PostgresHolidays(pool, HolidayLibrary()),
        timedelta(seconds=settings.offline_flag_seconds),
    )
    erasure = ErasureActivities(PostgresErasure(pool), gateway)
    seals = SealActivities(PostgresSeals(pool))
    versions = worker_options(settings)
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[BookingWorkflow, SweepWorkflow, AuditWorkflow, WaitlistWorkflow, ErasureWorkflow, SealWorkflow],
        activities=[
            reservations.place_hold,
            reservations.withdraw,
            reservations.confirm,
            reservations.close_unpaid,
            reservations.call_off,
            changes.apply,
            changes.close,
            changes.offer,
            changes.read_terms,
            payments.request,
            payments.record_decline,
            payments.cancel,
            payments.refund,
            supplements.request,
            supplements.withdraw,
            supplements.void,
            supplements.settle,
            notices.send,
            notices.give_up,
            sweep.expire_lapsed_holds,
            sweep.forget_requests,
            sweep.drain_inbox,
            sweep.revive_stranded,
            offers.offer,
            auditing.audit,
            erasure.erase_records,
            erasure.erase_at_stripe,
            seals.seal,
        ],
        workflow_runner=SandboxedWorkflowRunner() if settings.workflow_sandbox else UnsandboxedWorkflowRunner(),
        # A dead worker's runs go to another one after this long; the engine's default of 10 s would dominate recovery.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.sticky_seconds),
        # A process works with one core: workflow tasks side by side only wait for each other, and one that does not get
        # its turn within 2 s is taken for a deadlock.
        max_concurrent_workflow_tasks=WORKFLOW_TASKS,
        # Some 70 KB each. A booking is busy for the minutes in which it is paid; then it waits for days, and is fetched
        # again when something happens.
        max_cached_workflows=CACHED_BOOKINGS,
        # Many more than there are connections, because most of them wait for Stripe or the mail server; and few enough
        # for each to get a connection well within its time limit, which begins when it does.
        max_concurrent_local_activities=STEPS_PER_CONNECTION * settings.database_pool_size,
        max_concurrent_activities=STEPS_PER_CONNECTION * settings.database_pool_size,
        max_heartbeat_throttle_interval=OFTEN,
        graceful_shutdown_timeout=timedelta(seconds=settings.drain_seconds),
        deployment_config=versions,
        # Of a worker without versions the engine's library would make a digest of all modules: seconds at each start.
        build_id=None if versions else settings.build,
        interceptors=[Heartbeats(), AfterLettingGo(waitlist, engine), *interceptors],
    )


def _notices(pool: Pool, messenger: TextMessenger | None, settings: Settings) -> NoticeActivities:
    store = PostgresNotices(pool, ManageLinks(settings).url, NumberNames(settings).of, ReferralLinks(settings).url)
    mail = ByMail(LetterWriter(settings), SmtpMailer(settings))
    text = ByText(store, ShortTexts(settings), messenger)
    return NoticeActivities(store, {Channel.EMAIL: mail, Channel.SMS: text})


def _decline_limits(settings: Settings) -> DeclineLimits:
    window = timedelta(seconds=settings.unpaid_window_seconds)
    return DeclineLimits(settings.declines_per_booking, settings.holds_per_card, window)


async def serve(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT, then finishes what it has begun."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    runtime = _measured(settings.worker_metrics_address) if settings.worker_metrics_address else None
    try:
        client = await temporal_engine.connect(settings, runtime=runtime)
    except RuntimeError as error:
        sys.exit(f"Temporal cannot be reached at {settings.temporal_address} ({error}). Start it, then this worker.")
    await keep_sweeping(client, settings)
    await keep_auditing(client, settings)
    await keep_sealing(client, settings)
    async with at_work(client, settings):
        _log.info("version %s works on task queue %s", settings.build, settings.task_queue)
        _tell_ready()
        await stop.wait()
        _log.info("draining")


def _measured(address: str) -> Runtime:
    """The engine's runtime with its metrics at this address, named and counted as Prometheus has it (SI units)."""
    metrics = PrometheusConfig(
        bind_address=address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )
    try:
        return Runtime(telemetry=TelemetryConfig(metrics=metrics))
    except (ValueError, RuntimeError) as error:
        sys.exit(f"PITSTOP_WORKER_METRICS_ADDRESS={address} cannot be listened on ({error}). Give a free host:port.")


def _tell_ready() -> None:
    path = os.environ.get("PITSTOP_WORKER_READY_FILE")
    if path:
        Path(path).touch()


if __name__ == "__main__":
    # Their clients log each call; so does the engine, with what it was for.
    logs.configure(quiet=("stripe", "httpx"))
    uvloop.run(serve(from_environment()))
