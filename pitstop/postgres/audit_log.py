"""The audit log on PostgreSQL: written in the transaction of what it tells of, read by operators."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pitstop.domain.audit_log import Entry
from pitstop.domain.caller import Caller
from pitstop.ports import SealedLog
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection, Pool

_SQL, _SEALING = queries.load("audit_log"), queries.load("sealing")


async def note(connection: Connection, caller: Caller, entry: Entry) -> None:
    """Adds the entry to the open transaction: both are kept, or neither."""
    await connection.execute(
        _SQL["note"],
        caller.role,
        caller.subject,
        entry.action,
        entry.object_kind,
        entry.object_id,
        entry.outcome,
        caller.origin.address,
        caller.origin.request_id,
        entry.detail,
    )


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """`before`: the last entry of the page before."""

    actor: str | None
    action: str | None
    object_id: str | None
    since: datetime | None
    until: datetime | None
    before: int | None
    limit: int


class AuditLog:
    """What the API writes apart from a booking, and what operators read, as the role `pitstop_api`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def note(self, caller: Caller, entry: Entry) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["become"], caller.role, caller.subject)
            await note(connection, caller, entry)

    async def read(self, caller: Caller, wanted: AuditFilter, reading: Entry) -> list[dict[str, Any]]:
        """Newest first. That somebody has looked is an entry, too, and on no page of its own looking."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["become"], caller.role, caller.subject)
            rows = await connection.fetch(
                _SQL["read"],
                wanted.actor,
                wanted.action,
                wanted.object_id,
                wanted.since,
                wanted.until,
                wanted.before,
                wanted.limit,
            )
            await note(connection, caller, reading)
        return [dict(row) for row in rows]


class PostgresSeals:
    """Implements the port `SealStore` as the role `pitstop_worker`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def seal(self, most: int) -> SealedLog | None:
        row = await self._pool.fetchrow(_SEALING["seal"], most)
        return SealedLog(**row) if row else None

    async def broken(self, most: int | None = None) -> list[int]:
        return [row["id"] for row in await self._pool.fetch(_SEALING["broken"], most)]
