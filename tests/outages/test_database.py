"""PostgreSQL away from the API: everything that needs it answers 503, soon, and all goes on when it is back."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.gate import Gate, Outage, gate, through
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl

# As many callers at once as there are connections, twice over: nobody waits for those before.
_CALLERS = 8


@pytest.fixture
async def away(stack: Stack, customer: Customer) -> AsyncIterator[Gate]:
    """The gate between PostgreSQL and an API of the test's own."""
    async with gate(stack.api_database_url) as before:
        url = through(stack.api_database_url, before)
        async with serving(settings(stack, api_database_url=url, database_pool_size=4)) as api:
            customer.api_url = api
            yield before


@pytest.mark.parametrize("outage", ["refuses", "hangs"])
async def test_postgresql_away(
    outage: Outage,
    away: Gate,
    stack: Stack,
    customer: Customer,
    shop: Shop,
    stripe: StripeControl,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    booking = await customer.book(shop, shop.start())
    await stripe.webhooks("drop", times=None)
    await stripe.endpoint(f"{customer.api_url}/webhooks/stripe", stack.stripe_webhook_secret)
    await customer.pay(booking)
    [event] = await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.succeeded")
    key, body = str(uuid4()), customer.request(shop, shop.start(days=5))
    await away.close(outage)

    refusals = await asyncio.gather(
        customer.post(body, key),
        customer.get(f"/v1/bookings/{booking['id']}"),
        customer.get("/v1/bookings"),
        *(customer.get("/v1/services") for _ in range(_CALLERS)),
    )
    for refused in refusals:
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert refused.headers["Retry-After"]
    page = await customer.http.get(booking["manage_url"].replace(stack.api_url, customer.api_url))
    assert (page.status_code, page.headers["Retry-After"]) == (503, refusals[0].headers["Retry-After"])
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Reload this page" in page.text
    ready = await customer.http.get(f"{customer.api_url}/health/ready")
    assert (ready.status_code, ready.json()["dependencies"]["postgres"]) == (503, "unavailable")
    assert 503 in await stripe.deliver(event["id"])
    assert await database.fetchval("SELECT count(*) FROM webhook_inbox WHERE event_id = $1", event["id"]) == 0

    await away.open()
    opened = await customer.post(body, key)
    assert opened.status_code == 201, opened.text
    assert 204 in await stripe.deliver(event["id"])
    await customer.sees(booking, "confirmed", "mail_sent")
    assert await database.fetchval("SELECT count(*) FROM bookings WHERE mechanic_id = $1", shop.mechanic_id) == 2


async def test_postgresql_lost_while_a_booking_is_made(
    away: Gate, customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """Whatever became of the first try, the client's retry with its key has one booking."""
    key, body = str(uuid4()), customer.request(shop, shop.start())
    first = asyncio.create_task(customer.post(body, key))
    await _until_on_record(database, shop)
    await away.close("refuses")
    lost = await first
    assert lost.status_code in (201, 503), lost.text
    await away.open()
    found = await customer.post(body, key)
    assert found.status_code in (200, 201), found.text
    assert await database.fetchval("SELECT count(*) FROM bookings WHERE mechanic_id = $1", shop.mechanic_id) == 1
    assert await database.fetchval("SELECT count(*) FROM payments WHERE booking_id = $1", found.json()["id"]) == 1


async def _until_on_record(database: "asyncpg.Pool[asyncpg.Record]", shop: Shop) -> None:
    for _ in range(10_000):
        if await database.fetchval("SELECT count(*) FROM bookings WHERE mechanic_id = $1", shop.mechanic_id):
            return
    raise AssertionError("the request did not get as far as the database")


async def test_readiness_while_many_ask(away: Gate, customer: Customer) -> None:
    """The probe of an orchestrator is not held up by those who wait for the database."""
    await away.close("hangs")
    waiting = [asyncio.create_task(customer.get("/v1/services")) for _ in range(_CALLERS)]
    await asyncio.sleep(0.2)
    live = await customer.http.get(f"{customer.api_url}/health/live", timeout=httpx.Timeout(2))
    assert live.status_code == 200
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {503}
