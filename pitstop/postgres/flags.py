"""Flags of bookings whose mechanic will not be there: they follow the mechanic's rules, and the run takes notice."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain import notice_plan
from pitstop.domain.booking import BookingStatus
from pitstop.domain.flags import Resolution, is_away
from pitstop.domain.notices import NoticeKind
from pitstop.domain.rules import ConflictReason
from pitstop.domain.saga import OwedNotice
from pitstop.postgres import queries, steps
from pitstop.postgres.pool import Connection

_SQL = queries.load("flags")
_CHANGES = queries.load("changes")
# An end says itself what becomes of the booking; holds are not the customer's yet, and may become so.
_FLAGGED = (BookingStatus.AWAITING_PAYMENT, BookingStatus.CONFIRMED)


async def follow_rules(
    connection: Connection, mechanic_id: UUID, conflicts: Sequence[dict[str, Any]], soon: timedelta, now: datetime
) -> list[UUID]:
    """Flags the bookings at which the mechanic will not be, and no others. Brings back those whose flag has changed.

    Part of the transaction that changes the rules, which has the mechanic locked.
    """
    conflicts = [each for each in conflicts if not each["held_beside"]]
    away = [each for each in conflicts if is_away(ConflictReason(each["reason"]), each["start"], now, soon)]
    coming = [each for each in away if each["status"] in _FLAGGED and each["start"] > now]
    # Whether the mechanic would be there for a service that is not offered any more, nobody says: a flag stays.
    unknown = [each for each in conflicts if each["reason"] == ConflictReason.NOT_OFFERED]
    kept = [each["booking_id"] for each in (*away, *unknown)]
    lowered = await connection.fetch(_SQL["take_back_flags"], mechanic_id, kept, now)
    ids, reasons = [each["booking_id"] for each in coming], [each["reason"] for each in coming]
    raised = await connection.fetch(_SQL["raise_flags"], mechanic_id, ids, reasons, now)
    return [row["booking_id"] for row in (*lowered, *raised)]


async def judge_anew(connection: Connection, booking: asyncpg.Record, now: datetime) -> None:
    """The booking has come to a time that was held for it: its mechanic may have taken that off meanwhile.

    Part of the transaction that brings it there, which has the mechanic locked. Who is offline is the sweep's to see.
    """
    mechanic: UUID = booking["mechanic_id"]
    reason = await connection.fetchval(_SQL["why_away"], mechanic, booking["starts_at"], booking["ends_at"])
    if reason is not None:
        await connection.execute(_SQL["raise_flags"], mechanic, [booking["booking_id"]], [reason], now)
    await take_notice(connection, booking, now)


async def take_notice(connection: Connection, booking: asyncpg.Record, now: datetime) -> None:
    """The customer is told once of each flag, and once more if the mechanic is there after all."""
    if booking["status"] != BookingStatus.CONFIRMED:
        return
    booking_id: UUID = booking["booking_id"]
    for flag in await connection.fetch(_SQL["flags_with_news"], booking_id):
        entry, owed = await _told(connection, booking_id, flag)
        if entry is not None:
            detail = {"by": flag["raised_by"], "reason": flag["reason"], "notices": len(owed)}
            await connection.execute(_CHANGES["note"], booking_id, now, entry, detail)
            await steps.owe(connection, booking_id, *owed)
    await connection.execute(_SQL["flags_noted"], booking_id, now)


async def _told(connection: Connection, booking_id: UUID, flag: asyncpg.Record) -> tuple[str | None, list[OwedNotice]]:
    if flag["resolved_at"] is None:
        return "mechanic_away", [notice_plan.told_now(booking_id, NoticeKind.AT_RISK, of=flag["id"])]
    if flag["resolution"] != Resolution.TAKEN_BACK or flag["noted_at"] is None:
        return None, []
    await steps.skip_notices(connection, booking_id, "the mechanic is there after all", NoticeKind.AT_RISK)
    return "mechanic_back", [notice_plan.told_now(booking_id, NoticeKind.CONFIRMATION, of=flag["id"])]
