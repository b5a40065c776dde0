"""A hold and a change of rules at once: whichever comes second sees what the first has done.

In a database of its own, in which rows can be written by hand.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.booking import SlotRefusal
from pitstop.domain.caller import Caller, Role
from pitstop.domain.hours import Span, WeeklySpan
from pitstop.domain.rules import ScheduleChange, UnknownTimezone
from pitstop.domain.saga import HoldOutcome
from pitstop.gateways.holiday_library import HolidayLibrary
from pitstop.postgres import rules
from pitstop.postgres.holidays import years_ahead
from pitstop.postgres.pool import open_pool
from pitstop.postgres.rules import MechanicRules
from pitstop.postgres.saga import PostgresSaga
from tests.mechanics.conftest import conflicts, noon
from tests.support.databases import Urls, fresh_database
from tests.support.rows import Case, add_booking, add_reservation
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
    async with open_pool(urls.api, 4, "test") as pool:
        yield MechanicRules(pool, HolidayLibrary())


@pytest.fixture(scope="module")
async def saga(urls: Urls) -> AsyncIterator[PostgresSaga]:
    async with open_pool(urls.worker, 1, "test") as pool:
        yield PostgresSaga(pool)


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


async def test_the_database_decides_which_zones_there_are(own_rules: MechanicRules, shop: Shop) -> None:
    """Its computations need the zone; whoever asks may know others."""
    with pytest.raises(UnknownTimezone):
        await _set(own_rules, shop, replace(WHOLE_WEEK, timezone="Europe/Atlantis"))


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


async def _hold(saga: PostgresSaga, database: Any, case: Case) -> HoldOutcome:
    fingerprint = "SELECT encode(request_fingerprint, 'hex') FROM bookings WHERE id = $1"
    asked, now = await database.fetchval(fingerprint, case.booking_id), datetime.now(UTC)
    return await saga.place_hold(case.booking_id, asked, uuid4(), now, now + HOUR, now + HOUR)


@asynccontextmanager
async def _kept_from_its_end(urls: Urls, shop: Shop) -> AsyncIterator[Any]:
    """Somebody is writing into the same time, and nobody knows yet whether it will stay: a hold there has to wait."""
    async with _transaction(urls.superuser) as rival:
        await add_reservation(rival, await add_booking(rival, shop, noon(3)))
        yield rival


async def test_a_change_that_comes_second_names_the_hold(
    own_rules: MechanicRules, saga: PostgresSaga, shop: Shop, urls: Urls, database: Any
) -> None:
    """The hold is being placed; the change waits for it, though nobody else can see it yet."""
    case = await add_booking(database, shop, noon(3), "holding")
    async with _kept_from_its_end(urls, shop) as rival:
        hold = asyncio.create_task(_hold(saga, database, case))
        holding = await _waits_for(database, rival.get_server_pid())
        change = asyncio.create_task(_set(own_rules, shop, NO_HOURS))
        await _waits_for(database, holding)
        await rival.execute("ROLLBACK")
        assert (await hold).terms is not None
    assert conflicts(await change) == [(case.booking_id, "outside_hours")]


async def test_a_hold_that_comes_second_sees_the_change(
    own_rules: MechanicRules, saga: PostgresSaga, shop: Shop, urls: Urls, database: Any
) -> None:
    """The change has its lock and is kept from its end; the hold waits for it, and is refused."""
    case = await add_booking(database, shop, noon(3), "holding")
    async with _transaction(urls.superuser) as brake:
        await brake.execute("SELECT FROM availability_rules WHERE mechanic_id = $1 FOR UPDATE", shop.mechanic_id)
        change = asyncio.create_task(_set(own_rules, shop, NO_HOURS))
        changing = await _waits_for(database, brake.get_server_pid())
        hold = asyncio.create_task(_hold(saga, database, case))
        await _waits_for(database, changing)
        await brake.execute("COMMIT")
    assert conflicts(await change) == []
    assert (await hold).reason is SlotRefusal.OUTSIDE_HOURS


@pytest.mark.parametrize("locked", [True, False])
async def test_time_off_and_a_hold(
    own_rules: MechanicRules,
    saga: PostgresSaga,
    shop: Shop,
    urls: Urls,
    database: Any,
    monkeypatch: pytest.MonkeyPatch,
    locked: bool,
) -> None:
    """Without the lock, the hold stands in the time off and nobody has been told: so these tests can fail."""
    case = await add_booking(database, shop, noon(3), "holding")
    me, now = Caller(Role.MECHANIC, str(shop.mechanic_id)), datetime.now(UTC)
    if not locked:
        monkeypatch.setitem(rules._SQL, "lock_rules", rules._SQL["mechanic"])
    async with _kept_from_its_end(urls, shop) as rival:
        hold = asyncio.create_task(_hold(saga, database, case))
        holding = await _waits_for(database, rival.get_server_pid())
        change = asyncio.create_task(own_rules.add_time_off(me, shop.mechanic_id, (noon(3), noon(4)), None, now))
        await (_waits_for(database, holding) if locked else change)
        await rival.execute("ROLLBACK")
        assert (await hold).terms is not None
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
    me = Caller(Role.MECHANIC, str(shop.mechanic_id))
    await _set(own_rules, shop, changes[0])
    reads = (own_rules.schedule(me, shop.mechanic_id, datetime.now(UTC)) for _ in range(12))
    read = (await asyncio.gather(*(_set(own_rules, shop, change) for change in changes), *reads))[len(changes) :]
    for each in (*read, await own_rules.schedule(me, shop.mechanic_id, datetime.now(UTC))):
        assert each is not None
        [hour] = {span["opens"].hour for span in each["weekly"]}
        assert (len(each["weekly"]), each["horizon_days"], each["minimum_notice_minutes"]) == (7, hour, hour)


async def test_a_region_that_several_name_at_once_is_filled_in_once(own_rules: MechanicRules, database: Any) -> None:
    shops, region = [await open_shop(database) for _ in range(4)], "PT-20"
    named = replace(WHOLE_WEEK, holiday_region=region)
    read = await asyncio.gather(*(_set(own_rules, each, named) for each in shops))
    assert {each["holiday_region"] for each in read} == {region}
    days = [r["day"] for r in await database.fetch("SELECT day FROM public_holidays WHERE region = $1", region)]
    assert sorted(days) == sorted(HolidayLibrary().days(region, years_ahead(datetime.now(UTC).date())))
