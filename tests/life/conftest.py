"""A booking that is confirmed, and the mechanic and the operator who have to do with it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

import pytest
from temporalio.client import Client

from pitstop.audit.composition import audit_pool
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.stripe_ledger import StripeLedger
from pitstop.gateways.stripe_payments import stripe_client
from pitstop.gateways.temporal_runs import TemporalRuns
from pitstop.postgres.audit import PostgresRecords
from tests.life.meeting import Books
from tests.support.people import Customer, Issuer, Json
from tests.support.processes import settings
from tests.support.shop import Shop

Booked = Callable[..., Awaitable[Json]]


@pytest.fixture
async def booked(customer: Customer, shop: Shop) -> Booked:
    """Books and pays: `await booked(start)`."""

    async def book(start: datetime | None = None, by: Customer = customer, of: Shop = shop) -> Json:
        booking = await by.book(of, start or of.start())
        await by.pay(booking)
        return await by.sees(booking, "confirmed", "mail_sent")

    return book


@pytest.fixture
async def mechanic(issuer: Issuer, customer: Customer, shop: Shop) -> Customer:
    """The shop's mechanic, with a token of the mechanic's own."""
    token = await issuer.token(str(shop.mechanic_id), "mechanic")
    return replace(customer, token=token, id=shop.mechanic_id)


@pytest.fixture
async def operator(issuer: Issuer, customer: Customer) -> Customer:
    return replace(customer, token=await issuer.token(f"operator-{uuid4()}", "operator"), id=uuid4())


@pytest.fixture(scope="session")
async def books(stack: Stack, temporal: Client) -> AsyncIterator[Books]:
    """The audit, over the stack's own bookings."""
    own = settings(stack)
    async with audit_pool(own) as pool, stripe_client(own) as payments:
        yield Books(PostgresRecords(pool), StripeLedger(payments), TemporalRuns(temporal))
