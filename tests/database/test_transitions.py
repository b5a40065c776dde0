"""A status moves only as the table `status_transitions` allows: the database itself refuses all else."""

from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pitstop.domain.booking import BookingStatus
from tests.support.rows import Case, add_booking, add_reservation, add_session
from tests.support.shop import Shop

Pairs = set[tuple[str, str]]
STATUSES = {
    "booking": [status.value for status in BookingStatus],
    "reservation": ["reserved", "confirmed", "expired", "cancelled"],
    "session": ["scheduled", "pending", "in_progress", "completed", "cancelled", "no_show"],
}
TABLES = {"booking": "bookings", "reservation": "slot_reservations", "session": "sessions"}
ENDS = {
    "booking": {status.value for status in BookingStatus if status.is_end},
    "reservation": {"expired", "cancelled"},
    "session": {"completed", "cancelled", "no_show"},
}


async def _legal(connection: Any, subject: str) -> Pairs:
    rows = await connection.fetch("SELECT from_status, to_status FROM status_transitions WHERE subject = $1", subject)
    return {(row["from_status"], row["to_status"]) for row in rows}


async def _a_booking(connection: Any, case: Case, status: str) -> UUID:
    return (await add_booking(connection, case.shop, case.start, status)).booking_id


ADD: dict[str, Callable[[Any, Case, str], Awaitable[UUID]]] = {
    "booking": _a_booking,
    "reservation": add_reservation,
    "session": add_session,
}


async def _refusal(connection: Any, subject: str, case: Case, before: str, after: str) -> asyncpg.PostgresError | None:
    """What the database says to a row of this subject that goes from one status to another."""
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        id = await ADD[subject](connection, case, before)
        table = TABLES[subject]
        await connection.execute(f"UPDATE {table} SET status = $2 WHERE id = $1", id, after)  # noqa: S608 - our own names
    except asyncpg.PostgresError as refusal:
        return refusal
    finally:
        await savepoint.rollback()
    return None


@pytest.mark.parametrize("subject", STATUSES)
async def test_every_illegal_pair_is_refused_and_every_legal_one_is_not(rows: Any, shop: Shop, subject: str) -> None:
    case = await add_booking(rows, shop, shop.start())
    legal = await _legal(rows, subject)
    assert legal <= set(permutations(STATUSES[subject], 2)), "the table speaks of statuses that there are"
    for before, after in permutations(STATUSES[subject], 2):
        refusal = await _refusal(rows, subject, case, before, after)
        if (before, after) in legal:
            assert refusal is None, (before, after)
        else:
            assert isinstance(refusal, asyncpg.CheckViolationError), (before, after)
            assert refusal.constraint_name == "legal_status_transition"


@pytest.mark.parametrize("subject", STATUSES)
async def test_an_end_is_an_end(rows: Any, subject: str) -> None:
    legal = await _legal(rows, subject)
    assert {before for before, _ in legal} == set(STATUSES[subject]) - ENDS[subject]


@pytest.mark.parametrize("subject", STATUSES)
async def test_a_status_that_stays_is_no_transition(rows: Any, shop: Shop, subject: str) -> None:
    case = await add_booking(rows, shop, shop.start())
    for status in STATUSES[subject]:
        assert await _refusal(rows, subject, case, status, status) is None


@pytest.mark.parametrize("subject", STATUSES)
async def test_the_guard_is_what_refuses(rows: Any, shop: Shop, subject: str) -> None:
    """Without it, what is over comes back to life."""
    case = await add_booking(rows, shop, shop.start())
    before, after = ("expired", "confirmed") if subject != "session" else ("completed", "in_progress")
    assert await _refusal(rows, subject, case, before, after) is not None
    await rows.execute(f"ALTER TABLE {TABLES[subject]} DISABLE TRIGGER honest_status")
    assert await _refusal(rows, subject, case, before, after) is None


async def test_the_worker_is_refused_too(worker: Any, database: Any, shop: Shop) -> None:
    case = await add_booking(database, shop, shop.start(), "cancelled")
    with pytest.raises(asyncpg.CheckViolationError, match="cannot go from cancelled to confirmed"):
        await worker.execute("UPDATE bookings SET status = 'confirmed' WHERE id = $1", case.booking_id)


async def test_a_version_rises_with_each_change(rows: Any, shop: Shop) -> None:
    case = await add_booking(rows, shop, shop.start())
    for expected in (2, 3):
        version = "UPDATE bookings SET city = 'Ottawa' WHERE id = $1 RETURNING version"
        assert await rows.fetchval(version, case.booking_id) == expected
