"""The audit's side of PostgreSQL: one snapshot of all bookings, and the books that the audit keeps of itself."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from pitstop.audit.ports import AuditImpossible, Outcome, Page
from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import BookingRecord, Overlap
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus
from pitstop.domain.saga import Standing
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("audit")
_RECORDS = TypeAdapter(list[BookingRecord])
_KINDS = {kind.code: kind for kind in kinds.ALL}
_KEPT_FOR = timedelta(days=90)
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise AuditImpossible(f"PostgreSQL: {error!r}") from error


class PostgresSnapshot:
    """Implements the port `Snapshot` inside a transaction that the caller holds open."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self.now = now

    async def every_booking(self, size: int) -> AsyncIterator[Page]:
        async for rows in self._pages(size, "every_booking"):
            yield Page([row["id"] for row in rows], (rows[0]["created_at"], rows[-1]["created_at"]))

    async def changed_bookings(self, since: datetime, size: int) -> AsyncIterator[Page]:
        async for rows in self._pages(size, "changed_bookings", since):
            yield Page([row["id"] for row in rows])

    async def _pages(self, size: int, query: str, *arguments: object) -> AsyncIterator[list[asyncpg.Record]]:
        """By a cursor of the server: however many there are, one page is here at a time."""
        with _translated():
            cursor = await self._connection.cursor(_SQL[query], *arguments)
            while rows := await cursor.fetch(size):
                yield rows

    async def facts(self, ids: Collection[UUID]) -> dict[UUID, BookingRecord]:
        with _translated():
            rows = await self._connection.fetch(_SQL["facts"], list(ids))
        return {record.id: record for record in _RECORDS.validate_python([dict(row) for row in rows])}

    async def not_open(self, ids: Collection[UUID]) -> set[UUID]:
        with _translated():
            return {row["id"] for row in await self._connection.fetch(_SQL["not_open"], list(ids))}

    async def overlaps(self, ids: Collection[UUID]) -> list[Overlap]:
        with _translated():
            return [Overlap(**row) for row in await self._connection.fetch(_SQL["overlaps"], list(ids))]

    async def guards_missing(self) -> list[str]:
        with _translated():
            return [row["guard"] for row in await self._connection.fetch(_SQL["guards_missing"])]

    async def waitlist_unsound(self, patience: timedelta) -> list[Finding]:
        with _translated():
            rows = await self._connection.fetch(_SQL["waitlist_unsound"], patience)
        return [_KINDS[row["code"]].found(row["booking_id"], row["found"], row["subject"]) for row in rows]


class PostgresRecords:
    """Implements the port `Records` as the role `pitstop_audit`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresSnapshot]:
        with _translated():
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield PostgresSnapshot(connection, await connection.fetchval(_SQL["moment"]))

    async def standing(self, booking_id: UUID) -> Standing | None:
        with _translated():
            row = await self._pool.fetchrow(_SQL["standing"], booking_id)
        if row is None:
            return None
        columns = dict(row) | {"status": BookingStatus(row["status"])}
        return Standing(start=columns.pop("starts_at"), **columns)

    async def last_seen(self) -> datetime | None:
        with _translated():
            seen: datetime | None = await self._pool.fetchval(_SQL["last_seen"])
        return seen

    async def keep(self, outcome: Outcome) -> None:
        """The run with its findings, all or nothing; runs of long ago are forgotten."""
        what = (outcome.seen_at, outcome.since, outcome.seconds, outcome.checked, outcome.is_clean)
        with _translated():
            async with self._pool.acquire() as connection, connection.transaction():
                run = await connection.fetchval(_SQL["keep_run"], *what)
                await connection.executemany(_SQL["keep_finding"], list(_rows(run, outcome)))
                await connection.execute(_SQL["forget_runs"], outcome.seen_at - _KEPT_FOR)


def _rows(run: UUID, outcome: Outcome) -> Iterator[tuple[object, ...]]:
    for position, finding in enumerate(outcome.findings):
        kind = finding.kind
        said = (finding.found, kind.to_do, finding.remedy is not None)
        yield (run, position, kind.code, kind.invariant, finding.booking_id, finding.subject, *said)
