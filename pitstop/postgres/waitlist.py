"""The waitlist on PostgreSQL, as the worker serves it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from pitstop.domain.identity import offer_id
from pitstop.domain.waitlist import Offer
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection, Pool
from pitstop.postgres.steps import standing_of

_SQL = queries.load("waitlist")


class PostgresWaitlist:
    """Implements the port `WaitlistStore` as the role `pitstop_worker`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def next_offer(self, refused: Sequence[UUID], lasts: timedelta, now: datetime) -> Offer | None:
        """Goes through what has come free, one transaction each. A row is done when nobody in line has a use for it."""
        while True:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_SQL["one_at_a_time"])
                if (unheld := await connection.fetchrow(_SQL["unheld_offer"])) is not None:
                    return _offer(unheld)
                if (freed := await connection.fetchrow(_SQL["oldest_freed"])) is None:
                    return None
                if (offer := await _to_the_first(connection, freed, refused, lasts, now)) is not None:
                    return offer
                await connection.execute(_SQL["looked_at"], freed["id"])

    async def withdraw(self, booking_id: UUID) -> None:
        await self._pool.execute(_SQL["withdraw_offer"], booking_id)

    async def look(self, lasts: timedelta, now: datetime, most: int, *, only_due: bool) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            entries = await connection.fetch(_SQL["look"], most, only_due)
            for entry in sorted(entries, key=lambda each: each["place"]):
                await connection.execute(_SQL["note_what_is_free"], entry["id"], now, lasts)
        return len(entries)

    async def lapse(self, now: datetime) -> None:
        await self._pool.execute(_SQL["lapse"], now)

    async def owes_something(self) -> bool:
        return bool(await self._pool.fetchval(_SQL["is_owed_something"]))


async def _to_the_first(
    connection: Connection, freed: asyncpg.Record, refused: Sequence[UUID], lasts: timedelta, now: datetime
) -> Offer | None:
    """Opens the booking of the first in line who has a use for what has come free."""
    mechanic, span = freed["mechanic_id"], freed["span"]
    for entry in await connection.fetch(_SQL["line"], mechanic, span, list(refused)):
        await connection.execute(_SQL["lock_entry"], entry["id"])
        start = await connection.fetchval(_SQL["fit"], entry["id"], mechanic, span, now, lasts)
        if start is not None:
            return await _open(connection, entry["id"], mechanic, start)
    return None


async def _open(connection: Connection, entry: UUID, mechanic: UUID, start: datetime) -> Offer:
    number = await connection.fetchval(_SQL["offers_made"], entry) + 1
    row = await connection.fetchrow(_SQL["open_offer"], entry, number, offer_id(entry, number), mechanic, start)
    assert row is not None  # noqa: S101 - the entry is locked, and its plan and service are there
    return _offer(row)


def _offer(row: asyncpg.Record) -> Offer:
    standing = standing_of(row)
    return Offer(row["waitlist_entry_id"], standing, f"offered from the waitlist, {standing.start:%Y-%m-%d %H:%M} UTC")
