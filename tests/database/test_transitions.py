"""A status moves only as the table `status_transitions` allows: the database itself refuses all else."""

from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from pitstop.domain.booking import BookingStatus
from tests.support.rows import Case, add_booking, add_reservation, add_session, add_supplement
from tests.support.shop import Shop, open_workshop

Pairs = set[tuple[str, str]]
STATUSES = {
    "booking": [status.value for status in BookingStatus],
    "reservation": ["reserved", "confirmed", "expired", "cancelled"],
    "session": ["scheduled", "pending", "in_progress", "completed", "cancelled", "no_show"],
    "workshop_word": ["none", "awaiting", "proposed", "confirmed", "declined", "lapsed"],
    "proposal": ["open", "accepted", "declined", "lapsed", "replaced", "closed"],
    "supplement": ["open", "applied", "lapsed", "replaced", "closed", "withdrawn", "lost"],
    "waitlist_entry": ["waiting", "fulfilled", "lapsed", "left", "closed"],
}
# How a row of the subject goes to the status $2, and the trigger that judges it.
MOVES = {
    "booking": "UPDATE bookings SET status = $2 WHERE id = $1",
    "reservation": "UPDATE slot_reservations SET status = $2 WHERE id = $1",
    "session": "UPDATE sessions SET status = $2 WHERE id = $1",
    "workshop_word": "UPDATE bookings SET workshop_status = NULLIF($2, 'none'),"
    " workshop_answer_by = CASE WHEN $2 IN ('awaiting', 'proposed') THEN starts_at END WHERE id = $1",
    "proposal": "UPDATE proposals SET status = $2, closed_at = CASE WHEN $2 <> 'open' THEN now() END WHERE id = $1",
    "supplement": "UPDATE supplements SET status = $2, closed_at = CASE WHEN $2 <> 'open' THEN now() END WHERE id = $1",
    "waitlist_entry": "UPDATE waitlist_entries SET status = $2 WHERE id = $1",
}
GUARDS = {
    "booking": "honest_status ON bookings",
    "reservation": "honest_status ON slot_reservations",
    "session": "honest_status ON sessions",
    "workshop_word": "honest_word ON bookings",
    "proposal": "honest_status ON proposals",
    "supplement": "honest_status ON supplements",
    "waitlist_entry": "honest_status ON waitlist_entries",
}
ENDS = {
    "booking": {status.value for status in BookingStatus if status.is_end},
    "reservation": {"expired", "cancelled"},
    "session": {"completed", "cancelled", "no_show"},
    "workshop_word": {"declined", "lapsed"},
    "proposal": set(STATUSES["proposal"]) - {"open"},
    "supplement": set(STATUSES["supplement"]) - {"open"},
    "waitlist_entry": {"fulfilled"},
}
# What is over comes back to life.
BACK_TO_LIFE = {
    "booking": ("expired", "confirmed"),
    "reservation": ("expired", "confirmed"),
    "session": ("completed", "in_progress"),
    "workshop_word": ("declined", "confirmed"),
    "proposal": ("lapsed", "accepted"),
    "supplement": ("lapsed", "applied"),
    "waitlist_entry": ("fulfilled", "waiting"),
}


async def _legal(connection: Any, subject: str) -> Pairs:
    rows = await connection.fetch("SELECT from_status, to_status FROM status_transitions WHERE subject = $1", subject)
    return {(row["from_status"], row["to_status"]) for row in rows}


async def _a_booking(connection: Any, case: Case, status: str) -> UUID:
    return (await add_booking(connection, case.shop, case.start, status)).booking_id


async def _a_word(connection: Any, case: Case, status: str) -> UUID:
    booking = (await add_booking(connection, case.shop, case.start)).booking_id
    workshop = await open_workshop(connection, 1, case.shop.mechanic_id)
    await connection.execute(
        "UPDATE bookings SET workshop_id = $2, confirms_within_minutes = 60 WHERE id = $1", booking, workshop
    )
    # The way there does not matter here.
    await connection.execute("SET LOCAL session_replication_role = replica")
    await connection.execute(MOVES["workshop_word"], booking, status)
    await connection.execute("SET LOCAL session_replication_role = origin")
    return booking


async def _a_proposal(connection: Any, case: Case, status: str) -> UUID:
    booking = (await add_booking(connection, case.shop, case.start)).booking_id
    id: UUID = await connection.fetchval(
        "INSERT INTO proposals (id, booking_id, options, proposed_by, proposed_at, expires_at, status, closed_at)"
        " VALUES ($1, $2, '[{}]'::text::jsonb, 'operator', now(), now() + interval '1 day', $3,"
        " CASE WHEN $3 <> 'open' THEN now() END) RETURNING id",
        uuid4(),
        booking,
        status,
    )
    return id


async def _a_supplement(connection: Any, case: Case, status: str) -> UUID:
    return await add_supplement(connection, await add_booking(connection, case.shop, case.start), status=status)


async def _an_entry(connection: Any, case: Case, status: str) -> UUID:
    shop = case.shop
    id: UUID = await connection.fetchval(
        "INSERT INTO waitlist_entries (id, request_fingerprint, wish, created_by, created_by_role, customer_id,"
        " customer_name, customer_email, country, city, postal_code, timezone, service_id, plan_id, span,"
        " missed_at_most, status) VALUES ($1, '', uuid_send($1), 'a customer', 'customer', $1, 'Camille Roy',"
        " 'camille@example.com', 'CA', 'Toronto', 'M5V 2T6', 'UTC', $2, $3, tstzrange($4, $5), 3, $6) RETURNING id",
        uuid4(),
        shop.service_id,
        shop.plan_id,
        case.start,
        case.start + shop.duration,
        status,
    )
    return id


ADD: dict[str, Callable[[Any, Case, str], Awaitable[UUID]]] = {
    "booking": _a_booking,
    "reservation": add_reservation,
    "session": add_session,
    "workshop_word": _a_word,
    "proposal": _a_proposal,
    "supplement": _a_supplement,
    "waitlist_entry": _an_entry,
}


async def _refusal(connection: Any, subject: str, case: Case, before: str, after: str) -> asyncpg.PostgresError | None:
    """What the database says to a row of this subject that goes from one status to another."""
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        id = await ADD[subject](connection, case, before)
        await connection.execute(MOVES[subject], id, after)
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
    before, after = BACK_TO_LIFE[subject]
    assert await _refusal(rows, subject, case, before, after) is not None
    guard, table = GUARDS[subject].split(" ON ")
    await rows.execute(f"ALTER TABLE {table} DISABLE TRIGGER {guard}")
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
