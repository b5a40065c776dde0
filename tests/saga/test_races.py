"""Two customers in one instant; and the control that shows what the constraint is for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import asyncpg
import httpx
import pytest
from temporalio.client import Client

import worker
from pitstop.devstack.stackfile import Stack
from pitstop.domain.identity import booking_id
from tests.support.databases import fresh_database
from tests.support.histories import replays
from tests.support.people import Customer, Issuer
from tests.support.processes import serving, settings
from tests.support.shop import Shop, open_shop

CLIENTS = 50


async def _rush(clients: list[Customer], shop: Shop) -> list[httpx.Response]:
    """All at once for one slot; every second one for a start half an hour later, which overlaps."""
    start = shop.start()
    starts = [start, start + timedelta(minutes=30)] * (len(clients) // 2)
    requests = [client.request(shop, when) for client, when in zip(clients, starts, strict=True)]
    return await asyncio.gather(*(client.post(body) for client, body in zip(clients, requests, strict=True)))


async def _live(database: "asyncpg.Pool[asyncpg.Record]", shop: Shop) -> int:
    live: int = await database.fetchval(
        "SELECT count(*) FROM slot_reservations WHERE mechanic_id = $1 AND status IN ('reserved', 'confirmed')",
        shop.mechanic_id,
    )
    return live


@pytest.fixture
async def crowd(issuer: Issuer, stack: Stack) -> list[Customer]:
    return await asyncio.gather(*(issuer.customer(stack.api_url) for _ in range(CLIENTS)))


async def test_fifty_clients_one_slot(
    crowd: list[Customer], shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    answers = await _rush(crowd, shop)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: CLIENTS - 1}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"slot_unavailable"}
    assert await _live(database, shop) == 1
    assert await database.fetchval("SELECT count(*) FROM bookings WHERE mechanic_id = $1", shop.mechanic_id) == 1


# Every hold takes its time before it commits, as on a busy disk: rivals look at a slot that is not yet taken.
_SLOW_COMMITS = """
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END $$;
CREATE TRIGGER slow AFTER INSERT ON slot_reservations FOR EACH ROW EXECUTE FUNCTION take_time();
"""


@pytest.fixture
async def slow(stack: Stack, temporal: Client) -> AsyncIterator[tuple[str, "asyncpg.Pool[asyncpg.Record]"]]:
    """The product on a slow database of its own: the API's URL, and that database."""
    async with fresh_database(stack) as urls:
        changed = settings(
            stack, api_database_url=urls.api, worker_database_url=urls.worker, task_queue=f"slow-{uuid4()}"
        )
        async with (
            asyncpg.create_pool(urls.superuser, min_size=0, max_size=3) as database,
            worker.at_work(temporal, changed),
            serving(changed) as url,
        ):
            await database.execute(_SLOW_COMMITS)
            yield url, database


_NO_CONSTRAINT = "ALTER TABLE slot_reservations DROP CONSTRAINT one_booking_at_a_time;"
# Holds of a mechanic no longer come one after another.
_NO_ORDER = """
CREATE OR REPLACE FUNCTION keep_still(mechanic uuid, service uuid) RETURNS void
LANGUAGE plpgsql AS $$ BEGIN END $$;
"""


@pytest.mark.parametrize(
    ("removed", "guarded"),
    [("", True), (_NO_ORDER, True), (_NO_CONSTRAINT, True), (_NO_CONSTRAINT + _NO_ORDER, False)],
    ids=["as-it-is", "constraint-alone", "order-alone", "neither"],
)
async def test_each_of_two_guards_keeps_a_rush_from_booking_twice(
    slow: tuple[str, "asyncpg.Pool[asyncpg.Record]"], crowd: list[Customer], removed: str, guarded: bool
) -> None:
    """The control: the same rush on the same database with and without the constraint, and the order of holds."""
    url, database = slow
    if removed:
        await database.execute(removed)
    shop = await open_shop(database)
    for client in crowd:
        client.api_url = url
    answers = await _rush(crowd, shop)
    statuses = Counter(answer.status_code for answer in answers)
    if guarded:
        assert statuses == {201: 1, 409: CLIENTS - 1}
        assert await _live(database, shop) == 1
    else:
        assert statuses[201] > 1
        assert await _live(database, shop) > 1


async def test_a_rush_that_passes_the_first_look_is_refused_by_the_hold(
    slow: tuple[str, "asyncpg.Pool[asyncpg.Record]"], crowd: list[Customer], temporal: Client
) -> None:
    """Those who saw the slot free and came too late are refused by their workflow, which leaves nothing behind."""
    url, database = slow
    shop = await open_shop(database)
    first, second = crowd[:2]
    first.api_url = second.api_url = url
    keys = ["first", "second"]
    answers = await asyncio.gather(
        *(
            client.post(client.request(shop, shop.start()), key)
            for client, key in zip((first, second), keys, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    loser = [answer.status_code for answer in answers].index(409)
    refused = booking_id(f"customer:{(first, second)[loser].id}", keys[loser])
    handle = temporal.get_workflow_handle(f"booking/{refused}")
    assert (await handle.result())["refusal"] == "slot_unavailable"
    assert await database.fetchval("SELECT count(*) FROM bookings") == 1
    await replays(handle, "slot_lost", "somebody else got the slot between the look and the hold")
