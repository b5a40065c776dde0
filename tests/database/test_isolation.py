"""As the API's own role, hand-written SQL shows and changes nothing of anybody else: in every table there is.

A table that is added later joins by itself: it is found in the catalogue, and a booking's rows in it are asked for here
(tests/support/rows.py puts them there).
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.database.conftest import AsCaller
from tests.support.rows import Case, add_booking, add_everything
from tests.support.shop import Shop

Pool = Any
Identity = tuple[str | None, str]
# Guarded tables that hold no booking's rows; test_row_security.py says who sees them.
_BOOKS = ("audit_runs", "audit_findings", "audit_log", "audit_seals", "erasures", "waiver_documents", "text_opt_outs")
# Mechanics' rules, which everybody reads and their mechanic alone changes (test_own_rules.py).
_RULES = ("mechanics", "mechanic_services", "availability_rules", "date_exceptions")
# Who waits: tests/waitlist/test_visibility.py.
_WAITING = ("waitlist_entries", "freed_slots")
# Addresses of calendars: test_feeds.py. What is agreed with bookings, for anybody to read.
_AGREED = ("booking_policies",)
# What is offered to mechanics before a booking is theirs (test_offers.py).
_OFFERED = ("session_offers",)
# Who changes a workshop, which everybody reads, and who sees a referral: tests/workshop/test_visibility.py.
_WORKSHOPS = ("workshops", "bays", "referrals")
APART = {
    *("time_off", "webhook_inbox", "rate_limits", "calendar_feeds"),
    *(*_BOOKS, *_RULES, *_AGREED, *_WAITING, *_OFFERED, *_WORKSHOPS),
}
_GUARDED = """
SELECT
    c.relname AS name,
    (SELECT attname FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'booking_id') AS belongs,
    (SELECT array_agg(quote_ident(attname) ORDER BY attnum) FROM pg_attribute AS a
     WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
         AND has_column_privilege('pitstop_api', c.oid, attnum, 'SELECT')) AS readable
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relrowsecurity
"""


class Table:
    """A guarded table: how its rows lead to their booking, and what the API's role may read of them."""

    def __init__(self, row: Any) -> None:
        self.name: str = row["name"]
        self.key = "id" if self.name == "bookings" else row["belongs"]
        self.columns = ", ".join(row["readable"] or [])

    @property
    def all_rows(self) -> str:
        return f"SELECT {self.columns} FROM {self.name} WHERE TRUE OR TRUE"  # noqa: S608 - our own names


async def _tables(database: Pool) -> list[Table]:
    tables = [Table(row) for row in await database.fetch(_GUARDED)]
    read = [table for table in tables if table.columns and table.name not in APART]
    assert [table.name for table in read if table.key is None] == [], "add them to APART, with a test of their own"
    return read


@pytest.fixture
async def made_by_a_service(database: Pool, shop: Shop) -> Case:
    return await add_everything(database, shop, shop.start(days=5), by="service")


def _identities(mine: Case, served: Case) -> dict[str, tuple[Identity, set[Any]]]:
    """Who asks, and the bookings that are theirs."""
    return {
        "customer": (("customer", str(mine.customer_id)), {mine.booking_id}),
        "customer of a service": (("customer", str(served.customer_id)), {served.booking_id}),
        "mechanic": (("mechanic", str(mine.shop.mechanic_id)), {mine.booking_id, served.booking_id}),
        "service": (("service", served.created_by), {served.booking_id}),
        "link": (("link", str(mine.booking_id)), {mine.booking_id}),
        # A subject alone says nothing: whoever else is called what one of them is sees nothing.
        "service called like a customer": (("service", mine.created_by), set()),
        "customer called like a service": (("customer", served.created_by), set()),
        "mechanic called like a customer": (("mechanic", str(mine.customer_id)), set()),
        "link called like a customer": (("link", str(mine.customer_id)), set()),
        "feed called like a mechanic": (("feed", str(mine.shop.mechanic_id)), set()),
        "feed called like a booking": (("feed", str(mine.booking_id)), set()),
        "stranger": (("customer", str(uuid4())), set()),
        "webhook": (("webhook", ""), set()),
        "unknown role": (("root", str(mine.customer_id)), set()),
        "nobody": ((None, ""), set()),
    }


async def test_every_table_shows_each_caller_its_own(
    database: Pool, as_api: AsCaller, mine: Case, theirs: Case, made_by_a_service: Case
) -> None:
    for table in await _tables(database):
        count = f"SELECT count(*) FROM {table.name} WHERE {table.key} = ANY($1)"  # noqa: S608 - our own names
        ids = [case.booking_id for case in (mine, theirs, made_by_a_service)]
        assert await database.fetchval(count, ids) == 3, f"tests/support/rows.py adds no row to {table.name}"
        for who, (identity, own) in _identities(mine, made_by_a_service).items():
            async with as_api(*identity) as connection:
                seen = {row[table.key] for row in await connection.fetch(table.all_rows)}
            assert seen == own, (who, table.name)


async def test_copying_out_is_reading(database: Pool, as_api: AsCaller, mine: Case, theirs: Case) -> None:
    for table in await _tables(database):
        copied = BytesIO()
        async with as_api("customer", str(mine.customer_id)) as connection:
            await connection.copy_from_query(table.all_rows, output=copied)
            text = copied.getvalue().decode()
        assert str(mine.booking_id) in text, table.name
        assert str(theirs.booking_id) not in text, table.name


async def test_nothing_of_others_is_changed(
    database: Pool, as_api: AsCaller, mine: Case, theirs: Case, made_by_a_service: Case
) -> None:
    """Refused, or without effect: also what the caller would be allowed to do to its own."""
    for table in await _tables(database):
        for statement in ("UPDATE {0} SET {1} = {1} WHERE {1} = $1", "DELETE FROM {0} WHERE {1} = $1"):
            for who, (identity, _) in _identities(mine, made_by_a_service).items():
                async with as_api(*identity) as connection:
                    try:
                        done = await connection.execute(statement.format(table.name, table.key), theirs.booking_id)
                    except asyncpg.InsufficientPrivilegeError:
                        continue
                assert done.endswith(" 0"), (who, table.name, done)


@pytest.mark.parametrize("by", ["customer", "service", "operator"])
async def test_a_request_is_taken_back_by_who_made_it(database: Pool, as_api: AsCaller, shop: Shop, by: str) -> None:
    """Not by another role of the same name."""
    case = await add_booking(database, shop, shop.start(), "holding", by)
    for role in ("customer", "service", "operator", "mechanic", "link", "webhook"):
        async with as_api(role, case.created_by) as connection:
            done = await connection.execute("DELETE FROM bookings WHERE id = $1", case.booking_id)
        assert done == f"DELETE {int(role == by)}", role


async def test_errors_and_plans_say_nothing_of_hidden_rows(database: Pool, as_api: AsCaller, theirs: Case) -> None:
    """A cast that fails names the value that it failed on; row security comes first, so it reaches no hidden one."""
    for table in await _tables(database):
        async with as_api("customer", str(uuid4())) as connection:
            for column in table.columns.split(", "):
                oracle = f"SELECT count(*) FROM {table.name} WHERE ({column}::text || 'x')::int = 0"  # noqa: S608
                assert await connection.fetchval(oracle) == 0, (table.name, column)
            plan = await connection.fetch(f"EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) {table.all_rows}")
            assert str(theirs.booking_id) not in str(plan)
            statistics = "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND tablename = $1"
            assert await connection.fetchval(statistics, table.name) == 0


async def test_without_row_security_the_same_queries_tell(database: Pool, rows: Any, mine: Case, theirs: Case) -> None:
    """So the tests above can fail."""
    for table in await _tables(database):
        await rows.execute(f"ALTER TABLE {table.name} DISABLE ROW LEVEL SECURITY")
    async with _as_stranger(rows):
        for table in await _tables(database):
            seen = {row[table.key] for row in await rows.fetch(table.all_rows)}
            assert {mine.booking_id, theirs.booking_id} <= seen, table.name
        with pytest.raises(asyncpg.InvalidTextRepresentationError, match="camille@example"):
            await rows.fetchval("SELECT count(*) FROM bookings WHERE customer_email::int = 0")


@asynccontextmanager
async def _as_stranger(rows: Any) -> AsyncIterator[None]:
    await rows.execute("SET LOCAL ROLE pitstop_api")
    await rows.execute("SELECT set_config('pitstop.role', 'customer', TRUE), set_config('pitstop.subject', 'x', TRUE)")
    yield


async def test_who_gets_the_client_secret(
    database: Pool, as_api: AsCaller, mine: Case, theirs: Case, made_by_a_service: Case, shop: Shop
) -> None:
    """Whoever pays: the customer, by token or link, and the service or operator who opened the booking for it.

    Of the booking's own payment, and of the difference that may be paid beside it.
    """
    by_operator = await add_everything(database, shop, shop.start(days=7), by="operator")
    queries = (
        "SELECT id FROM unnest($1::uuid[]) AS id WHERE client_secret_of(id) IS NOT NULL",
        "SELECT booking_id AS id FROM supplements"
        " WHERE booking_id = ANY($1::uuid[]) AND supplement_secret_of(id) IS NOT NULL",
    )
    cases = {"mine": mine, "theirs": theirs, "served": made_by_a_service, "operated": by_operator}
    names = {case.booking_id: name for name, case in cases.items()}
    await _ask_for_differences(database, names)
    getters: list[tuple[Identity, set[str]]] = [
        (("customer", str(mine.customer_id)), {"mine"}),
        (("customer", str(made_by_a_service.customer_id)), {"served"}),
        (("link", str(theirs.booking_id)), {"theirs"}),
        (("service", made_by_a_service.created_by), {"served"}),
        (("service", mine.created_by), set()),
        (("mechanic", str(shop.mechanic_id)), set()),
        (("operator", by_operator.created_by), {"operated"}),
        (("operator", "another"), set()),
        (("webhook", ""), set()),
        ((None, ""), set()),
    ]
    for identity, expected in getters:
        async with as_api(*identity) as connection:
            found = [await connection.fetch(query, list(names)) for query in queries]
        for rows in found:
            assert {names[row["id"]] for row in rows} == expected, identity
    await database.execute("DELETE FROM payments WHERE supplement_id IS NOT NULL AND booking_id = ANY($1)", list(names))


async def _ask_for_differences(database: Pool, bookings: Iterable[UUID]) -> None:
    """Each booking's supplement gets a PaymentIntent, for as long as this test: rows are counted elsewhere."""
    await database.execute(
        "INSERT INTO payments (payment_intent_id, booking_id, amount, currency, client_secret, status, supplement_id)"
        " SELECT 'pi_more_' || id, booking_id, amount, currency, 'secret', 'requires_payment_method', id"
        " FROM supplements WHERE booking_id = ANY($1::uuid[])",
        list(bookings),
    )


@pytest.mark.parametrize("role", ["customer", "mechanic", "operator", "service", "link"])
async def test_nobody_reads_it_from_the_table(as_api: AsCaller, mine: Case, role: str) -> None:
    for sql in ("SELECT client_secret FROM payments", "SELECT * FROM payments", "COPY payments TO STDOUT"):
        async with as_api(role, str(mine.customer_id)) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
