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
from tests.support.rows import Case, add_booking, add_reservation, add_supplement
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


_BESIDE = """
INSERT INTO slot_reservations
    (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at, supplement_id)
SELECT
    gen_random_uuid(), booking_id, mechanic_id, starts_at, ends_at, tstzrange(starts_at, ends_at), 'reserved',
    lapses_at, id
FROM supplements WHERE id = $1
"""


async def test_what_is_held_beside_may_share_its_own_bookings_time(rows: Any, shop: Shop) -> None:
    """One row, of the booking's one supplement; and never another booking's time."""
    case = await add_booking(rows, shop, shop.start())
    await add_reservation(rows, case)
    supplement = await add_supplement(rows, case, hours=0)
    await rows.execute(_BESIDE, supplement)
    for other in (_BESIDE, "UPDATE slot_reservations SET supplement_id = NULL WHERE supplement_id = $1"):
        savepoint = rows.transaction()
        await savepoint.start()
        with pytest.raises(asyncpg.UniqueViolationError):
            await rows.execute(other, supplement)
        await savepoint.rollback()
    with pytest.raises(asyncpg.ExclusionViolationError) as refusal:
        await _another(rows, shop, 30)
    assert refusal.value.constraint_name == "one_booking_at_a_time"


async def test_what_is_held_beside_blocks_as_a_hold_does(rows: Any, shop: Shop) -> None:
    case = await add_booking(rows, shop, shop.start())
    await add_reservation(rows, case)
    await rows.execute(_BESIDE, await add_supplement(rows, case, hours=24))
    with pytest.raises(asyncpg.ExclusionViolationError):
        await _another(rows, shop, 24 * 60 + 30)


async def test_if_constraints_knew_no_bookings_it_could_not_be_held(rows: Any, shop: Shop) -> None:
    """A control: as the constraint was before."""
    await rows.execute(
        "ALTER TABLE slot_reservations DROP CONSTRAINT one_booking_at_a_time, ADD CONSTRAINT one_booking_at_a_time"
        " EXCLUDE USING gist (mechanic_id WITH =, blocked WITH &&) WHERE (status IN ('reserved', 'confirmed'))"
    )
    case = await add_booking(rows, shop, shop.start())
    await add_reservation(rows, case)
    with pytest.raises(asyncpg.ExclusionViolationError):
        await rows.execute(_BESIDE, await add_supplement(rows, case, hours=0))


async def test_a_booking_has_one_payment_of_its_own_and_one_open_supplement(rows: Any, shop: Shop) -> None:
    case = await add_booking(rows, shop, shop.start(), "confirmed")
    first = await add_supplement(rows, case, status="lapsed")
    second = await add_supplement(rows, case)
    pay = (
        "INSERT INTO payments (payment_intent_id, booking_id, amount, currency, client_secret, status, supplement_id)"
        " VALUES ($1, $2, 1000, 'cad', '', 'requires_payment_method', $3)"
    )
    for number, of in enumerate((None, first, second)):
        await rows.execute(pay, f"pi_{case.booking_id.hex}_{number}", case.booking_id, of)
    for of in (None, second):
        savepoint = rows.transaction()
        await savepoint.start()
        with pytest.raises(asyncpg.UniqueViolationError):
            await rows.execute(pay, f"pi_{case.booking_id.hex}_again", case.booking_id, of)
        await savepoint.rollback()
    with pytest.raises(asyncpg.UniqueViolationError):
        await add_supplement(rows, case)


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
