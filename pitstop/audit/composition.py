"""What the audit is made of: the adapters, for the command line and for the worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import stripe
from temporalio.client import Client

from pitstop.audit.auditor import Auditor, Tempo
from pitstop.audit.passes import Passes
from pitstop.audit.ports import AuditImpossible
from pitstop.audit.repairs import Repairs
from pitstop.gateways import temporal_engine
from pitstop.gateways.stripe_ledger import StripeLedger
from pitstop.gateways.stripe_payments import stripe_client
from pitstop.gateways.temporal_remedies import TemporalRemedies
from pitstop.gateways.temporal_runs import TemporalRuns
from pitstop.postgres.audit import PostgresRecords
from pitstop.postgres.pool import Pool, open_pool
from pitstop.settings import Settings

# One for the snapshot, one beside it.
_CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class Office:
    """The audit with everything that it needs."""

    auditor: Auditor
    passes: Passes
    repairs: Repairs


def build(pool: Pool, payments: stripe.StripeClient, client: Client, settings: Settings) -> Office:
    """On a pool of the role `pitstop_audit`."""
    records, ledger = PostgresRecords(pool), StripeLedger(payments)
    auditor = Auditor(records, ledger, TemporalRuns(client), _tempo(settings))
    repairs = Repairs(records, ledger, TemporalRemedies(client, settings))
    return Office(auditor, Passes(auditor, records), repairs)


@asynccontextmanager
async def audit_pool(settings: Settings) -> AsyncIterator[Pool]:
    """Connects when first used."""
    async with open_pool(settings.audit_database_url, _CONNECTIONS, "pitstop-audit") as pool:
        yield pool


@asynccontextmanager
async def open_office(settings: Settings) -> AsyncIterator[Office]:
    """Raises `AuditImpossible` when Temporal cannot be reached."""
    try:
        client = await temporal_engine.connect(settings)
    except RuntimeError as error:
        raise AuditImpossible(f"Temporal at {settings.temporal_address}: {error}") from error
    async with audit_pool(settings) as pool, stripe_client(settings) as payments:
        yield build(pool, payments, client, settings)


def _tempo(settings: Settings) -> Tempo:
    return Tempo(
        settle=timedelta(seconds=settings.audit_settle_seconds),
        patience=timedelta(seconds=settings.audit_patience_seconds),
        hold_grace=timedelta(seconds=settings.hold_grace_seconds),
        closing=timedelta(seconds=settings.closing_seconds),
    )
