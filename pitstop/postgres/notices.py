"""The notices that are owed, on PostgreSQL."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.identity import invite_uid
from pitstop.domain.notices import BookingFacts, Channel, Claim, Language, NoticeKind, join_url
from pitstop.postgres import queries
from pitstop.postgres.pool import Pool

_SQL = queries.load("notices")
_OF_CLAIM = (
    "state",
    "attempts",
    "channel",
    "sending",
    "message_sid",
    "since",
    "notice_kind",
    "workshop_name",
    "workshop_email",
    "workshop_language",
    "recommended_start",
    "key",
)


class PostgresNotices:
    """Implements the port `NoticeStore`. `manage_url` makes the link by which the customer manages a booking,
    `referral_url` that by which it books what it was referred to.

    `number_names` are the digests under which a number's wish for no text messages may be on record.
    """

    def __init__(
        self,
        pool: Pool,
        manage_url: Callable[[UUID, datetime], str],
        number_names: Callable[[str], Sequence[bytes]],
        referral_url: Callable[[UUID], str],
    ) -> None:
        self._pool = pool
        self._referral_url = referral_url
        self._manage_url = manage_url
        self._number_names = number_names

    async def claim(self, key: str, now: datetime) -> Claim | None:
        row = await self._pool.fetchrow(_SQL["claim_notice"], key, now, await self._digests(key))
        if row is None or row["state"] != "sending":
            return None
        return Claim(
            attempt=row["attempts"],
            facts=self._facts(dict(row)),
            kind=NoticeKind(row["notice_kind"]),
            channel=Channel(row["channel"]),
            sending=row["sending"],
            since=row["since"],
            message_sid=row["message_sid"],
        )

    def _facts(self, row: dict[str, Any]) -> BookingFacts:
        columns = {name: value for name, value in row.items() if name not in _OF_CLAIM}
        booking_id = columns["booking_id"]
        columns |= {"kind": SessionKind(row["kind"]), "language": Language(row["language"])}
        link = self._manage_url(booking_id, columns["end"])
        columns |= {"manage_url": link, "join_url": join_url(link, columns["kind"])}
        told = NoticeKind(row["notice_kind"])
        if told is NoticeKind.WORKSHOP_REQUEST:
            # To the workshop, which has its language and dashboard: the customer's link and address are not for it.
            columns["language"] = Language(row["workshop_language"])
            columns |= {"customer_name": row["workshop_name"], "customer_email": row["workshop_email"] or ""}
            columns |= {"manage_url": "", "join_url": "", "customer_timezone": columns["venue_timezone"]}
        if told is NoticeKind.REFERRAL:
            columns["manage_url"] = self._referral_url(UUID(row["key"].rpartition("/")[2]))
            columns["detail"] = columns["detail"] | {"offered_start": row["recommended_start"]}
        return BookingFacts(**columns, invite_uid=invite_uid(booking_id))

    async def _digests(self, key: str) -> list[bytes]:
        """None for a mail, whose key does not end as a text message's does."""
        if not key.endswith(f"/{Channel.SMS}"):
            return []
        number = await self._pool.fetchval(_SQL["number_of"], key)
        return list(self._number_names(number)) if number else []

    async def mark_sent(self, key: str, sending: int, now: datetime, message_sid: str | None = None) -> None:
        await self._pool.execute(_SQL["mark_sent"], key, now, message_sid, sending)

    async def mark_not_sent(self, key: str, why: str, now: datetime, sending: int | None = None) -> None:
        await self._pool.execute(_SQL["mark_not_sent"], key, now, why, sending)

    async def note_failure(self, key: str, sending: int, why: str) -> None:
        await self._pool.execute(_SQL["note_failure"], key, why, sending)

    async def note_opt_out(self, number: str) -> None:
        await self._pool.execute(_SQL["note_opt_out"], self._number_names(number)[0])

    async def not_known(self, key: str, message_sids: Sequence[str]) -> list[str]:
        rows = await self._pool.fetch(_SQL["taken_by_others"], key, list(message_sids))
        known = {row["message_sid"] for row in rows}
        return [sid for sid in message_sids if sid not in known]
