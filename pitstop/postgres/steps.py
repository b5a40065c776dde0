"""What all steps on a booking have in common: it is locked first, and each of them is safe to repeat."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from pitstop.domain import reminder_plan, waiver
from pitstop.domain.booking import BookingStatus
from pitstop.domain.catalogue import SessionKind
from pitstop.domain.changes import ChangeOutcome, ChangeRefusal
from pitstop.domain.flags import Resolution
from pitstop.domain.notices import NoticeKind
from pitstop.domain.policy import Party
from pitstop.domain.reminder_plan import Appointment, TextRules
from pitstop.domain.saga import NoticeDue, OwedNotice, PaymentTerms, Standing, Terms
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection

_SQL = queries.load("saga")
_FLAGS = queries.load("flags")
_PROPOSALS = queries.load("proposals")
_CHANGES = queries.load("changes")
_SUPPLEMENTS = queries.load("supplements")
# The outcome of a change that was made.
DONE = "done"
# Notices that are of no use once the session has begun, or has another time.
OF_ITS_TIME = (NoticeKind.REMINDER, NoticeKind.WAIVER_REQUEST)
# What tells of a place that the booking has left since, or of something that is over.
OUTDATED = (
    NoticeKind.HANDED_OVER,
    NoticeKind.AT_RISK,
    NoticeKind.PROPOSAL,
    NoticeKind.WORKSHOP_REQUEST,
    NoticeKind.WORKSHOP_ASKED,
    NoticeKind.WORKSHOP_PROPOSAL,
)


async def lock(connection: Connection, booking_id: UUID) -> asyncpg.Record | None:
    """The booking as it stands, which nobody else changes before this transaction ends; None when there is none."""
    await connection.execute(_SQL["wait_for_booking"], booking_id)
    return await connection.fetchrow(_SQL["lock_booking"], booking_id)


async def terms_of(connection: Connection, booking: asyncpg.Record, **changed: Any) -> Terms:
    """The booking's terms with all notices that are owed; `changed` is what has changed since it was read."""
    if "notices" not in changed:
        unsent = await connection.fetch(_SQL["unsent_notices"], booking["booking_id"])
        changed["notices"] = tuple(NoticeDue.model_validate(dict(row)) for row in unsent)
    return Terms.model_validate({**booking, "start": booking["starts_at"], "end": booking["ends_at"]} | changed)


def payment_terms(row: asyncpg.Record, change_id: UUID | None = None) -> PaymentTerms:
    """What a PaymentIntent is made from: for a booking, or for the difference that this change of it costs."""
    return PaymentTerms(
        amount=row["amount"],
        currency=row["currency"],
        customer_email=row["customer_email"],
        mechanic_id=row["mechanic_id"],
        start=row["starts_at"],
        service_name=row["service_name"],
        payment_intent_id=row["payment_intent_id"],
        change_id=change_id,
    )


async def end(
    connection: Connection,
    booking_id: UUID,
    status: BookingStatus,
    from_states: list[BookingStatus],
    now: datetime,
    *,
    invite_change: int = 0,
    kept: int | None = None,
    detail: dict[str, Any] | None = None,
) -> bool:
    """Whether the booking went to this end now; False when it was not in one of `from_states`.

    `kept`: what stays of the money; None leaves that open.
    """
    arguments = (booking_id, status, from_states, invite_change, now, detail or {}, kept)
    if await connection.fetchval(_SQL["end_booking"], *arguments) is None:
        return False
    how = Resolution.CANCELLED if status is BookingStatus.CANCELLED else Resolution.ENDED
    await let_go_of_flags(connection, booking_id, how, now)
    return True


async def let_go_of_flags(connection: Connection, booking_id: UUID, how: Resolution, now: datetime) -> None:
    """The booking is not what was flagged any more, nor what another time was proposed for, or is to be paid for."""
    await connection.execute(_FLAGS["resolve_flags"], booking_id, how, now)
    await close_proposal(connection, booking_id, "closed", now)
    await close_supplement(connection, booking_id, "closed", now)


async def forget_check_ins(connection: Connection, booking_id: UUID, *parties: Party) -> None:
    """They have come to a time, or as a mechanic, that the booking leaves: that says nothing of where it goes."""
    await connection.execute(_CHANGES["forget_check_ins"], booking_id, parties)


async def close_supplement(connection: Connection, booking_id: UUID, how: str, now: datetime, **more: Any) -> None:
    """The open one, if there is one: nobody is to pay it any more, and its run sees to it that nobody can."""
    closed = await connection.fetchval(_SUPPLEMENTS["close_supplement"], booking_id, how, now)
    if closed is not None:
        detail = {"supplement_id": str(closed), **more}
        await connection.execute(_CHANGES["note"], booking_id, now, f"supplement_{how}", detail)


async def close_proposal(connection: Connection, booking_id: UUID, how: str, now: datetime) -> bool:
    """Whether one was open."""
    return await connection.fetchval(_PROPOSALS["close_proposal"], booking_id, how, now) is not None


async def lapse_proposal(connection: Connection, booking_id: UUID, now: datetime) -> None:
    """Nobody has answered it in time: the booking stays as it is, and a flag on it, too."""
    if await connection.fetchval(_PROPOSALS["lapse_proposal"], booking_id, now) is not None:
        await skip_notices(connection, booking_id, "the proposal has lapsed", NoticeKind.PROPOSAL)
        await connection.execute(_CHANGES["note"], booking_id, now, "proposal_lapsed", {"by": "clock"})


async def owe(connection: Connection, booking_id: UUID, *owed: OwedNotice) -> None:
    """Puts the notices on record; those that are there stay as they are."""
    await connection.execute(_SQL["owe_notices"], booking_id, *columns(owed))


def reminders(
    booking: asyncpg.Record,
    start: datetime,
    offsets: Iterable[timedelta],
    texts: TextRules,
    now: datetime,
    move: int = 0,
) -> list[OwedNotice]:
    """Those of a start that was agreed at `now`. The service's own offsets, as they were then, go before the others."""
    own = booking["reminder_offsets"]
    appointment = Appointment(
        booking_id=booking["booking_id"],
        start=start,
        timezone=booking["timezone"],
        wants_texts=booking["wants_texts"],
        offsets=tuple(offsets if own is None else own),
        move=move,
    )
    return reminder_plan.reminders(appointment, texts, now)


def waiver_request(booking: asyncpg.Record, start: datetime | None, now: datetime, move: int = 0) -> list[OwedNotice]:
    """The mail that asks for a waiver, in the zone in which the session's times are shown."""
    kind = SessionKind(booking["kind"])
    zone = booking["venue_timezone"] if kind is SessionKind.IN_PERSON else booking["timezone"]
    return waiver.request_owed(booking["booking_id"], kind, start, now, ZoneInfo(zone), move)


async def skip_notices(connection: Connection, booking_id: UUID, why: str, *kinds: NoticeKind) -> None:
    await connection.execute(_SQL["skip_unsent_notices"], booking_id, why, kinds)


async def owe_refund(
    connection: Connection, booking_id: UUID, amount: int | None, reason: str, now: datetime, cause: str = "full"
) -> None:
    """Money that goes back is on record, once for its cause: the end of a booking (`full`), or a move.

    `amount` None: all that is still there.
    """
    await connection.execute(_SQL["request_refund"], booking_id, reason, now, amount, cause)


def columns(owed: Iterable[OwedNotice]) -> tuple[list[Any], ...]:
    """The notices as the columns that `unnest` wants: key, kind, status, due_at, detail, channel, move, about."""
    owed = list(owed)
    return (
        [notice.key for notice in owed],
        [notice.kind for notice in owed],
        ["skipped" if notice.skip_reason else "pending" for notice in owed],
        [notice.due_at for notice in owed],
        [notice.skip_reason for notice in owed],
        [notice.channel for notice in owed],
        [notice.move for notice in owed],
        [dict(notice.about) for notice in owed],
    )


def standing_of(row: asyncpg.Record) -> Standing:
    return Standing(
        booking_id=row["booking_id"],
        fingerprint=row["fingerprint"],
        mechanic_id=row["mechanic_id"],
        customer_id=row["customer_id"],
        start=row["starts_at"],
        status=BookingStatus(row["status"]),
    )


def decided(outcome: str, detail: dict[str, Any], terms: Terms | None = None) -> ChangeOutcome:
    """What became of a change, as it is on record."""
    if outcome == DONE:
        return ChangeOutcome(terms=terms)
    return ChangeOutcome(
        refusal=ChangeRefusal(outcome), why=detail.get("why"), reason=detail.get("reason"), terms=terms
    )
