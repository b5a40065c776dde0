"""The mails that are owed, on PostgreSQL."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.identity import invite_uid
from pitstop.domain.notices import BookingFacts, Claim, NoticeKind, join_url
from pitstop.postgres import queries
from pitstop.postgres.pool import Pool

_SQL = queries.load("notices")


class PostgresNotices:
    """Implements the port `NoticeStore`. `manage_url` makes the link by which the customer manages a booking,
    `referral_url` that by which it books what it was referred to."""

    def __init__(
        self, pool: Pool, manage_url: Callable[[UUID, datetime], str], referral_url: Callable[[UUID], str]
    ) -> None:
        self._pool = pool
        self._referral_url = referral_url
        self._manage_url = manage_url

    async def claim(self, key: str, now: datetime) -> Claim | None:
        row = await self._pool.fetchrow(_SQL["claim_notice"], key, now)
        if row is None or row["state"] != "sending":
            return None
        columns = dict(row) | {"kind": SessionKind(row["kind"])}
        del columns["state"]
        told = NoticeKind(columns.pop("notice_kind"))
        workshop = {name: columns.pop(f"workshop_{name}") for name in ("name", "email")}
        attempt: int = columns.pop("attempts")
        booking_id = columns["booking_id"]
        link = self._manage_url(booking_id, columns["end"])
        columns |= {"manage_url": link, "join_url": join_url(link, columns["kind"])}
        if told is NoticeKind.WORKSHOP_REQUEST:
            # To the workshop, which has its dashboard: the customer's link and address are not for it.
            columns |= {"customer_name": workshop["name"], "customer_email": workshop["email"] or ""}
            columns |= {"manage_url": "", "join_url": "", "customer_timezone": columns["venue_timezone"]}
        if told is NoticeKind.REFERRAL:
            columns["manage_url"] = self._referral_url(UUID(key.rpartition("/")[2]))
        return Claim(attempt, BookingFacts(**columns, invite_uid=invite_uid(booking_id)))

    async def mark_sent(self, key: str, now: datetime) -> None:
        await self._pool.execute(_SQL["mark_sent"], key, now)

    async def mark_not_sent(self, key: str, why: str, now: datetime) -> None:
        await self._pool.execute(_SQL["mark_not_sent"], key, now, why)

    async def note_failure(self, key: str, why: str) -> None:
        await self._pool.execute(_SQL["note_failure"], key, why)
