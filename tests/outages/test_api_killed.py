"""`kill -9` of the API between a commit and its answer: the client's retry with its key gets the booking."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from api import opening
from pitstop.devstack.stackfile import Stack
from pitstop.postgres.inbox import PostgresInbox
from pitstop.postgres.pool import open_pool
from tests.support.databases import fresh_database
from tests.support.people import Customer
from tests.support.processes import environment, serving, settings, until_live, uvicorn_process
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.sweep import sweep
from tests.support.webhooks import event_about


@asynccontextmanager
async def _doomed(stack: Stack, point: str) -> AsyncIterator[str]:
    """An API process that ends at this point; gives its URL, and sees that it did end there."""
    async with uvicorn_process(environment(stack) | {"CRASH_AT": point}, "tests.support.crashing_api:app") as running:
        process, url = running
        await until_live(url)
        yield url
        assert await asyncio.wait_for(process.wait(), 30) == -9


@pytest.mark.parametrize(
    "point",
    ["desk.open:before", "desk.open:after", "engine.hold:before", "engine.hold:after", "desk.booking:after"],
)
async def test_the_retry_has_the_booking(
    point: str,
    stack: Stack,
    customer: Customer,
    rival: Customer,
    shop: Shop,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    key, body = str(uuid4()), customer.request(shop, shop.start())
    async with _doomed(stack, point) as url:
        customer.api_url = url
        with pytest.raises(httpx.TransportError):
            await customer.post(body, key)
    customer.api_url = stack.api_url
    answer = await customer.post(body, key)
    assert answer.status_code in (200, 201), answer.text
    booking = answer.json()
    assert booking["status"] == "awaiting_payment"
    assert (await rival.post(rival.request(shop, shop.start()))).status_code == 409
    for table in ("slot_reservations", "payments"):
        rows = await database.fetchval(f"SELECT count(*) FROM {table} WHERE booking_id = $1", booking["id"])  # noqa: S608
        assert rows == 1, table
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")


async def test_control_unless_the_id_comes_from_the_key_the_retry_is_refused(
    stack: Stack, customer: Customer, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own hold, which the first try had got before it was killed."""
    key, body = str(uuid4()), customer.request(shop, shop.start())
    async with _doomed(stack, "engine.hold:after") as url:
        customer.api_url = url
        with pytest.raises(httpx.TransportError):
            await customer.post(body, key)
    monkeypatch.setattr(opening, "booking_id", lambda caller, key: uuid4())
    async with serving(settings(stack)) as customer.api_url:
        retry = await customer.post(body, key)
    assert (retry.status_code, retry.json()["code"]) == (409, "slot_unavailable")


async def test_a_stored_event_is_to_be_applied_until_it_was(stack: Stack, shop: Shop) -> None:
    """Stripe tells again what an API that was killed has stored: that it is known already does not make it done."""
    told = json.loads(event_about({"id": str(uuid4()), "payment": {"payment_intent_id": "pi_1"}}, shop))
    told["type"] = "payment_intent.canceled"
    # Of its own, where no sweep looks.
    async with fresh_database(stack) as urls, open_pool(urls.api, 1, "test") as pool:
        inbox = PostgresInbox(pool)
        assert [await inbox.store(told) for _ in range(2)] == [True, True]
        await inbox.mark_applied(told["id"], "signalled")
        assert await inbox.store(told) is False


async def test_a_request_that_is_never_made_again_leaves_nothing(
    stack: Stack, customer: Customer, rival: Customer, shop: Shop, temporal: Client, database: Any
) -> None:
    """Between the record and the hold nothing is held: others have the slot, and the sweep forgets the record.

    Not at once, however far it looks ahead: whoever asks now may be answered still.
    """
    async with _doomed(stack, "desk.open:after") as url:
        customer.api_url = url
        with pytest.raises(httpx.TransportError):
            await customer.post(customer.request(shop, shop.start()))
    customer.api_url = stack.api_url
    await rival.book(shop, shop.start())
    await sweep(temporal, stack, overdue=-timedelta(minutes=20))
    of_theirs = "SELECT count(*) FROM bookings WHERE customer_id = $1"
    assert await database.fetchval(of_theirs, customer.id) == 1
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        an_hour_ago = "UPDATE bookings SET created_at = created_at - interval '1 hour' WHERE customer_id = $1"
        await connection.execute(an_hour_ago, customer.id)
    await sweep(temporal, stack)
    assert (await customer.get("/v1/bookings")).json()["items"] == []


@pytest.mark.parametrize(
    "point", ["inbox.store:before", "inbox.store:after", "engine.signal_payment:after", "inbox.mark_applied:after"]
)
async def test_a_webhook_is_applied_once(
    point: str, stack: Stack, customer: Customer, shop: Shop, stripe: StripeControl, temporal: Client
) -> None:
    """Stripe sends again what was not acknowledged; what was stored and not applied is the sweep's."""
    booking = await customer.book(shop, shop.start())
    async with _doomed(stack, point) as url:
        rule = await stripe.endpoint(f"{url}/webhooks/stripe", stack.stripe_webhook_secret)
        await customer.pay(booking)
    [event] = await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.succeeded")
    await stripe.remove(rule)
    assert 204 in await stripe.deliver(event["id"])
    await sweep(temporal, stack)
    confirmed = await customer.sees(booking, "confirmed", "mail_sent")
    assert [entry["event"] for entry in confirmed["timeline"]].count("confirmed") == 1
    assert await customer.subjects() == ["Confirmed"]
