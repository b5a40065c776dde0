"""What each role of the product may do, and what it may not, whoever it says is asking."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.database.conftest import AsCaller
from tests.support.rows import Case, add_booking
from tests.support.shop import Shop

Pool = Any
FORBIDDEN = {
    "update": "UPDATE bookings SET amount = 1",
    "update-status": "UPDATE bookings SET status = 'cancelled'",
    "reserve": "INSERT INTO slot_reservations SELECT * FROM slot_reservations",
    "release": "UPDATE slot_reservations SET status = 'cancelled'",
    "remove-reservation": "DELETE FROM slot_reservations",
    "pay": "UPDATE payments SET paid_at = now()",
    "refund": "INSERT INTO refunds SELECT * FROM refunds",
    "session": "UPDATE sessions SET price_paid = 1",
    "event": "INSERT INTO booking_events (booking_id, at, event) SELECT id, now(), 'x' FROM bookings",
    "notice": "UPDATE notifications SET status = 'sent'",
    "price": "UPDATE plans SET amount = 50",
    "service": "INSERT INTO services (slug, name, kind, duration_minutes) VALUES ('x', 'x', 'video', 1)",
    "mechanic": "UPDATE mechanics SET name = 'x'",
    "workshop": "UPDATE mechanics SET workshop_id = NULL",
    "bay": "DELETE FROM bays",
    "bay-of-another": "UPDATE bays SET workshop_id = gen_random_uuid()",
    "hours": "UPDATE availability_rules SET weekday = 0",
    "time-off": "INSERT INTO time_off (mechanic_id, during) SELECT id, tstzrange(now(), 'tomorrow') FROM mechanics",
    "holiday": "UPDATE public_holidays SET day = now()",
    "calendar": "DELETE FROM holiday_calendars",
    "rules": "INSERT INTO status_transitions VALUES ('booking', 'expired', 'confirmed', 'x')",
    "owner": "SET ROLE pitstop_owner",
    "worker": "SET ROLE pitstop_worker",
    "superuser": "SET ROLE postgres",
    "authorization": "SET SESSION AUTHORIZATION postgres",
    "guard": "ALTER TABLE bookings DISABLE ROW LEVEL SECURITY",
    "policy": "CREATE POLICY x ON bookings USING (TRUE)",
    "trigger": "ALTER TABLE bookings DISABLE TRIGGER honest_status",
    "table": "CREATE TABLE x (y int)",
    "function": "CREATE OR REPLACE FUNCTION caller_role() RETURNS text LANGUAGE sql AS $$ SELECT 'operator' $$",
    "truncate": "TRUNCATE bookings CASCADE",
    "file": "COPY bookings TO '/tmp/x'",
    "program": "COPY bookings FROM PROGRAM 'id'",
}


@pytest.mark.parametrize("role", ["customer", "operator"])
@pytest.mark.parametrize("what", FORBIDDEN)
async def test_what_the_api_may_not_do(as_api: AsCaller, mine: Case, what: str, role: str) -> None:
    async with as_api(role, str(mine.customer_id)) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(FORBIDDEN[what])


OPEN = """
INSERT INTO bookings (
    id, status, request_fingerprint, created_by, customer_id, customer_name, customer_email, country, city, postal_code,
    timezone, service_id, plan_id, mechanic_id, starts_at, ends_at, buffer_before_minutes, buffer_after_minutes, amount,
    currency
) SELECT gen_random_uuid(), $1, '', $2, $3, 'x', 'x', 'CA', 'x', 'x', 'UTC', p.service_id, p.id, ms.mechanic_id,
    now(), now() + '1 hour', 0, 0, 1, 'cad'
FROM plans AS p JOIN mechanic_services AS ms ON ms.service_id = p.service_id WHERE p.id = $4
"""


@pytest.mark.parametrize(
    ("role", "status", "by", "for_whom", "allowed"),
    [
        ("customer", "holding", "me", "me", True),
        ("customer", "holding", "me", "other", False),
        ("customer", "holding", "other", "me", False),
        ("customer", "confirmed", "me", "me", False),
        ("service", "holding", "me", "other", True),
        ("service", "holding", "other", "other", False),
        ("operator", "holding", "me", "other", True),
        ("mechanic", "holding", "me", "me", False),
        ("link", "holding", "me", "me", False),
        ("webhook", "holding", "me", "me", False),
        ("", "holding", "me", "me", False),
    ],
)
async def test_for_whom_the_api_opens_bookings(
    as_api: AsCaller, shop: Shop, role: str, status: str, by: str, for_whom: str, allowed: bool
) -> None:
    people = {"me": uuid4(), "other": uuid4()}
    arguments = (status, str(people[by]), people[for_whom], shop.plan_id)
    async with as_api(role, str(people["me"])) as connection:
        if allowed:
            assert await connection.execute(OPEN, *arguments) == "INSERT 0 1"
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(OPEN, *arguments)


@pytest.mark.parametrize(
    ("status", "held", "own", "removed"),
    [
        ("holding", False, True, 1),
        ("holding", True, True, 0),
        ("holding", False, False, 0),
        ("awaiting_payment", False, True, 0),
    ],
)
async def test_the_api_removes_only_what_holds_nothing_and_is_its_callers(
    database: Pool, as_api: AsCaller, shop: Shop, status: str, held: bool, own: bool, removed: int
) -> None:
    case = await add_booking(database, shop, shop.start(), status)
    if held:
        await database.execute("UPDATE bookings SET hold_expires_at = now() WHERE id = $1", case.booking_id)
    async with as_api("customer", str(case.customer_id if own else uuid4())) as connection:
        assert await connection.execute("DELETE FROM bookings") == f"DELETE {removed}"


async def test_forced_upon_the_owner(rows: Any, mine: Case) -> None:
    """Row security binds the owner too; availability's functions, which are the owner's, read times and no more."""
    await rows.execute("SET LOCAL ROLE pitstop_owner")
    for table in ("bookings", "sessions", "payments", "booking_events", "notifications", "refunds"):
        assert await rows.fetchval(f"SELECT count(*) FROM {table}") == 0, table  # noqa: S608 - our own names
    assert await rows.fetchval("SELECT count(*) FROM slot_reservations") > 0


CATALOGUE = ["mechanics", "services", "plans", "mechanic_services", "availability_rules", "status_transitions"]


@pytest.mark.parametrize("table", [*CATALOGUE, "date_exceptions", "time_off"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "INSERT INTO {} SELECT * FROM {}"])
async def test_the_worker_does_not_change_the_catalogue(
    worker: Any, database: Pool, table: str, statement: str
) -> None:
    column = await database.fetchval(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum = 1", table
    )
    words = (table, column, column) if statement.startswith("UPDATE") else (table, table)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.execute(statement.format(*words))


@pytest.mark.parametrize("role", ["pitstop_owner", "pitstop_api", "postgres"])
async def test_the_worker_stays_the_worker(worker: Any, role: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.execute(f"SET ROLE {role}")
