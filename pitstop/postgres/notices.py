"""The mails that are owed, on PostgreSQL."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.identity import invite_uid
from pitstop.domain.notices import BookingFacts, Claim, join_url
from pitstop.postgres import queries
from pitstop.postgres.pool import Pool

_SQL = queries.load("notices")


class PostgresNotices:
    """Implements the port `NoticeStore`. `manage_url` makes the link by which the customer manages a booking."""

    def __init__(self, pool: Pool, manage_url: Callable[[UUID, datetime], str]) -> None:
        self._pool = pool
        self._manage_url = manage_url

    async def claim(self, key: str, now: datetime) -> Claim | None:
        row = await self._pool.fetchrow(_SQL["claim_notice"], key, now)
        if row is None or row["state"] != "sending":
            return None
        columns = dict(row) | {"kind": SessionKind(row["kind"])}
        del columns["state"]
        attempt: int = columns.pop("attempts")
        booking_id = columns["booking_id"]
        link = self._manage_url(booking_id, columns["end"])
        columns |= {"manage_url": link, "join_url": join_url(link, columns["kind"])}
        return Claim(attempt, BookingFacts(**columns, invite_uid=invite_uid(booking_id)))

    async def mark_sent(self, key: str, now: datetime) -> None:
        await self._pool.execute(_SQL["mark_sent"], key, now)

    async def mark_not_sent(self, key: str, why: str, now: datetime) -> None:
        await self._pool.execute(_SQL["mark_not_sent"], key, now, why)

    async def note_failure(self, key: str, why: str) -> None:
        await self._pool.execute(_SQL["note_failure"], key, why)
