"""Whoever has the address of a calendar sees what its function shows, and no row of any table: the database decides."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.database.conftest import AsCaller
from tests.support.rows import Case
from tests.support.shop import Shop, open_shop

Pool = Any
ENTRIES = "SELECT * FROM feed_entries($1, tstzrange(now() - '1 year'::interval, now() + '1 year'::interval), 100)"
MAKE = "INSERT INTO calendar_feeds (id, mechanic_id, made_at) VALUES ($1, $2, now())"
# What a feed might be tried on, with what belongs to a booking.
TABLES = ("bookings", "booking_events", "sessions", "slot_reservations", "refunds", "notifications", "time_off")


async def open_feed(database: Pool, shop: Shop) -> UUID:
    feed = uuid4()
    await database.execute(MAKE, feed, shop.mechanic_id)
    return feed


@pytest.fixture
async def feed(database: Pool, mine: Case) -> UUID:
    return await open_feed(database, mine.shop)


@pytest.fixture
async def their_feed(database: Pool, theirs: Case) -> UUID:
    return await open_feed(database, theirs.shop)


async def test_it_shows_its_mechanics_entries_and_no_table(as_api: AsCaller, feed: UUID, mine: Case) -> None:
    async with as_api("feed", str(feed)) as connection:
        assert [row["id"] for row in await connection.fetch(ENTRIES, feed)] == [mine.booking_id]
        for table in TABLES:
            assert await connection.fetch(f"SELECT 1 FROM {table}") == [], table  # noqa: S608 - our own names
        assert [row["id"] for row in await connection.fetch("SELECT id FROM calendar_feeds")] == [feed]


async def test_nobody_else_is_shown_anything(
    as_api: AsCaller, feed: UUID, their_feed: UUID, mine: Case, theirs: Case
) -> None:
    """Whichever feed a query names: not by its mechanic's role either, since a feed shows what a feed should."""
    others = [
        *(("feed", str(each)) for each in (their_feed, mine.shop.mechanic_id, mine.booking_id, uuid4(), "")),
        *((role, str(feed)) for role in ("customer", "mechanic", "service", "link", "webhook", "operator")),
        ("mechanic", str(mine.shop.mechanic_id)),
        (None, ""),
    ]
    for who in others:
        async with as_api(*who) as connection:
            assert await connection.fetch(ENTRIES, feed) == [], who


async def test_without_row_security_it_would_be_shown(rows: Any, feed: UUID) -> None:
    """So the test above can fail."""
    await rows.execute("ALTER TABLE calendar_feeds DISABLE ROW LEVEL SECURITY")
    await rows.execute("ALTER TABLE bookings DISABLE ROW LEVEL SECURITY")
    await rows.execute("SET LOCAL ROLE pitstop_api")
    assert len(await rows.fetch(ENTRIES, feed)) == 1


async def test_a_feed_that_is_renewed_shows_nothing_by_its_old_id(
    database: Pool, as_api: AsCaller, feed: UUID, mine: Case
) -> None:
    await database.execute("UPDATE calendar_feeds SET id = $2 WHERE id = $1", feed, uuid4())
    async with as_api("feed", str(feed)) as connection:
        assert await connection.fetch(ENTRIES, feed) == []


async def test_a_mechanic_makes_its_own_feed_and_an_operator_anybodys(
    database: Pool, as_api: AsCaller, feed: UUID, mine: Case
) -> None:
    free = (await open_shop(database)).mechanic_id
    makers = [
        (("mechanic", str(free)), True),
        (("operator", "anybody"), True),
        (("mechanic", str(mine.shop.mechanic_id)), False),
        *(((role, str(free)), False) for role in ("customer", "service", "link", "feed", "webhook", "")),
        (("feed", str(feed)), False),
    ]
    for who, may in makers:
        async with as_api(*who) as connection:
            try:
                await connection.execute(MAKE, uuid4(), free)
            except asyncpg.InsufficientPrivilegeError:
                assert not may, who
            else:
                assert may, who


@pytest.mark.parametrize(
    "statement", ["DELETE FROM calendar_feeds", "UPDATE calendar_feeds SET id = gen_random_uuid()"]
)
async def test_a_feed_is_changed_by_its_own(
    as_api: AsCaller, feed: UUID, their_feed: UUID, mine: Case, statement: str
) -> None:
    async with as_api("mechanic", str(mine.shop.mechanic_id)) as connection:
        assert (await connection.execute(statement)).endswith(" 1")
    for who in (("feed", str(feed)), ("customer", str(mine.shop.mechanic_id)), (None, "")):
        async with as_api(*who) as connection:
            assert (await connection.execute(statement)).endswith(" 0"), who
