"""A hold and a change of rules at once: whichever comes second sees what the first has done.

In a database of its own, in which rows can be written by hand.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.caller import Caller, Role
from pitstop.domain.hours import Span, WeeklySpan
from pitstop.domain.rules import ScheduleChange
from pitstop.gateways.holiday_library import HolidayLibrary
from pitstop.postgres import rules
from pitstop.postgres.pool import open_pool
from pitstop.postgres.rules import MechanicRules
from tests.mechanics.conftest import conflicts, noon
from tests.support.databases import Urls, fresh_database
from tests.support.rows import add_booking, add_reservation
from tests.support.shop import Shop, open_shop

HOUR = timedelta(hours=1)
NO_HOURS = ScheduleChange("UTC", (), 0, 60)
WHOLE_WEEK = ScheduleChange("UTC", tuple(WeeklySpan(day, Span(time(0), time(0))) for day in range(7)), 0, 60)


@pytest.fixture(scope="module")
async def urls(stack: Stack) -> AsyncIterator[Urls]:
    async with fresh_database(stack) as urls:
        yield urls


@pytest.fixture(scope="module")
async def database(urls: Urls) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(urls.superuser, min_size=0, max_size=3) as pool:
        yield pool


@pytest.fixture(scope="module")
async def own_rules(urls: Urls) -> AsyncIterator[MechanicRules]:
    async with open_pool(urls.api, 2, "test") as pool:
        yield MechanicRules(pool, HolidayLibrary())


@pytest.fixture
async def shop(database: Any) -> Shop:
    return await open_shop(database)


async def _set(own_rules: MechanicRules, shop: Shop, change: ScheduleChange) -> dict[str, Any]:
    me = Caller(Role.MECHANIC, str(shop.mechanic_id))
    return await own_rules.set_schedule(me, shop.mechanic_id, change, datetime.now(UTC)) or {}


async def test_what_does_not_stand_is_not_named(own_rules: MechanicRules, shop: Shop, database: Any) -> None:
    """Sessions that are over, holds that have run out, what was called off; and another mechanic's."""
    now = datetime.now(UTC).replace(microsecond=0)
    await add_reservation(database, await add_booking(database, shop, now - 5 * HOUR))
    lapsed = await add_booking(database, shop, noon(5), "awaiting_payment")
    await add_reservation(database, lapsed, "reserved", expires_in=-HOUR, now=now)
    await add_reservation(database, await add_booking(database, shop, noon(6), "cancelled"), "cancelled")
    other = await open_shop(database)
    await add_reservation(database, await add_booking(database, other, noon(3)))
    running = await add_booking(database, shop, now - HOUR / 2)
    await add_reservation(database, running)
    assert conflicts(await _set(own_rules, shop, NO_HOURS)) == [(running.booking_id, "outside_hours")]
    assert conflicts(await _set(own_rules, shop, WHOLE_WEEK)) == []


async def _waits_for(database: Any, holder: int) -> int:
    """The backend that waits for a lock of this one."""
    query = "SELECT pid FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))"
    for _ in range(200):
        if (pid := await database.fetchval(query, holder)) is not None:
            return int(pid)
        await asyncio.sleep(0.05)
    raise AssertionError("nobody waits")


@asynccontextmanager
async def _transaction(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN")
    try:
        yield connection
    finally:
        await connection.close()


_HOLD = """
INSERT INTO slot_reservations (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at)
SELECT
    gen_random_uuid(), id, mechanic_id, starts_at, ends_at, tstzrange(starts_at, ends_at), 'reserved', now() + '1 hour'
FROM bookings WHERE id = $1 AND slot_refusal(mechanic_id, service_id, starts_at, now()) IS NULL
RETURNING id
"""


async def _hold(worker: Any, booking: UUID, shop: Shop) -> UUID | None:
    """What a hold does, as the worker's role: it keeps the rules still, then asks them."""
    await worker.execute("SELECT keep_still($1, $2)", shop.mechanic_id, shop.service_id)
    held: UUID | None = await worker.fetchval(_HOLD, booking)
    return held


async def test_a_change_that_comes_second_names_the_hold(
    own_rules: MechanicRules, shop: Shop, urls: Urls, database: Any
) -> None:
    """The hold is being placed; the change waits for it, though nobody else can see it yet."""
    case = await add_booking(database, shop, noon(3), "holding")
    async with _transaction(urls.worker) as worker:
        assert await _hold(worker, case.booking_id, shop) is not None
        change = asyncio.create_task(_set(own_rules, shop, NO_HOURS))
        await _waits_for(database, worker.get_server_pid())
        assert not change.done()
        await worker.execute("COMMIT")
    assert conflicts(await change) == [(case.booking_id, "outside_hours")]


async def test_a_hold_that_comes_second_sees_the_change(
    own_rules: MechanicRules, shop: Shop, urls: Urls, database: Any
) -> None:
    """The change has its lock and is kept from its end; the hold waits for it, and is refused."""
    case = await add_booking(database, shop, noon(3), "holding")
    async with _transaction(urls.superuser) as brake, _transaction(urls.worker) as worker:
        await brake.execute("SELECT FROM availability_rules WHERE mechanic_id = $1 FOR UPDATE", shop.mechanic_id)
        change = asyncio.create_task(_set(own_rules, shop, NO_HOURS))
        changing = await _waits_for(database, brake.get_server_pid())
        hold = asyncio.create_task(_hold(worker, case.booking_id, shop))
        assert await _waits_for(database, changing) == worker.get_server_pid()
        await brake.execute("COMMIT")
        assert conflicts(await change) == []
        assert await hold is None


@pytest.mark.parametrize("locked", [True, False])
async def test_time_off_and_a_hold(
    own_rules: MechanicRules, shop: Shop, urls: Urls, database: Any, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """Without the lock, the hold stands in the time off and nobody has been told: so these tests can fail."""
    case = await add_booking(database, shop, noon(3), "holding")
    me, now = Caller(Role.MECHANIC, str(shop.mechanic_id)), datetime.now(UTC)
    if not locked:
        monkeypatch.setitem(rules._SQL, "lock_rules", rules._SQL["mechanic"])
    async with _transaction(urls.worker) as worker:
        assert await _hold(worker, case.booking_id, shop) is not None
        change = asyncio.create_task(own_rules.add_time_off(me, shop.mechanic_id, (noon(3), noon(4)), None, now))
        if locked:
            await _waits_for(database, worker.get_server_pid())
        else:
            await change
        await worker.execute("COMMIT")
    told = conflicts(await change or {})
    assert told == ([(case.booking_id, "time_off")] if locked else [])
    later = await own_rules.set_online(me, shop.mechanic_id, True, now)
    assert conflicts(later or {}) == [(case.booking_id, "time_off")]


async def test_two_changes_at_once_are_made_one_after_the_other(own_rules: MechanicRules, shop: Shop) -> None:
    """No half of one and half of the other."""
    changes = [
        ScheduleChange("UTC", tuple(WeeklySpan(day, Span(time(hour), time(hour + 1))) for day in range(7)), hour, hour)
        for hour in range(1, 13)
    ]
    await asyncio.gather(*(_set(own_rules, shop, change) for change in changes))
    me = Caller(Role.MECHANIC, str(shop.mechanic_id))
    read = await own_rules.schedule(me, shop.mechanic_id, datetime.now(UTC))
    assert read is not None
    [hour] = {each["opens"].hour for each in read["weekly"]}
    assert (len(read["weekly"]), read["horizon_days"], read["minimum_notice_minutes"]) == (7, hour, hour)
