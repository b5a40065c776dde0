"""Mechanics' calendars to subscribe to, and who may have their addresses; row-level security decides."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from pitstop.domain.audit_log import Action
from pitstop.domain.audit_log import Entry as Deed
from pitstop.domain.caller import Caller, Role
from pitstop.domain.catalogue import SessionKind
from pitstop.domain.feeds import Address, Entry, Feed
from pitstop.postgres import queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("feeds")
BEHIND, AHEAD = timedelta(days=31), timedelta(days=366)
MOST_ENTRIES = 5000


class MechanicFeeds:
    """As the role `pitstop_api`. Where there is nothing that this caller may have: None."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def address(self, caller: Caller, mechanic_id: UUID) -> Address | None:
        """The feed as it stands. That an operator has been given it is on record."""
        async with self._as(caller) as connection:
            row = await connection.fetchrow(_SQL["address"], mechanic_id)
            if row and caller.role is Role.OPERATOR:
                await note(connection, caller, Deed(Action.READ_CALENDAR_ADDRESS, "mechanic", str(mechanic_id)))
        return Address(**row) if row else None

    async def renew(self, caller: Caller, mechanic_id: UUID, now: datetime) -> Address | None:
        """A new address; whoever has the one before sees nothing any more."""
        async with self._as(caller) as connection:
            row = await connection.fetchrow(_SQL["renew"], mechanic_id, uuid4(), now)
            if row:
                await note(connection, caller, Deed(Action.MAKE_CALENDAR_ADDRESS, "mechanic", str(mechanic_id)))
        return Address(**row) if row else None

    async def remove(self, caller: Caller, mechanic_id: UUID) -> bool:
        """Whether there was one."""
        async with self._as(caller) as connection:
            found = await connection.fetchval(_SQL["remove"], mechanic_id) is not None
            if found:
                await note(connection, caller, Deed(Action.REMOVE_CALENDAR_ADDRESS, "mechanic", str(mechanic_id)))
        return found

    async def read(self, feed_id: UUID, mechanic_id: UUID, now: datetime) -> Feed | None:
        """What the feed shows, `BEHIND` to `AHEAD`, by start, at most `MOST_ENTRIES`. None: it is revoked."""
        async with self._as(Caller(Role.FEED, str(feed_id))) as connection:
            name = await connection.fetchval(_SQL["owner"], feed_id, mechanic_id)
            if name is None:
                return None
            rows = await connection.fetch(_SQL["entries"], feed_id, now - BEHIND, now + AHEAD, MOST_ENTRIES)
        return Feed(name, [_entry(dict(row)) for row in rows])

    @asynccontextmanager
    async def _as(self, caller: Caller) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["become"], caller.role, caller.subject)
            yield connection


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(**row | {"kind": SessionKind(row["kind"]) if row["kind"] else None})
