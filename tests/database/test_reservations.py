"""Two live reservations of a mechanic never overlap, buffers included; whoever writes them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from pitstop.domain.saga import HoldRefusal
from pitstop.postgres.pool import open_pool
from pitstop.postgres.saga import PostgresSaga
from tests.support.databases import Urls
from tests.support.rows import Case, add_booking, add_reservation
from tests.support.shop import Shop, open_shop

MINUTE = timedelta(minutes=1)


async def _another(connection: Any, shop: Shop, minutes: int, **options: Any) -> None:
    """A second booking's reservation, so many minutes after the shop's start."""
    case = await add_booking(connection, shop, shop.start() + minutes * MINUTE)
    await add_reservation(connection, case, **options)


@pytest.mark.parametrize(
    ("minutes", "buffers", "fits"),
    [
        (0, (0, 15), False),
        (1, (0, 15), False),
        (60, (0, 15), False),
        (74, (0, 15), False),
        (75, (0, 15), True),
        (-74, (0, 15), False),
        (-75, (0, 15), True),
        (89, (15, 0), False),
        (90, (15, 0), True),
        (-60, (0, 0), True),
        (-59, (0, 0), False),
        (24 * 60, (0, 0), True),
    ],
)
async def test_overlapping_is_refused_and_touching_is_not(
    rows: Any, shop: Shop, minutes: int, buffers: tuple[int, int], fits: bool
) -> None:
    await add_reservation(rows, await add_booking(rows, shop, shop.start()))
    if fits:
        await _another(rows, shop, minutes, buffers=buffers)
    else:
        with pytest.raises(asyncpg.ExclusionViolationError) as refusal:
            await _another(rows, shop, minutes, buffers=buffers)
        assert refusal.value.constraint_name == "one_booking_at_a_time"


@pytest.mark.parametrize("first", ["reserved", "confirmed", "expired", "cancelled"])
@pytest.mark.parametrize("second", ["reserved", "confirmed", "expired", "cancelled"])
async def test_only_the_living_count(rows: Any, shop: Shop, first: str, second: str) -> None:
    await add_reservation(rows, await add_booking(rows, shop, shop.start()), first)
    if {first, second} <= {"reserved", "confirmed"}:
        with pytest.raises(asyncpg.ExclusionViolationError):
            await _another(rows, shop, 30, status=second)
    else:
        await _another(rows, shop, 30, status=second)


async def test_another_mechanic_is_free(rows: Any, shop: Shop) -> None:
    await add_reservation(rows, await add_booking(rows, shop, shop.start()))
    other = Shop(uuid4(), shop.service_id, shop.plan_id)
    await rows.execute(
        "INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address)"
        " VALUES ($1, 'Ana', 'UTC', 'PT', 'Lisboa', '1000', '1 Rua')",
        other.mechanic_id,
    )
    await _another(rows, other, 0)


async def test_a_booking_holds_one_slot_at_a_time(rows: Any, shop: Shop) -> None:
    case = await add_booking(rows, shop, shop.start())
    await add_reservation(rows, case)
    moved = Case(shop, case.booking_id, case.customer_id, case.created_by, case.start + timedelta(days=1))
    with pytest.raises(asyncpg.UniqueViolationError):
        await add_reservation(rows, moved)


async def test_a_reservation_that_does_not_block_its_own_session_is_none(rows: Any, shop: Shop) -> None:
    case = await add_booking(rows, shop, shop.start())
    with pytest.raises(asyncpg.CheckViolationError):
        await add_reservation(rows, case, buffers=(0, -1))


@pytest.fixture
async def saga(urls: Urls) -> AsyncIterator[PostgresSaga]:
    """The product's own queries, as the worker's role."""
    async with open_pool(urls.worker, 2, "test") as pool:
        yield PostgresSaga(pool)


async def _hold(saga: PostgresSaga, case: Case, now: datetime) -> HoldRefusal | None:
    outcome = await saga.place_hold(case.booking_id, "", uuid4(), now, now + 15 * MINUTE, now + 16 * MINUTE)
    return outcome.refusal


@pytest.mark.parametrize(
    ("status", "lapses_in_seconds", "gives_way"),
    [("reserved", -1, True), ("reserved", 0, True), ("reserved", 1, False), ("confirmed", -1, False)],
)
async def test_a_lapsed_hold_makes_way(
    database: Any, saga: PostgresSaga, status: str, lapses_in_seconds: int, gives_way: bool
) -> None:
    shop = await open_shop(database)
    now = datetime.now(UTC)
    rival = await add_booking(database, shop, shop.start(), "awaiting_payment")
    lapse = timedelta(seconds=lapses_in_seconds)
    reservation = await add_reservation(database, rival, status, now=now, expires_in=lapse)
    case = await add_booking(database, shop, shop.start() + 30 * MINUTE, "holding")
    assert await _hold(saga, case, now) is (None if gives_way else HoldRefusal.SLOT_UNAVAILABLE)
    left = await database.fetchval("SELECT status FROM slot_reservations WHERE id = $1", reservation)
    assert left == ("expired" if gives_way else status)


async def test_a_hold_again_is_the_same_hold(database: Any, saga: PostgresSaga) -> None:
    shop = await open_shop(database)
    case = await add_booking(database, shop, shop.start(), "holding")
    now = datetime.now(UTC)
    assert await _hold(saga, case, now) is None
    assert await _hold(saga, case, now + MINUTE) is None
    query = "SELECT count(*), max(expires_at) FROM slot_reservations WHERE booking_id = $1"
    assert tuple(await database.fetchrow(query, case.booking_id)) == (1, now + 16 * MINUTE)
