"""`kill -9` of the worker between any two steps: the booking still ends right, and nothing happens twice."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.forks import crashing_worker
from tests.support.people import Customer, events
from tests.support.processes import dies, environment, serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

_TASK_TIMEOUT = 2


@pytest.fixture
async def queue(stack: Stack, customer: Customer) -> AsyncIterator[str]:
    """A task queue that no worker but the test's own works on, and an API that puts the customer's bookings there."""
    name = f"crash-{uuid4()}"
    async with serving(settings(stack, task_queue=name, workflow_task_seconds=_TASK_TIMEOUT)) as url:
        customer.api_url = url
        yield name


@pytest.mark.parametrize(
    "point",
    [
        "place_hold:after",
        "request_payment:after",
        "confirm_booking:before",
        "confirm_booking:after",
        "send_notice:after",
    ],
)
async def test_killed_on_the_way_to_a_confirmed_booking(
    queue: str,
    point: str,
    stack: Stack,
    customer: Customer,
    shop: Shop,
    stripe: StripeControl,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    async with crashing_worker(environment(stack, task_queue=queue) | {"CRASH_AT": point}) as doomed:
        booking_call = asyncio.create_task(customer.book(shop, shop.start()))
        if point.startswith(("place_hold", "request_payment")):
            await dies(doomed, booking_call)
        else:
            await customer.pay(await booking_call)
            await dies(doomed)
    async with crashing_worker(environment(stack, task_queue=queue)):
        booking = await booking_call
        await customer.pay(booking)
        await customer.sees(booking, "confirmed", "mail_sent")
    assert await customer.subjects() == ["Confirmed"]
    for table in ("sessions", "slot_reservations", "payments"):
        rows = await database.fetchval(f"SELECT count(*) FROM {table} WHERE booking_id = $1", booking["id"])  # noqa: S608
        assert rows == 1, table
    created = await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.created")
    assert len(created) == 1


@pytest.mark.parametrize("point", ["cancel_payment:after", "close_unpaid:after"])
async def test_killed_on_the_way_to_an_expired_booking(
    queue: str, point: str, stack: Stack, customer: Customer, shop: Shop, clock: Clock
) -> None:
    async with crashing_worker(environment(stack, task_queue=queue) | {"CRASH_AT": point}) as doomed:
        booking = await customer.book(shop, shop.start())
        ahead = asyncio.create_task(clock.forward(booking, timedelta(minutes=16)))
        await dies(doomed)
    async with crashing_worker(environment(stack, task_queue=queue)):
        await ahead
        expired = await customer.sees(booking, "expired")
        assert expired["payment"]["status"] == "canceled"
        again = await customer.book(shop, shop.start())
        assert again["status"] == "awaiting_payment"


@pytest.mark.parametrize("point", ["call_off_booking:after", "refund_payment:after"])
async def test_killed_on_the_way_to_a_cancelled_booking(
    queue: str, point: str, stack: Stack, customer: Customer, shop: Shop, clock: Clock, stripe: StripeControl
) -> None:
    async with crashing_worker(environment(stack, task_queue=queue) | {"CRASH_AT": point}) as doomed:
        booking = await customer.book(shop, shop.start())
        await customer.pay(booking)
        await customer.sees(booking, "confirmed", "mail_sent")
        await clock.workflow(booking).cancel()
        await dies(doomed)
    async with crashing_worker(environment(stack, task_queue=queue)):
        cancelled = await customer.sees(booking, "cancelled", "refund_issued")
        assert cancelled["amount_refunded"] == shop.amount
        assert events(cancelled).count("cancelled") == 1
        await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    assert len(await stripe.events(booking["payment"]["payment_intent_id"], "charge.refunded")) == 1
    assert await customer.subjects() == ["Confirmed", "Cancelled"]
