"""The database decides who sees a referral and who changes a workshop, whatever a query asks for."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support.people import Customer
from tests.support.rows import Case, add_booking
from tests.support.shop import Shop
from tests.workshop.conftest import Yard

REFER = (
    "INSERT INTO referrals"
    " (id, booking_id, customer_id, made_by, service_id, plan_id, workshop_id, made_at, expires_at)"
    " SELECT $1, b.id, b.customer_id, b.mechanic_id, b.service_id, b.plan_id, $3, now(), now() + interval '1 day'"
    " FROM bookings AS b WHERE b.id = $2"
)


@pytest.fixture
async def case(shop: Shop, database: Any) -> AsyncIterator[Case]:
    """A booking that no workflow drives."""
    case = await add_booking(database, shop, datetime.now(UTC) + timedelta(days=300), status="completed")
    yield case
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        for table, column in (
            ("notifications", "booking_id"),
            ("booking_events", "booking_id"),
            ("referrals", "booking_id"),
        ):
            await connection.execute(f"DELETE FROM {table} WHERE {column} = $1", case.booking_id)  # noqa: S608
        await connection.execute("DELETE FROM bookings WHERE id = $1", case.booking_id)


async def test_who_sees_a_referral(as_own_api: Any, yard: Yard, case: Case, database: Any) -> None:
    referral = uuid4()
    await database.execute(REFER, referral, case.booking_id, yard.id)
    seen = "SELECT count(*) FROM referrals WHERE id = $1"
    callers = {
        ("customer", str(case.customer_id)): 1,
        ("customer", str(uuid4())): 0,
        ("mechanic", str(case.shop.mechanic_id)): 1,
        ("mechanic", str(yard.keeper_id)): 1,
        ("mechanic", str(uuid4())): 0,
        ("service", case.created_by): 0,
        ("link", str(case.booking_id)): 1,
        ("link", str(uuid4())): 0,
        ("referral", str(referral)): 1,
        ("referral", str(uuid4())): 0,
        ("operator", "anybody"): 1,
        ("", ""): 0,
    }
    for (role, subject), expected in callers.items():
        async with as_own_api(role, subject) as connection:
            assert await connection.fetchval(seen, referral) == expected, (role, subject)


async def test_a_referral_owes_its_mail(case: Case, database: Any) -> None:
    referral = uuid4()
    await database.execute(REFER, referral, case.booking_id, None)
    key = f"{case.booking_id}/referral/{referral}"
    assert await database.fetchval("SELECT status FROM notifications WHERE key = $1", key) == "pending"


async def test_only_its_own_mechanic_refers(as_own_api: Any, yard: Yard, case: Case) -> None:
    async with as_own_api("mechanic", str(yard.keeper_id)) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO referrals"
                " (id, booking_id, customer_id, made_by, service_id, plan_id, made_at, expires_at)"
                " VALUES ($1, $2, $3, $4, $5, $6, now(), now() + interval '1 day')",
                *(uuid4(), case.booking_id, case.customer_id, yard.keeper_id, case.shop.service_id, case.shop.plan_id),
            )


async def test_who_changes_a_workshop(as_own_api: Any, yard: Yard, customer: Customer) -> None:
    callers = {
        ("operator", "anybody"): 1,
        ("mechanic", str(yard.keeper_id)): 1,
        ("mechanic", str(yard.shop.mechanic_id)): 0,
        ("customer", str(customer.id)): 0,
        ("", ""): 0,
    }
    for (role, subject), expected in callers.items():
        for change in (
            "UPDATE workshops SET name = name WHERE id = $1",
            "UPDATE bays SET active = active WHERE workshop_id = $1",
        ):
            async with as_own_api(role, subject) as connection:
                changed = int((await connection.execute(change, yard.id)).split()[-1])
                assert bool(changed) == bool(expected), (role, change)


async def test_a_keepers_words_are_the_workshops_only(as_own_api: Any, yard: Yard, case: Case, database: Any) -> None:
    """What is a colleague's to ask stays the colleague's."""
    await database.execute("UPDATE bookings SET workshop_id = $2 WHERE id = $1", case.booking_id, yard.id)
    ask = (
        "INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by)"
        " VALUES ($1, $2, $3, 'mechanic', $4)"
    )

    async def asks(kind: str, who: UUID) -> bool:
        async with as_own_api("mechanic", str(who)) as connection:
            try:
                await connection.execute(ask, uuid4(), case.booking_id, kind, str(who))
            except asyncpg.InsufficientPrivilegeError:
                return False
            return True

    own = case.shop.mechanic_id
    assert [await asks("workshop_confirm", yard.keeper_id), await asks("cancel", yard.keeper_id)] == [True, False]
    assert [await asks("workshop_confirm", own), await asks("cancel", own)] == [False, True]
