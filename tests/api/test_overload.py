"""Overload: what cannot be done now is refused before anything is written, and what is not to blame is served."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.api.conftest import problem_of
from tests.support.databases import Urls, fresh_database
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop, open_shop
from tests.support.webhooks import event_about, signed

_NOBODY = "127.0.0.1:1"
# Two bookings at once and two that wait, on four connections.
_TIGHT = {"bookings_at_once": 2, "bookings_waiting": 2, "bookings_patience_seconds": 0.3, "database_pool_size": 4}
_LOOSE = {"bookings_at_once": 1000, "reads_at_once": 1000, "webhooks_at_once": 1000}


@pytest.fixture(scope="module")
async def urls(stack: Stack) -> AsyncIterator[Urls]:
    async with fresh_database(stack) as fresh:
        yield fresh


@pytest.fixture(scope="module")
async def own(urls: Urls) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(urls.superuser, min_size=0, max_size=3) as pool:
        yield pool


@pytest.fixture(autouse=True)
async def nothing_written(own: "asyncpg.Pool[asyncpg.Record]") -> AsyncIterator[None]:
    """Neither what was shed nor what got through to an engine that is away has left anything."""
    yield
    assert await own.fetchval("SELECT count(*) FROM bookings") == 0


@dataclass
class Flood:
    """Bookings that all hang in the database, because somebody has locked their table."""

    url: str
    customer: Customer
    shop: Shop
    lock: Any
    bookings: list["asyncio.Task[httpx.Response]"]

    async def waiting(self, there: Callable[[dict[str, float]], bool]) -> None:
        for _ in range(400):
            if there(await lanes(self.customer.http, self.url)):
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(await lanes(self.customer.http, self.url))

    async def lifted(self) -> list[httpx.Response]:
        await self.lock.rollback()
        return await asyncio.gather(*self.bookings)


async def lanes(http: httpx.AsyncClient, url: str) -> dict[str, float]:
    """The figures of the API's lanes: `waiting bookings`, `running reads`, …"""
    lines = [line for line in (await http.get(f"{url}/metrics")).text.splitlines() if line.startswith("pitstop_lane_")]
    return {line.rpartition(" ")[0].removeprefix("pitstop_lane_"): float(line.rpartition(" ")[2]) for line in lines}


@asynccontextmanager
async def flooded(
    stack: Stack, urls: Urls, own: "asyncpg.Pool[asyncpg.Record]", customer: Customer, count: int, **changes: Any
) -> AsyncIterator[Flood]:
    app = settings(stack, api_database_url=urls.api, temporal_address=_NOBODY, **changes)
    async with serving(app) as url, own.acquire() as connection:
        shop = await open_shop(own)
        lock = connection.transaction()
        await lock.start()
        await connection.execute("LOCK TABLE bookings IN SHARE MODE")
        there = Customer(customer.http, stack, url, customer.token, customer.id)
        bookings = [asyncio.create_task(there.post(there.request(shop, shop.start(hours=2 * n)))) for n in range(count)]
        yield Flood(url, there, shop, lock, bookings)
        if not all(each.done() for each in bookings):
            await lock.rollback()
            await asyncio.gather(*bookings)


async def _webhook(flood: Flood, stack: Stack) -> httpx.Response:
    booking = {"id": str(uuid4()), "payment": {"payment_intent_id": "pi_1"}}
    body = event_about(booking, flood.shop)
    headers = {"Stripe-Signature": signed(body, stack.stripe_webhook_secret), "Content-Type": "application/json"}
    return await flood.customer.http.post(f"{flood.url}/webhooks/stripe", content=body, headers=headers)


async def test_a_flood_of_bookings_is_shed_and_starves_nobody(
    stack: Stack, urls: Urls, own: "asyncpg.Pool[asyncpg.Record]", customer: Customer
) -> None:
    async with flooded(stack, urls, own, customer, 8, **_TIGHT) as flood:
        await flood.waiting(lambda now: sum(n for name, n in now.items() if name.startswith("shed")) == 6)
        assert (await flood.customer.get("/v1/services")).status_code == 200
        assert (await flood.customer.get("/health/ready")).json()["dependencies"]["postgres"] == "ok"
        assert (await _webhook(flood, stack)).status_code == 204
        answers = await flood.lifted()
    codes = sorted(problem_of(each)["code"] for each in answers)
    assert codes == ["engine_unavailable"] * 2 + ["overloaded"] * 6
    assert all(each.status_code == 503 and int(each.headers["Retry-After"]) > 0 for each in answers)
    assert await own.fetchval("SELECT count(*) FROM webhook_inbox") == 1


async def test_control_without_lanes_of_their_own_all_wait_behind_the_bookings(
    stack: Stack, urls: Urls, own: "asyncpg.Pool[asyncpg.Record]", customer: Customer
) -> None:
    """The same flood without bounds: reads find no connection. Only the spare ones still answer webhooks."""
    loose = _LOOSE | {"database_pool_size": 4, "database_wait_seconds": 0.3}
    async with flooded(stack, urls, own, customer, 8, **loose) as flood:
        await flood.waiting(lambda now: now['running{lane="bookings"}'] == 4)
        assert (await flood.customer.get("/v1/services")).status_code == 503
        assert (await _webhook(flood, stack)).status_code == 204
        answers = await flood.lifted()
    assert {each.status_code for each in answers} == {503}
    assert "overloaded" not in [problem_of(each)["code"] for each in answers]


async def test_a_turn_is_waited_for(
    stack: Stack, urls: Urls, own: "asyncpg.Pool[asyncpg.Record]", customer: Customer
) -> None:
    patient = _TIGHT | {"bookings_patience_seconds": 60}
    async with flooded(stack, urls, own, customer, 4, **patient) as flood:
        await flood.waiting(lambda now: now['waiting{lane="bookings"}'] == 2)
        answers = await flood.lifted()
    assert [problem_of(each)["code"] for each in answers] == ["engine_unavailable"] * 4


async def test_who_has_gone_is_not_waited_for(
    stack: Stack, urls: Urls, own: "asyncpg.Pool[asyncpg.Record]", customer: Customer
) -> None:
    patient = _TIGHT | {"bookings_patience_seconds": 60}
    async with flooded(stack, urls, own, customer, 2, **patient) as flood:
        await flood.waiting(lambda now: now['running{lane="bookings"}'] == 2)
        late = flood.customer.request(flood.shop, flood.shop.start(hours=9))
        async with httpx.AsyncClient() as impatient:
            headers = flood.customer.headers | {"Idempotency-Key": "gone"}
            asked = asyncio.create_task(impatient.post(f"{flood.url}/v1/bookings", json=late, headers=headers))
            await flood.waiting(lambda now: now['waiting{lane="bookings"}'] == 1)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        await flood.waiting(lambda now: now['shed_total{lane="bookings",reason="gone"}'] == 1)
        assert (await lanes(flood.customer.http, flood.url))['waiting{lane="bookings"}'] == 0


async def test_a_body_that_does_not_come_keeps_no_place(stack: Stack) -> None:
    async with serving(settings(stack, bookings_at_once=1, bookings_waiting=0, body_seconds=0.5)) as url:
        address = httpx.URL(url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        head = f"POST /v1/bookings HTTP/1.1\r\nHost: {address.netloc.decode()}\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode())
        async with httpx.AsyncClient() as http:
            other = await http.post(f"{url}/v1/bookings", json={})
            assert other.status_code != 503
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in answer


async def test_a_head_that_does_not_come_keeps_no_connection(stack: Stack) -> None:
    """Neither one that says nothing, nor one that goes on for ever; who has been answered may ask again."""
    async with serving(settings(stack, header_seconds=0.5)) as url:
        host, port = httpx.URL(url).host, httpx.URL(url).port
        silent, unused = await asyncio.open_connection(host, port)
        dripping, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await dripping.readuntil(b'"ok"}')).startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET /health/live HTTP/1.1\r\n")
        dripped = asyncio.create_task(_drip(writer))
        assert await asyncio.wait_for(silent.read(), 20) == b""
        assert await asyncio.wait_for(dripping.read(), 20) == b""
        dripped.cancel()
        for each in (unused, writer):
            each.close()


async def test_a_head_without_end_is_cut_off(stack: Stack) -> None:
    async with serving(settings(stack, header_seconds=60)) as url:
        reader, writer = await asyncio.open_connection(httpx.URL(url).host, httpx.URL(url).port)
        writer.write(b"GET /health/live HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(20_000)))
        answer = b""
        with suppress(ConnectionResetError):  # what it had not read when it closed is lost, the answer perhaps too
            answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


async def _drip(writer: asyncio.StreamWriter) -> None:
    for number in range(1000):
        writer.write(f"X-{number}: y\r\n".encode())
        await asyncio.sleep(0.05)
