"""A change moves no booking: it names those that the new rules would not allow, and they stay as they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.caller import Caller, Role
from pitstop.gateways.holiday_library import HolidayLibrary
from pitstop.postgres import rules
from pitstop.postgres.pool import open_pool
from pitstop.postgres.rules import MechanicRules
from tests.mechanics.conftest import AROUND_THE_CLOCK, Desk, Json, conflicts, noon
from tests.support.people import Customer
from tests.support.rows import add_booking, add_reservation
from tests.support.shop import Shop

HOUR = timedelta(hours=1)


def _without(day: date) -> list[Json]:
    return [span for span in AROUND_THE_CLOCK if span["weekday"] != day.weekday()]


async def test_each_kind_of_rule_names_what_it_would_not_allow(desk: Desk, shop: Shop, customer: Customer) -> None:
    booking = await customer.book(shop, noon(3))
    other = await customer.book(shop, noon(4))
    before, services = await customer.read(booking), (await desk.schedule())["services"]

    changed = await desk.set(weekly=_without(noon(3).date()))
    assert conflicts(changed) == [(booking["id"], "outside_hours")]
    [conflict] = changed["conflicts"]
    assert [datetime.fromisoformat(conflict[end]) for end in ("start", "end")] == [noon(3), noon(3) + HOUR]
    assert conflict["status"] == "awaiting_payment"
    assert conflicts(await desk.set(weekly=AROUND_THE_CLOCK)) == []

    day_off = [{"date": str(noon(4).date()), "hours": []}]
    assert conflicts(await desk.set(exceptions=day_off)) == [(other["id"], "time_off")]
    elsewhen = [{"date": str(noon(4).date()), "hours": [{"start": "12:15", "end": "20:00"}]}]
    assert conflicts(await desk.set(exceptions=elsewhen)) == [(other["id"], "outside_hours")]
    assert conflicts(await desk.set(exceptions=[])) == []

    assert conflicts(await desk.set(services=[])) == [(booking["id"], "not_offered"), (other["id"], "not_offered")]
    assert conflicts(await desk.set(services=services)) == []

    away = await desk.away(noon(3) - HOUR, noon(3) + HOUR / 4)
    assert conflicts(away) == [(booking["id"], "time_off")]
    offline = await desk.go_online(False)
    assert conflicts(offline) == [(booking["id"], "time_off"), (other["id"], "offline")]
    assert conflicts(await desk.go_online(True)) == [(booking["id"], "time_off")]

    # A mechanic moves to another zone: its hours move, the bookings do not.
    await desk.call("DELETE", f"/time-off/{away['id']}")
    noons = [{"weekday": day, "start": "12:00", "end": "13:00"} for day in range(7)]
    assert conflicts(await desk.set(weekly=noons)) == []
    assert len(conflicts(await desk.set(timezone="Asia/Kathmandu"))) == 2
    assert await customer.read(booking) == before, "it was never touched"


async def test_over_the_daily_limit_are_those_that_were_booked_last(desk: Desk, shop: Shop, customer: Customer) -> None:
    booked = [await customer.book(shop, noon(3) + hours * HOUR) for hours in (6, 0, 3)]
    await customer.book(shop, noon(4))
    assert conflicts(await desk.set(max_sessions_per_day=3)) == []
    assert conflicts(await desk.set(max_sessions_per_day=2)) == [(booked[2]["id"], "daily_limit")]
    limited = await desk.set(max_sessions_per_day=1)
    assert conflicts(limited) == [(booked[1]["id"], "daily_limit"), (booked[2]["id"], "daily_limit")]


async def test_what_does_not_stand_is_not_named(desk: Desk, shop: Shop, customer: Customer, database: Any) -> None:
    """Sessions that are over, holds that have run out, what was called off; and another mechanic's."""
    now = datetime.now(UTC).replace(microsecond=0)
    over = await add_booking(database, shop, now - 5 * HOUR)
    await add_reservation(database, over)
    lapsed = await add_booking(database, shop, noon(5), "awaiting_payment")
    await add_reservation(database, lapsed, "reserved", expires_in=-HOUR, now=now)
    gone = await add_booking(database, shop, noon(6), "cancelled")
    await add_reservation(database, gone, "cancelled")
    running = await add_booking(database, shop, now - HOUR / 2)
    await add_reservation(database, running)
    assert conflicts(await desk.set(weekly=[])) == [(str(running.booking_id), "outside_hours")]


async def test_notice_horizon_and_buffers_are_those_of_the_booking(desk: Desk, shop: Shop, customer: Customer) -> None:
    await customer.book(shop, noon(3))
    longer = [{"service_id": str(shop.service_id), "buffer_before_minutes": 600, "buffer_after_minutes": 600}]
    changed = await desk.set(minimum_notice_minutes=5 * 24 * 60, horizon_days=1, services=longer)
    assert conflicts(changed) == []


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
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield connection
    finally:
        if not connection.is_closed():
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


async def test_a_change_that_comes_second_names_the_hold(desk: Desk, shop: Shop, stack: Stack, database: Any) -> None:
    """The hold is being placed; the change waits for it, though nobody else can see it yet."""
    case = await add_booking(database, shop, noon(3), "holding")
    async with _transaction(stack.worker_database_url) as worker:
        assert await _hold(worker, case.booking_id, shop) is not None
        change = asyncio.create_task(desk.set(weekly=[]))
        await _waits_for(database, worker.get_server_pid())
        assert not change.done()
        await worker.execute("COMMIT")
    assert conflicts(await change) == [(str(case.booking_id), "outside_hours")]


async def test_a_hold_that_comes_second_sees_the_change(desk: Desk, shop: Shop, stack: Stack, database: Any) -> None:
    """The change has its lock and is kept from its end; the hold waits for it, and is refused."""
    case = await add_booking(database, shop, noon(3), "holding")
    async with _transaction(stack.database_url) as brake, _transaction(stack.worker_database_url) as worker:
        await brake.execute("SELECT FROM availability_rules WHERE mechanic_id = $1 FOR UPDATE", shop.mechanic_id)
        change = asyncio.create_task(desk.set(weekly=[]))
        changing = await _waits_for(database, brake.get_server_pid())
        hold = asyncio.create_task(_hold(worker, case.booking_id, shop))
        assert await _waits_for(database, changing) == worker.get_server_pid()
        await brake.execute("COMMIT")
        assert conflicts(await change) == []
        assert await hold is None


async def test_without_the_lock_neither_sees_the_other(
    shop: Shop, stack: Stack, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the two above can fail: the hold stands in the time off, and nobody has been told."""
    case = await add_booking(database, shop, noon(3), "holding")
    me, now = Caller(Role.MECHANIC, str(shop.mechanic_id)), datetime.now(UTC)
    monkeypatch.setitem(rules._SQL, "lock_rules", rules._SQL["mechanic"])
    async with open_pool(stack.api_database_url, 1, "test") as pool, _transaction(stack.worker_database_url) as worker:
        unlocked = MechanicRules(pool, HolidayLibrary())
        assert await _hold(worker, case.booking_id, shop) is not None
        changed = await unlocked.add_time_off(me, shop.mechanic_id, (noon(3), noon(4)), None, now)
        await worker.execute("COMMIT")
        assert changed is not None
        assert changed["conflicts"] == []
        assert conflicts(await unlocked.set_online(me, shop.mechanic_id, True, now) or {}) == [
            (case.booking_id, "time_off")
        ]
