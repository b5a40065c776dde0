"""Many at once, against the database alone: holds of one time, of one day's last places, of the last bay.

Each hold is the product's own, on a connection of its own as the worker's role, and commits.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.booking import SlotRefusal
from pitstop.domain.saga import HoldOutcome
from pitstop.postgres.pool import open_pool
from tests.availability import product
from tests.availability.reference import DAY, Bay, Mechanic, Service, Span, World
from tests.support.databases import Urls, fresh_database

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AT_ONCE = 12


@pytest.fixture(scope="module")
async def urls(stack: Stack) -> AsyncIterator[Urls]:
    async with fresh_database(stack) as urls:
        yield urls


@pytest.fixture(scope="module")
async def superuser(urls: Urls) -> AsyncIterator[Any]:
    async with open_pool(urls.superuser, 2, "availability-test") as pool:
        yield pool


@pytest.fixture(scope="module")
async def workers(urls: Urls) -> AsyncIterator[Any]:
    async with open_pool(urls.worker, AT_ONCE, "availability-test", wait_seconds=30) as pool:
        yield pool


def _team(size: int, bays: int = 0, daily_limit: int | None = None) -> World:
    """Mechanics of one workshop who work around the clock and offer an hour, in person if there are bays."""
    workshop = uuid4() if bays else None
    always = {weekday: [Span(time(0), time(0))] for weekday in range(7)}
    return World(
        Service(uuid4(), HOUR, timedelta(minutes=15), in_person=bool(bays)),
        [Mechanic(uuid4(), "UTC", always, daily_limit=daily_limit, workshop_id=workshop) for _ in range(size)],
        [Bay(uuid4(), workshop) for _ in range(bays) if workshop],
    )


async def _open(
    superuser: Any, world: World, wanted: list[tuple[Mechanic, datetime]], any_mechanic: bool = False
) -> list[UUID]:
    """The world, and a booking for each slot wanted, each in its own right: none holds anything yet."""
    async with superuser.acquire() as connection, connection.transaction():
        await product.write(connection, world)
        return [await product.open_booking(connection, world, *slot, any_mechanic) for slot in wanted]


async def _hold_at_once(workers: Any, bookings: list[UUID]) -> tuple[list[HoldOutcome], list[HoldOutcome]]:
    """Those who have their slot, and those who have not."""
    outcomes = await asyncio.gather(*(product.hold(workers, booking, AT) for booking in bookings))
    return [it for it in outcomes if it.terms], [it for it in outcomes if not it.terms]


async def _live(superuser: Any, world: World) -> list[asyncpg.Record]:
    team = [mechanic.id for mechanic in world.mechanics]
    rows: list[asyncpg.Record] = await superuser.fetch(
        "SELECT mechanic_id, bay_id, starts_at FROM slot_reservations"
        " WHERE mechanic_id = ANY($1) AND status IN ('reserved', 'confirmed')",
        team,
    )
    return rows


@asynccontextmanager
async def _nothing_kept_still(superuser: Any) -> AsyncIterator[None]:
    """The lock of a hold is gone; the tests of this module run one after the other."""
    kept = await superuser.fetchval("SELECT pg_get_functiondef('keep_still'::regproc)")
    await superuser.execute(
        "CREATE OR REPLACE FUNCTION keep_still(mechanic uuid, service uuid) RETURNS void LANGUAGE sql AS ''"
    )
    try:
        yield
    finally:
        await superuser.execute(kept)


async def test_of_overlapping_slots_one_is_held(superuser: Any, workers: Any) -> None:
    world = _team(1)
    starts = [NOON + timedelta(minutes=15) * (number % 4) for number in range(AT_ONCE)]
    held, refused = await _hold_at_once(
        workers, await _open(superuser, world, [(world.mechanics[0], start) for start in starts])
    )
    assert len(held) == len(await _live(superuser, world)) == 1
    assert {outcome.reason for outcome in refused} == {SlotRefusal.TAKEN}


async def test_touching_slots_are_all_held(superuser: Any, workers: Any) -> None:
    """The control of the one before: the same rush, without an overlap."""
    world = _team(1)
    starts = [NOON + HOUR * number for number in range(AT_ONCE)]
    held, _ = await _hold_at_once(
        workers, await _open(superuser, world, [(world.mechanics[0], start) for start in starts])
    )
    assert len(held) == AT_ONCE


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_a_day_has_no_more_sessions_than_its_limit(superuser: Any, workers: Any, limit: int) -> None:
    """On one day each wants another hour; on the next there is room again."""
    world = _team(1, daily_limit=limit)
    mechanic = world.mechanics[0]
    slots = [(mechanic, NOON + HOUR * number) for number in range(AT_ONCE - 1)]
    held, refused = await _hold_at_once(workers, await _open(superuser, world, [*slots, (mechanic, NOON + DAY)]))
    assert len(held) == limit + 1
    assert len(await _live(superuser, world)) == limit + 1
    assert {outcome.reason for outcome in refused} == {SlotRefusal.TAKEN}


async def test_without_the_lock_a_day_has_more(superuser: Any, workers: Any) -> None:
    """The control: two holds that do not see each other yet both count none, and both stand."""
    world = _team(1, daily_limit=1)
    mechanic = world.mechanics[0]
    bookings = await _open(superuser, world, [(mechanic, NOON), (mechanic, NOON + HOUR)])
    async with _nothing_kept_still(superuser), workers.acquire() as one, workers.acquire() as other:
        async with one.transaction(), other.transaction():
            pools = (product.OneConnection(one), product.OneConnection(other))
            held = [await product.hold(pool, booking, AT) for pool, booking in zip(pools, bookings, strict=True)]
    assert all(outcome.terms for outcome in held)
    assert len(await _live(superuser, world)) == 2


@pytest.mark.parametrize(("team", "bays"), [(2, 1), (3, 2), (4, 3)])
async def test_as_many_sessions_in_person_as_there_are_bays(superuser: Any, workers: Any, team: int, bays: int) -> None:
    """Neither more nor fewer: who finds the first bay gone takes the next."""
    world = _team(team, bays)
    slots = [(world.mechanics[number % team], NOON) for number in range(AT_ONCE)]
    held, refused = await _hold_at_once(workers, await _open(superuser, world, slots))
    assert len(held) == bays
    assert {outcome.reason for outcome in refused} == {SlotRefusal.TAKEN}
    live = await _live(superuser, world)
    assert {row["bay_id"] for row in live} == {bay.id for bay in world.bays}
    assert len({row["mechanic_id"] for row in live}) == bays


async def test_without_the_lock_a_free_bay_is_refused(superuser: Any, workers: Any) -> None:
    """The control: the second hold has chosen the same bay before the first commits, and only one can have it."""
    world = _team(2, bays=2)
    bookings = await _open(superuser, world, [(mechanic, NOON) for mechanic in world.mechanics])
    async with _nothing_kept_still(superuser):
        async with workers.acquire() as connection, connection.transaction():
            first = await product.hold(product.OneConnection(connection), bookings[0], AT)
            second = asyncio.create_task(product.hold(workers, bookings[1], AT))
            await _somebody_waits(superuser)
        assert first.terms is not None
        assert (await second).terms is None


async def _somebody_waits(superuser: Any) -> None:
    while not await superuser.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    ):
        await superuser.execute("SELECT pg_sleep(0.01)")


async def test_any_mechanic_is_found_as_long_as_one_is_free(superuser: Any, workers: Any) -> None:
    """All are given the same first choice; nobody is refused until everybody is taken."""
    world = _team(AT_ONCE - 2)
    slots = [(world.mechanics[0], NOON)] * AT_ONCE
    held, refused = await _hold_at_once(workers, await _open(superuser, world, slots, any_mechanic=True))
    assert (len(held), len(refused)) == (AT_ONCE - 2, 2)
    live = await _live(superuser, world)
    assert {row["mechanic_id"] for row in live} == {mechanic.id for mechanic in world.mechanics}
