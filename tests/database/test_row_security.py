"""A hand-written query sees what its caller may see, whatever it asks for: the database decides, not the query."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.database.conftest import AsCaller
from tests.support.databases import Urls
from tests.support.rows import Case
from tests.support.shop import Shop

Pool = Any
# How each table's rows lead to their booking.
TABLES = {
    "bookings": "id",
    "booking_events": "booking_id",
    "sessions": "booking_id",
    "slot_reservations": "booking_id",
    "payments": "booking_id",
    "refunds": "booking_id",
    "notifications": "booking_id",
    "booking_changes": "booking_id",
    "check_ins": "booking_id",
    "booking_flags": "booking_id",
    "proposals": "booking_id",
    "supplements": "booking_id",
    "waiver_signatures": "booking_id",
}
# What anybody may see: the catalogue, and who works where.
PUBLIC = {
    *("services", "plans", "status_transitions", "holiday_calendars", "public_holidays"),
    "schema_migrations",
}


async def _seen(connection: Any, table: str, *cases: Case) -> list[int]:
    """How many rows of each booking this caller sees in the table."""
    query = f"SELECT count(*) FROM {table} WHERE {TABLES[table]} = $1"  # noqa: S608 - our own names
    return [await connection.fetchval(query, case.booking_id) for case in cases]


async def test_every_table_is_guarded_or_public_on_purpose(database: Pool) -> None:
    """A new table is guarded, forced upon its owner too and has a policy, or stands in the short list above."""
    rows = await database.fetch(
        "SELECT relname, relrowsecurity, relforcerowsecurity,"
        " EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid) AS has_policy"
        " FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    assert {row["relname"] for row in rows} >= TABLES.keys() | PUBLIC
    for row in rows:
        guarded = row["relname"] not in PUBLIC
        assert [row["relrowsecurity"], row["relforcerowsecurity"], row["has_policy"]] == [guarded] * 3, row["relname"]


async def test_no_role_of_the_product_is_above_the_rules(database: Pool) -> None:
    rows = await database.fetch(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname ^@ 'pitstop_'"
    )
    assert {row["rolname"] for row in rows} == {"pitstop_owner", "pitstop_worker", "pitstop_api", "pitstop_audit"}
    assert not any(value for row in rows for value in tuple(row)[1:])
    owners = await database.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert "pitstop_owner" in {row["tableowner"] for row in owners}
    assert not {"pitstop_api", "pitstop_worker", "pitstop_audit"} & {row["tableowner"] for row in owners}


@pytest.mark.parametrize("table", TABLES)
async def test_who_sees_which_rows(database: Pool, as_api: AsCaller, mine: Case, theirs: Case, table: str) -> None:
    assert await _seen(database, table, mine, theirs) == [1, 1], "they are there"
    callers = {
        ("customer", str(mine.customer_id)): [1, 0],
        ("customer", str(theirs.customer_id)): [0, 1],
        ("customer", str(uuid4())): [0, 0],
        ("customer", ""): [0, 0],
        ("customer", str(mine.shop.mechanic_id)): [0, 0],
        ("mechanic", str(mine.shop.mechanic_id)): [1, 0],
        ("mechanic", str(mine.customer_id)): [0, 0],
        # Customers made these bookings; what a service made is in test_isolation.py.
        ("service", mine.created_by): [0, 0],
        ("service", str(uuid4())): [0, 0],
        ("link", str(theirs.booking_id)): [0, 1],
        ("link", str(mine.customer_id)): [0, 0],
        ("operator", "anybody"): [1, 1],
        ("webhook", ""): [0, 0],
        ("", ""): [0, 0],
        ("admin", "x"): [0, 0],
    }
    for (role, subject), expected in callers.items():
        async with as_api(role, subject) as connection:
            assert await _seen(connection, table, mine, theirs) == expected, (role, subject)
    async with as_api() as connection:
        assert await _seen(connection, table, mine, theirs) == [0, 0], "nobody said who asks"


@pytest.mark.parametrize("table", TABLES)
async def test_customer_a_sees_nothing_of_anybody_else(as_api: AsCaller, mine: Case, theirs: Case, table: str) -> None:
    """Not even by asking for everything."""
    async with as_api("customer", str(mine.customer_id)) as connection:
        query = f"SELECT {TABLES[table]} AS booking FROM {table} WHERE TRUE OR TRUE"  # noqa: S608 - our own names
        assert {row["booking"] for row in await connection.fetch(query)} == {mine.booking_id}


@pytest.mark.parametrize("table", TABLES)
async def test_row_security_is_what_hides_them(rows: Any, mine: Case, theirs: Case, table: str) -> None:
    """Without it the same role, as the same customer, sees the other's: so the tests above can fail."""
    await rows.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    # What belongs to a booking is hidden with it.
    await rows.execute("ALTER TABLE bookings DISABLE ROW LEVEL SECURITY")
    await rows.execute("SET LOCAL ROLE pitstop_api")
    identity = "SELECT set_config('pitstop.role', 'customer', TRUE), set_config('pitstop.subject', $1, TRUE)"
    await rows.execute(identity, str(mine.customer_id))
    assert await _seen(rows, table, mine, theirs) == [1, 1]


async def test_an_identity_ends_with_its_transaction(urls: Urls, mine: Case) -> None:
    """A connection that goes back to its pool takes nobody's name along."""
    connection = await asyncpg.connect(urls.api)
    async with connection.transaction():
        await connection.execute("SELECT set_config('pitstop.role', 'operator', TRUE)")
        assert await _seen(connection, "bookings", mine) == [1]
    assert await _seen(connection, "bookings", mine) == [0]
    await connection.close()


async def test_time_off_is_its_mechanics(database: Pool, as_api: AsCaller, shop: Shop) -> None:
    await database.execute(
        "INSERT INTO time_off (mechanic_id, during, reason) VALUES ($1, tstzrange(now(), now() + '1 day'), 'surgery')",
        shop.mechanic_id,
    )
    query = "SELECT count(*) FROM time_off WHERE mechanic_id = $1"
    mechanic = str(shop.mechanic_id)
    for role, subject, seen in (
        ("mechanic", mechanic, 1),
        ("operator", "x", 1),
        ("mechanic", str(uuid4()), 0),
        ("customer", mechanic, 0),
        ("service", mechanic, 0),
        ("", "", 0),
    ):
        async with as_api(role, subject) as connection:
            assert await connection.fetchval(query, shop.mechanic_id) == seen, role


async def test_webhooks_are_seen_by_nobody_else(database: Pool, as_api: AsCaller) -> None:
    event = f"evt_{uuid4().hex}"
    await database.execute("INSERT INTO webhook_inbox (event_id, type, payload) VALUES ($1, 'x', '{}')", event)
    query = "SELECT count(*) FROM webhook_inbox WHERE event_id = $1"
    for role, seen in (("webhook", 1), ("operator", 0), ("customer", 0), ("service", 0), ("", 0)):
        async with as_api(role, "x") as connection:
            assert await connection.fetchval(query, event) == seen, role
    await database.execute("DELETE FROM webhook_inbox WHERE event_id = $1", event)
