"""`is_slot_available`: whether a mechanic's own time is open and free, as either role of the product asks."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.database.conftest import AsCaller
from tests.support.rows import add_booking, add_reservation
from tests.support.shop import Shop

QUERY = "SELECT is_slot_available($1, $2, $3, $4)"
HOUR = timedelta(hours=1)
Arrangement = Callable[[Any, Shop, datetime], Awaitable[Any]]


async def _nothing(database: Any, shop: Shop, now: datetime) -> None: ...


def _reserved(status: str, lapses_in: timedelta = HOUR, hours: float = 0) -> Arrangement:
    async def arrange(database: Any, shop: Shop, now: datetime) -> None:
        case = await add_booking(database, shop, shop.start() + hours * HOUR)
        await add_reservation(database, case, status, now=now, expires_in=lapses_in)

    return arrange


def _away(starts: float, ends: float) -> Arrangement:
    async def arrange(database: Any, shop: Shop, now: datetime) -> None:
        span = (shop.start() + starts * HOUR, shop.start() + ends * HOUR)
        sql = "INSERT INTO time_off (mechanic_id, during) VALUES ($1, tstzrange($2, $3))"
        await database.execute(sql, shop.mechanic_id, *span)

    return arrange


def _sql(statement: str) -> Arrangement:
    async def arrange(database: Any, shop: Shop, now: datetime) -> None:
        await database.execute(statement, shop.mechanic_id)

    return arrange


CASES = [
    pytest.param(_nothing, True, id="open"),
    pytest.param(_reserved("confirmed"), False, id="confirmed"),
    pytest.param(_reserved("reserved"), False, id="held"),
    pytest.param(_reserved("reserved", timedelta(0)), True, id="hold-lapsed-this-instant"),
    pytest.param(_reserved("reserved", timedelta(seconds=1)), False, id="hold-lapses-soon"),
    pytest.param(_reserved("confirmed", -HOUR), False, id="confirmed-does-not-lapse"),
    pytest.param(_reserved("expired"), True, id="expired"),
    pytest.param(_reserved("cancelled"), True, id="cancelled"),
    pytest.param(_reserved("confirmed", hours=1), True, id="touches-after"),
    pytest.param(_reserved("confirmed", hours=-1.25), True, id="touches-before-with-buffer"),
    pytest.param(_reserved("confirmed", hours=-1), False, id="buffer-reaches-in"),
    pytest.param(_away(0, 1), False, id="away"),
    pytest.param(_away(0.5, 0.6), False, id="away-in-between"),
    pytest.param(_away(-5, 0), True, id="away-until-then"),
    pytest.param(_away(1, 5), True, id="away-from-then-on"),
    pytest.param(_sql("UPDATE mechanics SET online = FALSE WHERE id = $1"), False, id="offline"),
    pytest.param(_sql("DELETE FROM availability_rules WHERE mechanic_id = $1"), False, id="no-hours"),
    pytest.param(
        _sql("UPDATE mechanics SET minimum_notice_minutes = 99999 WHERE id = $1"), True, id="notice-is-not-its"
    ),
]


@pytest.mark.parametrize(("arrange", "available"), CASES)
async def test_available(
    database: Any, as_api: AsCaller, worker: Any, shop: Shop, arrange: Arrangement, available: bool
) -> None:
    now = datetime.now(UTC)
    await arrange(database, shop, now)
    asked = (shop.mechanic_id, shop.start(), shop.start() + HOUR, now)
    assert await worker.fetchval(QUERY, *asked) is available
    async with as_api("customer", str(uuid4())) as connection:
        assert await connection.fetchval(QUERY, *asked) is available, "whose reservations they are makes no difference"


async def test_an_unknown_mechanic_is_not_available(worker: Any, shop: Shop) -> None:
    start = shop.start()
    assert await worker.fetchval(QUERY, uuid4(), start, start + HOUR, start) is False


@pytest.mark.parametrize(
    ("opens", "closes", "available"), [(0, 60, True), (1, 60, False), (0, 59, False), (-60, 61, True)]
)
async def test_hours_must_cover_all_of_it(
    database: Any, worker: Any, shop: Shop, opens: int, closes: int, available: bool
) -> None:
    start = (datetime.now(UTC) + timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)
    await database.execute("UPDATE mechanics SET timezone = 'UTC' WHERE id = $1", shop.mechanic_id)
    await database.execute("DELETE FROM availability_rules WHERE mechanic_id = $1", shop.mechanic_id)
    times = [(start + timedelta(minutes=minutes)).time() for minutes in (opens, closes)]
    sql = "INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time) VALUES ($1, $2, $3, $4)"
    await database.execute(sql, shop.mechanic_id, start.weekday(), *times)
    assert await worker.fetchval(QUERY, shop.mechanic_id, start, start + HOUR, start) is available
