"""Stripe or the mail server away from the worker: the slot is not kept for nobody, and no mail is lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle

import worker
from pitstop.contracts import names
from pitstop.devstack.stackfile import Stack
from tests.support.gate import Gate, Outage, gate, through
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop


@dataclass
class Worker:
    stripe: Gate
    mail: Gate


@pytest.fixture
async def at_work(stack: Stack, temporal: Client, customer: Customer, rival: Customer) -> AsyncIterator[Worker]:
    """A worker of the test's own, which finds Stripe and the mail server behind gates, and an API that uses it."""
    async with gate(stack.stripe_api_url) as stripe, gate(f"127.0.0.1:{stack.smtp_port}") as mail:
        own = settings(
            stack,
            task_queue=f"outage-{uuid4()}",
            stripe_api_url=through(stack.stripe_api_url, stripe),
            smtp_port=mail.address.rpartition(":")[2],
            smtp_timeout_seconds=2,
            mail_activity_seconds=3,
            intent_patience_seconds=6,
        )
        async with worker.at_work(temporal, own), serving(own) as url:
            customer.api_url = rival.api_url = url
            yield Worker(stripe, mail)


@pytest.mark.parametrize("outage", ["refuses", "hangs"])
async def test_stripe_away_while_booking(
    outage: Outage,
    at_work: Worker,
    customer: Customer,
    rival: Customer,
    shop: Shop,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """The hold is released, the client is told, and its retry with the same key has the booking."""
    key, body = str(uuid4()), customer.request(shop, shop.start())
    await at_work.stripe.close(outage)
    refused = await customer.post(body, key)
    assert (refused.status_code, refused.json()["code"]) == (503, "payment_unavailable")
    assert refused.headers["Retry-After"]
    for table in ("bookings", "slot_reservations"):
        left = await database.fetchval(f"SELECT count(*) FROM {table} WHERE mechanic_id = $1", shop.mechanic_id)  # noqa: S608
        assert left == 0, table
    await at_work.stripe.open()
    booking = await customer.post(body, key)
    assert booking.status_code == 201, booking.text
    assert (await rival.post(rival.request(shop, shop.start()))).status_code == 409


@pytest.mark.parametrize("outage", ["refuses", "hangs"])
async def test_mail_server_away(outage: Outage, at_work: Worker, customer: Customer, shop: Shop) -> None:
    """The booking is confirmed without it; the mail goes out, once, when the server is back."""
    booking = await customer.book(shop, shop.start())
    await at_work.mail.close(outage)
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    assert await customer.subjects() == []
    await at_work.mail.open()
    await customer.sees(booking, "confirmed", "mail_sent")
    assert await customer.subjects() == ["Confirmed"]


async def test_mail_server_away_at_the_end(at_work: Worker, customer: Customer, shop: Shop, temporal: Client) -> None:
    """The money has gone back, and operators see that, however long the last mail has to be tried."""
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await at_work.mail.close("refuses")
    assert (await customer.ask(booking, "cancel")).status_code == 200
    await customer.waits_for(booking, lambda read: read["amount_awaiting_refund"] == 0, "the refund")
    run = temporal.get_workflow_handle(f"booking/{booking['id']}")
    shown = await shows(run, "cancelled")
    assert shown.status is WorkflowExecutionStatus.RUNNING
    await at_work.mail.open()
    await customer.sees(booking, "cancelled", "mail_sent")


async def shows(run: WorkflowHandle[Any, Any], status: str) -> WorkflowExecutionDescription:
    for _ in range(100):
        described = await run.describe()
        if described.typed_search_attributes[names.BOOKING_STATUS] == status:
            return described
        await asyncio.sleep(0.1)
    raise AssertionError(described.typed_search_attributes)
