"""An erasure in the same moment as something else that happens to the customer's booking, in both orders.

Either it is refused as a whole, because a booking is open, or it is done as a whole; and what is owed is paid.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

import worker
from pitstop.devstack.stackfile import Stack
from tests.privacy.conftest import Words
from tests.support.crossing import crossing, in_order
from tests.support.people import Customer, Json
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.sweep import sweep
from tests.support.time import Clock

Database = Any
_LEFT = """
SELECT customer_name, customer_email, erased_at IS NOT NULL AS erased FROM bookings WHERE id = $1::uuid
"""


async def _erase(operator: Customer, customer: Customer) -> httpx.Response:
    return await operator.http.post(f"{customer.api_url}/v1/customers/{customer.id}/erasure", headers=operator.headers)


async def _untouched(database: Database, booking: Json, words: Words, customer: Customer) -> bool:
    row = await database.fetchrow(_LEFT, booking["id"])
    return tuple(row) == (words.name, customer.email, False)


async def _gone(database: Database, booking: Json) -> bool:
    return tuple(await database.fetchrow(_LEFT, booking["id"])) == ("", "", True)


async def _address_at_stripe(customer: Customer, booking: Json) -> str | None:
    headers = {"Authorization": f"Bearer {customer.stack.stripe_secret_key}"}
    url = f"{customer.stack.stripe_api_url}/v1/payment_intents/{booking['payment']['payment_intent_id']}"
    address: str | None = (await customer.http.get(url, headers=headers)).json()["receipt_email"]
    return address


def _open(answer: httpx.Response, booking: Json) -> bool:
    return (answer.status_code, booking["id"] in answer.text) == (409, True)


@pytest.fixture
async def expired(customer: Customer, shop: Shop, words: Words, clock: Clock, database: Database) -> Json:
    """A booking that has ended unpaid, by hand: its PaymentIntent can still be paid."""
    booking: Json = (await customer.post(words.body(customer.request(shop, shop.start())))).json()
    await clock.workflow(booking).terminate("by mistake")
    await database.execute("UPDATE slot_reservations SET status = 'expired' WHERE booking_id = $1", booking["id"])
    await database.execute("UPDATE bookings SET status = 'expired' WHERE id = $1", booking["id"])
    return booking


async def test_the_payment_came_first(
    customer: Customer,
    operator: Customer,
    words: Words,
    shop: Shop,
    expired: Json,
    stack: Stack,
    temporal: Client,
    stripe: StripeControl,
    database: Database,
) -> None:
    """While its refund is under way the booking is open; nothing is done by halves."""
    away = await stripe.fault("refund", "error_500", times=None)
    assert (await customer.pay(expired)).status_code == 200
    await sweep(temporal, stack)
    await _found(database, "SELECT id FROM bookings JOIN refunds ON booking_id = id WHERE customer_id = $1", customer)
    assert _open(await _erase(operator, customer), expired)
    assert await _untouched(database, expired, words, customer)
    await stripe.remove(away)
    refunded = await customer.sees(expired, "expired", "refund_issued")
    assert refunded["amount_refunded"] == shop.amount
    assert (await _erase(operator, customer)).status_code == 202
    assert await _gone(database, expired)


async def test_the_payment_came_after_it(
    customer: Customer,
    operator: Customer,
    words: Words,
    shop: Shop,
    expired: Json,
    stack: Stack,
    temporal: Client,
    clock: Clock,
    stripe: StripeControl,
    database: Database,
) -> None:
    """All of the money goes back, once, and brings nothing of the person back."""
    assert (await _erase(operator, customer)).status_code == 202
    assert (await customer.pay(expired)).status_code == 200
    await sweep(temporal, stack)
    refunded = await customer.sees(expired, "expired", "refund_issued")
    assert refunded["amount_refunded"] == shop.amount
    assert (await clock.workflow(expired).result())["status"] == "expired"
    assert len(await stripe.calls("/v1/refunds", expired["payment"]["payment_intent_id"])) == 1
    assert await _gone(database, expired)
    assert await _address_at_stripe(customer, expired) is None
    assert await customer.mails() == []


@pytest.mark.parametrize("erasure_first", [True, False])
async def test_a_paid_booking_is_called_off(
    customer: Customer,
    operator: Customer,
    words: Words,
    shop: Shop,
    clock: Clock,
    database: Database,
    erasure_first: bool,
) -> None:
    """Whoever comes first, the booking is open: it stands, or its money is owed."""
    booking: Json = (await customer.post(words.body(customer.request(shop, shop.start())))).json()
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    call_off, erase = clock.workflow(booking).cancel, lambda: _erase(operator, customer)
    if erasure_first:
        answer, _ = await in_order(database, booking["id"], erase, call_off)
    else:
        _, answer = await in_order(database, booking["id"], call_off, erase)
    assert _open(answer, booking), answer.text
    cancelled = await customer.sees(booking, "cancelled", "refund_issued")
    assert cancelled["amount_refunded"] == shop.amount
    assert await _untouched(database, booking, words, customer)
    assert (await _erase(operator, customer)).status_code == 202
    assert await _gone(database, booking)


@pytest.fixture
async def queue(stack: Stack, customer: Customer) -> AsyncIterator[str]:
    """A task queue that nobody works on yet; the customer's API uses it."""
    name = f"erasing-{uuid4()}"
    async with serving(settings(stack, task_queue=name)) as url:
        customer.api_url = url
        yield name


@pytest.mark.parametrize("erasure_first", [True, False])
async def test_a_hold_is_being_placed(
    customer: Customer,
    operator: Customer,
    words: Words,
    shop: Shop,
    stack: Stack,
    temporal: Client,
    clock: Clock,
    database: Database,
    queue: str,
    erasure_first: bool,
) -> None:
    """The request is on record before the slot is held: that is open, and the hold comes about as if nothing was."""
    booking = asyncio.create_task(customer.post(words.body(customer.request(shop, shop.start()))))
    record = await _found(database, "SELECT id FROM bookings WHERE customer_id = $1", customer)
    # The stack's own worker erases, and the test's places the hold.
    customer_there = Customer(customer.http, stack, stack.api_url, customer.token, customer.id, customer.email)
    async with AsyncExitStack() as places_holds:
        async with crossing(database, record) as meeting:
            for erases in (True, False) if erasure_first else (False, True):
                if erases:
                    erasing = asyncio.create_task(_erase(operator, customer_there))
                else:
                    await places_holds.enter_async_context(worker.at_work(temporal, settings(stack, task_queue=queue)))
                await meeting.comes()
        held = (await booking).json()
        assert _open(await erasing, held)
        assert await _untouched(database, held, words, customer)
        await clock.forward(held, timedelta(minutes=16))
        await customer.sees(held, "expired")
    assert (await _erase(operator, customer_there)).status_code == 202
    assert await _gone(database, held)


async def _found(database: Database, query: str, customer: Customer) -> Any:
    """What the query about the customer finds, as soon as it does."""
    for _ in range(600):
        if found := await database.fetchval(query, customer.id):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(query)
