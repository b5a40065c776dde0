"""Controls: a guard of the API is taken away, and what it guards against is seen to happen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from starlette.middleware.cors import CORSMiddleware

from api import composition, guard
from api.app import create_app
from api.patience import PatientProtocol
from pitstop.devstack.stackfile import Stack
from pitstop.postgres.pool import Pool, open_pool
from tests.api.test_browsers import SITE, told
from tests.support.databases import fresh_database
from tests.support.processes import serving, settings
from tests.support.shop import open_shop
from tests.support.webhooks import event_about, signed


async def _any_answer(stack: Stack) -> httpx.Response:
    transport = httpx.ASGITransport(app=create_app(settings(stack)))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        return await http.get("/v1/nothing")


@pytest.mark.parametrize("missing", [*sorted(guard._HEADERS), *guard._KEPT_NOWHERE])
async def test_unless_it_is_said_no_answer_says_it(stack: Stack, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """With the guard, every answer does: test_what_every_answer_says."""
    told(await _any_answer(stack))
    for group in ("_HEADERS", "_KEPT_NOWHERE"):
        left = {name: value for name, value in getattr(guard, group).items() if name != missing}
        monkeypatch.setattr(guard, group, left)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        told(await _any_answer(stack))


async def test_unless_sites_are_named_one_by_one_every_site_is_let_in(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the guard, only those that are named: test_the_sites_that_are_named_are_let_in_without_cookies."""

    def let_all_in(app: Any, **options: Any) -> CORSMiddleware:
        return CORSMiddleware(app, **options | {"allow_origin_regex": ".*", "allow_credentials": True})

    monkeypatch.setattr(guard, "CORSMiddleware", let_all_in)
    stranger = {"Origin": "https://evil.example"}
    async with serving(settings(stack, cors_origins=[SITE])) as url, httpx.AsyncClient() as http:
        answer = await http.get(f"{url}/v1/services", headers=stranger)
    assert answer.headers["Access-Control-Allow-Origin"] == stranger["Origin"]
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize("guarded", [True, False])
async def test_webhooks_are_stored_whatever_has_the_other_connections(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Those of bookings and reads are all waiting for a lock. Without spare ones the news of a payment is refused."""
    if not guarded:
        monkeypatch.setattr(composition, "open_pool", _without_spare())
    async with (
        fresh_database(stack) as urls,
        asyncpg.create_pool(urls.superuser, min_size=0, max_size=2) as own,
        serving(settings(stack, api_database_url=urls.api, database_pool_size=2, database_wait_seconds=0.5)) as url,
        own.acquire() as connection,
        httpx.AsyncClient() as http,
    ):
        shop = await open_shop(own)
        lock = connection.transaction()
        await lock.start()
        await connection.execute("LOCK TABLE services IN ACCESS EXCLUSIVE MODE")
        reads = [asyncio.create_task(http.get(f"{url}/v1/services")) for _ in range(2)]
        await _waiting(own, len(reads))
        body = event_about({"id": str(uuid4()), "payment": {"payment_intent_id": "pi_1"}}, shop)
        headers = {"Stripe-Signature": signed(body, stack.stripe_webhook_secret), "Content-Type": "application/json"}
        answer = await http.post(f"{url}/webhooks/stripe", content=body, headers=headers)
        await lock.rollback()
        await asyncio.gather(*reads)
        stored = await own.fetchval("SELECT count(*) FROM webhook_inbox")
    assert (answer.status_code, stored) == ((204, 1) if guarded else (503, 0))


async def _waiting(own: Any, count: int) -> None:
    """Returns when so many statements wait for the lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    for _ in range(400):
        if await own.fetchval(query) >= count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody waits")


def _without_spare() -> Any:
    """Opens the pools as ever, but gives the main one for the spare one."""
    opened: dict[str, Pool] = {}

    @asynccontextmanager
    async def opening(url: str, size: int, name: str, *limits: float) -> AsyncIterator[Pool]:
        if name == "pitstop-api-spare":
            yield opened["pitstop-api"]
            return
        async with open_pool(url, size, name, *limits) as pool:
            opened[name] = pool
            yield pool

    return opening


@pytest.mark.parametrize("guarded", [True, False])
async def test_the_rest_of_a_refused_body_is_no_head(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """It is answered when its length is known, and read to its end; then the connection may be asked again."""
    if not guarded:
        monkeypatch.setattr(PatientProtocol, "_in_body", property(lambda _: False, lambda _, __: None))
    length = 300_000
    async with serving(settings(stack)) as url:
        reader, writer = await asyncio.open_connection(httpx.URL(url).host, httpx.URL(url).port)
        head = f"POST /v1/bookings HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n"
        writer.write(head.encode())
        refused = await asyncio.wait_for(reader.readuntil(b"}"), 20)
        assert refused.startswith(b"HTTP/1.1 413 ")
        answered = False
        with suppress(ConnectionError):
            for _ in range(3):
                writer.write(b"x" * (length // 3))
                await writer.drain()
                await asyncio.sleep(0.1)
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n")
            answered = (await asyncio.wait_for(_next(reader), 20)).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert answered is guarded


async def _next(reader: asyncio.StreamReader) -> bytes:
    """The status line of the next answer, or nothing when the connection ends."""
    while line := await reader.readline():
        if line.startswith(b"HTTP/1.1 "):
            return line
    return b""
