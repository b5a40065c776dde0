"""What is asked of a booking that has its slot, on PostgreSQL: decided and done in one transaction, or refused."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.caller import Role
from pitstop.domain.changes import (
    POSSIBLE_IN,
    ChangeKind,
    ChangeOutcome,
    ChangeRefusal,
    is_done_by,
    refusal_in,
    why_not_in,
)
from pitstop.domain.course import Course
from pitstop.domain.flags import Resolution
from pitstop.domain.notices import NoticeKind
from pitstop.domain.policy import Party, part_of
from pitstop.domain.reminder_plan import NO_TEXTS, TextRules
from pitstop.domain.saga import Terms
from pitstop.postgres import (
    flags,
    hand_overs,
    offers,
    proposals,
    queries,
    rescheduling,
    steps,
    workshop_proposals,
    workshop_words,
)
from pitstop.postgres.asking import UNANSWERED, Asked, Refused, percent_back, require_version, require_waiver
from pitstop.postgres.pool import Connection, Pool
from pitstop.postgres.settling import settle as _settle

_SQL = queries.load("changes")
_FLAGS = queries.load("flags")
_SAGA = queries.load("saga")
# What the clock asks needs nothing that its run brings along.
_NO_COURSE = Course((), timedelta(0))


class PostgresChanges:
    """Implements the port `ChangeStore` as the role `pitstop_worker`."""

    def __init__(self, pool: Pool, texts: TextRules = NO_TEXTS) -> None:
        self._pool = pool
        self._texts = texts

    async def terms(self, booking_id: UUID, now: datetime) -> Terms | None:
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is not None and booking["status"] == BookingStatus.CONFIRMED:
                await flags.take_notice(connection, booking, now)
                if workshop_words.has_lapsed(booking, now):
                    await _lapse(Asked(connection, booking, None, {}, _NO_COURSE, now))
                await steps.lapse_proposal(connection, booking_id, now)
                booking = await steps.lock(connection, booking_id)
            return await _terms(connection, booking)

    async def apply(self, booking_id: UUID, change_id: UUID, course: Course, now: datetime) -> ChangeOutcome:
        """Decides on the change, once: a repeated call brings back what was decided, with the terms as they are."""
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            change = await connection.fetchrow(_SQL["change"], change_id, booking_id)
            if booking is None or change is None:
                return ChangeOutcome(refusal=ChangeRefusal.WITHDRAWN, terms=await _terms(connection, booking))
            outcome, detail = change["outcome"], change["detail"]
            if outcome is None:
                role = Role(change["asked_by_role"])
                said = (change["wanted"], course, now, change_id, self._texts, change["reason"])
                asked = Asked(connection, booking, role, *said)
                outcome, detail = await _decide(asked, ChangeKind(change["kind"]), change["theirs"])
                await connection.execute(_SQL["decide"], change_id, now, outcome, detail)
                booking = await steps.lock(connection, booking_id) or booking
            return steps.decided(outcome, detail, await steps.terms_of(connection, booking))

    async def offer(self, booking_id: UUID, course: Course, now: datetime) -> Terms | None:
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is None:
                return None
            asked = Asked(connection, booking, None, {}, course, now, texts=self._texts)
            if asked.is_in(BookingStatus.PENDING):
                await offers.move_on(asked)
                booking = await steps.lock(connection, booking_id) or booking
            return await steps.terms_of(connection, booking)

    async def close(self, booking_id: UUID, course: Course, now: datetime) -> Terms | None:
        """The time is over. Nobody has to press a button; but a customer who came and was left alone pays nothing."""
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is None:
                return None
            asked = Asked(connection, booking, None, {}, course, now, None, self._texts)
            # A run that has not heard of a move comes too early: it is given the terms that there are now.
            due = booking["ends_at"] is not None and booking["ends_at"] <= now
            if due and asked.is_in(BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS):
                await _close(asked)
                booking = await steps.lock(connection, booking_id) or booking
            return await steps.terms_of(connection, booking)


async def _terms(connection: Connection, booking: asyncpg.Record | None) -> Terms | None:
    """Of a booking that has got as far as a hold."""
    return await steps.terms_of(connection, booking) if booking and booking["hold_expires_at"] else None


async def _close(asked: Asked) -> None:
    if asked.is_in(BookingStatus.CONFIRMED) and await _was_left_alone(asked):
        await _nobody_came(asked, "mechanic")
    else:
        await _complete_now(asked)


async def _decide(asked: Asked, kind: ChangeKind, theirs: bool) -> tuple[str, dict[str, Any]]:
    if not theirs:
        return ChangeRefusal.NOT_THEIRS, {"why": "The booking has gone to somebody else since this was asked."}
    status = BookingStatus(asked.booking["status"])
    if is_done_by(kind, status):
        return steps.DONE, {"unchanged": True}
    if status not in POSSIBLE_IN[kind]:
        return refusal_in(kind), {"why": why_not_in(kind, status)}
    attempt = asked.connection.transaction()
    await attempt.start()
    try:
        detail = await _DEEDS[kind](asked)
    except Refused as refused:
        await attempt.rollback()
        return refused.refusal, {"why": refused.why, "reason": refused.reason}
    except asyncpg.ExclusionViolationError:
        await attempt.rollback()
        return ChangeRefusal.SLOT_UNAVAILABLE, {"why": "Somebody else has this time.", "reason": SlotRefusal.TAKEN}
    await attempt.commit()
    return steps.DONE, detail


async def _cancel(asked: Asked) -> dict[str, Any]:
    """Frees the slot; what goes back is said by the frozen policy, and is owed from here on."""
    waits = asked.is_in(BookingStatus.AWAITING_PAYMENT)
    if asked.wanted.get("unpaid") and (asked.course.paid or not waits):
        raise Refused(ChangeRefusal.NOT_CANCELLABLE, "It has been paid for.")
    if waits:
        # Nothing can have changed of it, and nobody can pay for it any more: its PaymentIntent was cancelled first.
        return await _call_off(asked, 100)
    require_version(asked)
    if asked.for_customer and asked.is_in(BookingStatus.CONFIRMED) and asked.start <= asked.now:
        raise Refused(ChangeRefusal.NOT_CANCELLABLE, "The session's time has begun.")
    return await _call_off(asked, _percent_back(asked))


def _percent_back(asked: Asked) -> int:
    """All, unless the customer cancels."""
    if not asked.for_customer or asked.is_in(BookingStatus.PENDING):
        return 100
    return percent_back(asked)


async def _call_off(
    asked: Asked, percent: int, tell: NoticeKind = NoticeKind.CANCELLATION, **about: str
) -> dict[str, Any]:
    """`about`: what the mail tells besides."""
    had_session = not asked.is_in(BookingStatus.AWAITING_PAYMENT)
    paid = had_session if asked.course.paid is None else asked.course.paid
    back = part_of(asked.booking["amount"], percent) if paid else 0
    await asked.connection.execute(_SAGA["release_reservation"], asked.booking_id, "cancelled")
    await asked.connection.execute(_SAGA["cancel_session"], asked.booking_id)
    if paid:
        await asked.connection.execute(_SAGA["record_payment"], asked.booking_id, asked.now)
    await asked.connection.execute(_SAGA["void_payment_record"], asked.booking_id, asked.now)
    told = tell if had_session else NoticeKind.REFUND if paid else None
    settled = {"refund": back, "percent": percent} if paid else {}
    await _settle(asked, BookingStatus.CANCELLED, back, paid, settled, told, about, invite_change=1)
    return settled


async def _workshop_declines(asked: Asked) -> dict[str, Any]:
    """The booking ends, and all of the money goes back."""
    workshop_words.require_awaited(asked)
    require_version(asked)
    await workshop_words.end(asked, "declined")
    return await _call_off(asked, 100, NoticeKind.WORKSHOP_DECLINED)


async def _decline_proposal(asked: Asked) -> dict[str, Any]:
    """The workshop cannot have the customer at the time that was booked: without another one the booking ends."""
    declined = await proposals.decline(asked)
    if asked.booking["workshop_status"] != "proposed":
        return declined
    await workshop_words.end(asked, "declined")
    return await _call_off(asked, 100)


async def _lapse(asked: Asked) -> None:
    """Nobody has answered in time, the workshop or the customer on its proposal: all of the money goes back."""
    silent = workshop_words.silent(asked)
    await workshop_words.end(asked, "lapsed", silent=silent)
    await _call_off(asked, 100, NoticeKind.WORKSHOP_DECLINED, silent=silent)


async def _check_in(asked: Asked) -> dict[str, Any]:
    """Somebody has come, to the waiting room or the workshop."""
    party: Party = "mechanic" if asked.role is Role.MECHANIC else "customer"
    _require_open(asked)
    if asked.now >= asked.end:
        # Whoever comes when everybody has gone has not waited in vain.
        raise Refused(ChangeRefusal.NOT_OPEN, "The session's time is over.")
    if await asked.do("check_in", party, asked.now) is not None:
        await asked.note("checked_in", party=party)
    return {"party": party}


def _require_open(asked: Asked) -> None:
    """The waiting room opens before the start."""
    opens = asked.start - asked.course.waiting_room
    if asked.now < opens:
        raise Refused(ChangeRefusal.TOO_EARLY, f"The waiting room opens at {opens:%Y-%m-%dT%H:%M:%SZ}.")


async def _start(asked: Asked) -> dict[str, Any]:
    _require_open(asked)
    workshop_words.require_agreed(asked)
    await require_waiver(asked)
    await asked.do("start_session", asked.now)
    await asked.do("check_in", "mechanic", asked.now)
    outdated = (*steps.OF_ITS_TIME, *steps.OUTDATED)
    await steps.skip_notices(asked.connection, asked.booking_id, "the session has begun", *outdated)
    await steps.let_go_of_flags(asked.connection, asked.booking_id, Resolution.TAKEN_BACK, asked.now)
    await asked.note("in_progress")
    return {}


async def _complete(asked: Asked) -> dict[str, Any]:
    await _complete_now(asked)
    return {}


async def _complete_now(asked: Asked) -> None:
    await _close_session(asked, "completed")
    await _settle(asked, BookingStatus.COMPLETED, 0, True, {}, None)


async def _close_session(asked: Asked, status: str, absent: Party | None = None) -> None:
    await asked.do("close_session", status, asked.now, absent)
    await asked.do("shorten_reservation", asked.now)


async def _no_show(asked: Asked) -> dict[str, Any]:
    """The customer has not come (`absent`, by default), or the mechanic. The policy says what becomes of the money."""
    absent: Party = asked.wanted.get("absent", "customer")
    late = asked.policy.nobody_is_late_after(asked.start)
    if asked.now < late:
        raise Refused(ChangeRefusal.TOO_EARLY, f"Somebody may be late until {late:%Y-%m-%dT%H:%M:%SZ}.")
    if absent == "customer" and asked.booking["workshop_status"] in UNANSWERED:
        raise Refused(ChangeRefusal.NOT_ABSENT, "The workshop has not confirmed it, so that nobody was expected.")
    if absent == "customer" and asked.role is Role.MECHANIC:
        await _require_in_vain(asked)
    return await _nobody_came(asked, absent)


async def _require_in_vain(asked: Asked) -> None:
    """The mechanic was there, and the customer was not."""
    came = await _came(asked)
    if "customer" in came:
        raise Refused(ChangeRefusal.NOT_ABSENT, "The customer has checked in; an operator decides what is right.")
    if "mechanic" not in came and await _is_flagged(asked):
        raise Refused(ChangeRefusal.NOT_ABSENT, "The mechanic is away at this time; an operator decides what is right.")


async def _was_left_alone(asked: Asked) -> bool:
    """The customer came, and nobody else did; or the mechanic was away, of which the customer was told."""
    came = await _came(asked)
    return "mechanic" not in came and ("customer" in came or await _is_flagged(asked))


async def _is_flagged(asked: Asked) -> bool:
    """Its mechanic has said that it will not be there. One that has come all the same is not away."""
    flagged: bool = await asked.connection.fetchval(_FLAGS["is_flagged"], asked.booking_id)
    return flagged


async def _came(asked: Asked) -> set[str]:
    return {row["party"] for row in await asked.connection.fetch(_SQL["who_came"], asked.booking_id)}


async def _nobody_came(asked: Asked, absent: Party) -> dict[str, Any]:
    percent = asked.policy.no_show_percent if absent == "customer" else 100
    back = part_of(asked.booking["amount"], percent)
    await _close_session(asked, "no_show", absent)
    settled = {"absent": absent, "refund": back, "percent": percent}
    await _settle(asked, BookingStatus.NO_SHOW, back, True, settled, NoticeKind.NO_SHOW, {"absent": absent})
    return settled


_DEEDS: dict[ChangeKind, Callable[[Asked], Awaitable[dict[str, Any]]]] = {
    ChangeKind.RESCHEDULE: rescheduling.reschedule,
    ChangeKind.HAND_OVER: hand_overs.hand_over,
    ChangeKind.PROPOSE: proposals.propose,
    ChangeKind.ACCEPT_PROPOSAL: proposals.accept,
    ChangeKind.DECLINE_PROPOSAL: _decline_proposal,
    ChangeKind.WORKSHOP_CONFIRM: workshop_words.confirm,
    ChangeKind.WORKSHOP_PROPOSE: workshop_proposals.propose,
    ChangeKind.WORKSHOP_DECLINE: _workshop_declines,
    ChangeKind.CANCEL: _cancel,
    ChangeKind.CHECK_IN: _check_in,
    ChangeKind.START: _start,
    ChangeKind.COMPLETE: _complete,
    ChangeKind.NO_SHOW: _no_show,
    ChangeKind.ACCEPT: offers.accept,
    ChangeKind.DECLINE_OFFER: offers.decline,
}
