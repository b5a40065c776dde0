"""What a mechanic sees of a booking that is offered to it, before the booking is its own; and nobody else sees more."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.database.conftest import AsCaller
from tests.support.rows import Case, add_everything
from tests.support.shop import Shop

Pool = Any


@pytest.fixture
async def offered(database: Pool, shop: Shop) -> Case:
    """A paid immediate session that nobody has taken: offered to the shop's mechanic."""
    case = await add_everything(database, shop, shop.start())
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "UPDATE bookings SET status = 'pending', mechanic_id = NULL, starts_at = NULL, ends_at = NULL,"
            " duration_minutes = 60, offers_widen_at = now(), offers_end_at = now() WHERE id = $1",
            case.booking_id,
        )
    await _offer(database, case.booking_id, shop.mechanic_id)
    return case


async def _offer(database: Pool, booking: UUID, mechanic: UUID) -> None:
    await database.execute(
        "INSERT INTO session_offers (booking_id, mechanic_id, distance, offered_at) VALUES ($1, $2, 0, now())",
        booking,
        mechanic,
    )


@pytest.fixture
async def other(database: Pool) -> UUID:
    """A mechanic who was not asked."""
    id: UUID = await database.fetchval(
        "INSERT INTO mechanics (name, timezone, country, city, postal_code, address)"
        " VALUES ('Ana Silva', 'America/Toronto', 'CA', 'Toronto', 'M5V 1A1', '2 King Street') RETURNING id"
    )
    return id


async def test_who_sees_an_offer(as_api: AsCaller, offered: Case, other: UUID) -> None:
    mechanic = str(offered.shop.mechanic_id)
    for role, subject, seen in (
        ("mechanic", mechanic, 1),
        ("operator", "x", 1),
        ("mechanic", str(other), 0),
        ("customer", mechanic, 0),
        ("customer", str(offered.customer_id), 0),
        ("link", str(offered.booking_id), 0),
        ("service", mechanic, 0),
        ("", "", 0),
    ):
        async with as_api(role, subject) as connection:
            query = "SELECT count(*) FROM session_offers WHERE booking_id = $1"
            assert await connection.fetchval(query, offered.booking_id) == seen, (role, subject)
            query = "SELECT count(*) FROM offered_booking($1)"
            its_own = (role, subject) == ("mechanic", mechanic)
            assert await connection.fetchval(query, offered.booking_id) == its_own, (role, subject)
            found = "SELECT count(*) FROM open_offers($1)"
            assert await connection.fetchval(found, offered.shop.mechanic_id) == seen, (role, subject)


async def test_an_offer_shows_no_more_than_it_says(as_api: AsCaller, offered: Case) -> None:
    """Neither the booking nor what belongs to it, nor the secret by which it is paid."""
    belonging = ("sessions", "payments", "refunds", "notifications", "booking_events", "check_ins")
    async with as_api("mechanic", str(offered.shop.mechanic_id)) as connection:
        for reading in ("", "offers"):
            await connection.execute("SELECT set_config('pitstop.reading', $1, TRUE)", reading)
            assert await connection.fetchval("SELECT count(*) FROM bookings WHERE id = $1", offered.booking_id) == 0
            for table in belonging:
                query = f"SELECT count(*) FROM {table} WHERE booking_id = $1"  # noqa: S608 - our own names
                assert await connection.fetchval(query, offered.booking_id) == 0, table
            assert await connection.fetchval("SELECT client_secret_of($1)", offered.booking_id) is None
        [offer] = await connection.fetch("SELECT * FROM open_offers($1)", offered.shop.mechanic_id)
        assert (offer["first_name"], offer["city"]) == ("Camille", "Toronto")
        assert not {"customer_name", "customer_email", "customer_id", "postal_code"} & set(offer.keys())
        assert await connection.fetchval("SELECT current_setting('pitstop.reading')") == ""


_ASK = "INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by) VALUES ($1, $2, $3, $4, $5)"


@pytest.mark.parametrize(
    ("kind", "role", "asks_as", "allowed"),
    [
        ("accept", "mechanic", "self", True),
        ("decline_offer", "mechanic", "self", True),
        ("cancel", "mechanic", "self", False),
        ("start", "mechanic", "self", False),
        ("accept", "operator", "self", False),
        ("accept", "mechanic", "other", False),
    ],
)
async def test_what_a_mechanic_may_ask_of_it(
    as_api: AsCaller, offered: Case, other: UUID, kind: str, role: str, asks_as: str, allowed: bool
) -> None:
    mechanic = str(offered.shop.mechanic_id)
    subject = mechanic if asks_as == "self" else str(other)
    async with as_api("mechanic", mechanic) as connection:
        asking = connection.execute(_ASK, uuid4(), offered.booking_id, kind, role, subject)
        if allowed:
            await asking
            assert await connection.fetchval("SELECT count(*) FROM booking_changes WHERE asked_by = $1", mechanic) == 1
            assert await connection.execute("DELETE FROM booking_changes WHERE asked_by = $1", mechanic) == "DELETE 1"
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asking


async def test_who_was_not_asked_asks_nothing(as_api: AsCaller, offered: Case, other: UUID) -> None:
    async with as_api("mechanic", str(other)) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(_ASK, uuid4(), offered.booking_id, "accept", "mechanic", str(other))


async def test_whatever_ends_the_search_closes_the_offers(database: Pool, offered: Case, other: UUID) -> None:
    await _offer(database, offered.booking_id, other)
    outcomes = "SELECT outcome FROM session_offers WHERE booking_id = $1 ORDER BY outcome"
    await database.execute(
        "UPDATE session_offers SET outcome = 'declined' WHERE booking_id = $1 AND mechanic_id = $2",
        offered.booking_id,
        other,
    )
    await database.execute("UPDATE bookings SET status = 'cancelled' WHERE id = $1", offered.booking_id)
    assert [row["outcome"] for row in await database.fetch(outcomes, offered.booking_id)] == ["declined", "lapsed"]


@pytest.mark.parametrize(
    "change",
    [
        "starts_at = NULL",
        "mechanic_id = NULL",
        "starts_at = NULL, ends_at = NULL, mechanic_id = NULL",
        "starts_at = NULL, ends_at = NULL, mechanic_id = NULL, duration_minutes = 60",
        "duration_minutes = 60",
    ],
)
async def test_a_time_is_missing_only_where_nobody_has_taken_it(rows: Any, mine: Case, change: str) -> None:
    """The booking is confirmed: it has all three, and is no immediate one."""
    with pytest.raises(asyncpg.CheckViolationError, match="time_"):
        await rows.execute(f"UPDATE bookings SET {change} WHERE id = $1", mine.booking_id)  # noqa: S608 - our own
