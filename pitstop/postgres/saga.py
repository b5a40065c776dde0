"""The saga's steps on PostgreSQL: each method is one transaction, and safe to repeat."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from pitstop.domain import notice_plan
from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.course import Course
from pitstop.domain.limits import Declines
from pitstop.domain.notices import NoticeKind
from pitstop.domain.reminder_plan import NO_TEXTS, TextRules
from pitstop.domain.saga import (
    AgreedPayment,
    CalledOff,
    Confirmed,
    HoldOutcome,
    HoldRefusal,
    OwedNotice,
    OwedRefund,
    PaymentTerms,
    Standing,
)
from pitstop.ports import PaymentIntent
from pitstop.postgres import offers, queries, steps, workshop_words
from pitstop.postgres.asking import Asked
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("saga")
_ERASE_WAIVERS = queries.load("erasure")["erase_waivers"]
_FLAGS = queries.load("flags")


@dataclass(frozen=True, slots=True)
class _Hold:
    """A reservation to be made at `now`: to be paid for until `expires_at`, in force until `lapses_at`."""

    reservation_id: UUID
    now: datetime
    expires_at: datetime
    lapses_at: datetime


class PostgresSaga:
    """Implements the ports `SagaStore` and `SweepStore` as the role `pitstop_worker`."""

    def __init__(self, pool: Pool, texts: TextRules = NO_TEXTS) -> None:
        self._pool = pool
        self._texts = texts

    async def place_hold(
        self,
        booking_id: UUID,
        fingerprint: str,
        reservation_id: UUID,
        now: datetime,
        hold_expires_at: datetime,
        lapses_at: datetime,
    ) -> HoldOutcome:
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is None or booking["fingerprint"] != fingerprint:
                return HoldOutcome(refusal=HoldRefusal.WITHDRAWN)
            if booking["hold_expires_at"] is not None:
                return await _held_before(connection, booking, reservation_id)
            if booking["immediate"]:
                await connection.execute(_SQL["await_payment"], booking_id, hold_expires_at)
                booking = await steps.lock(connection, booking_id) or booking
                return await _held_before(connection, booking, reservation_id)
            hold = _Hold(reservation_id, now, hold_expires_at, lapses_at)
            first = booking["mechanic_id"]
            if booking["any_mechanic"]:
                mechanic = await _choose(connection, booking, hold)
            else:
                mechanic = await _grant(connection, booking, first, hold)
            if mechanic is None:
                return _refused(await connection.fetchval(_SQL["why_refused"], booking_id, now))
            held = {"reservation_id": reservation_id, "hold_expires_at": hold_expires_at, "mechanic_id": mechanic}
            if booking["waitlist_entry_id"] is None:
                held["notices"] = ()
            else:
                await steps.owe(connection, booking_id, *self._told_of_offer(booking, hold_expires_at, now))
            terms = await steps.terms_of(connection, booking, **held)
            return HoldOutcome(terms=terms, chosen_instead=mechanic if mechanic != first else None)

    def _told_of_offer(self, booking: asyncpg.Record, until: datetime, now: datetime) -> list[OwedNotice]:
        """By text message at any hour: an offer is of use now or never."""
        id, kind, ends = booking["booking_id"], NoticeKind.WAITLIST_OFFER, until.isoformat()
        told = [notice_plan.told_now(id, kind, until=ends)]
        if booking["wants_texts"]:
            zone, rules = booking["timezone"], self._texts
            told.append(notice_plan.told_by_text(id, kind, zone, rules, now, urgent=True, until=ends))
        return told

    async def withdraw(self, booking_id: UUID, fingerprint: str) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is None or booking["fingerprint"] != fingerprint:
                return True
            if booking["status"] != BookingStatus.HOLDING:
                return False
            await connection.execute(_SQL["release_hold_of_withdrawn"], booking_id)
            await connection.execute(_SQL["withdraw_booking"], booking_id)
            return True

    async def payment_terms(self, booking_id: UUID) -> PaymentTerms | None:
        row = await self._pool.fetchrow(_SQL["payment_terms"], booking_id)
        return steps.payment_terms(row) if row else None

    async def record_intent(self, booking_id: UUID, intent: PaymentIntent, now: datetime) -> None:
        await self._pool.execute(_SQL["record_intent"], booking_id, intent.id, intent.client_secret, intent.status, now)

    async def record_decline(
        self,
        booking_id: UUID,
        failure_code: str,
        now: datetime,
        payment_intent_id: str | None = None,
        event_id: str | None = None,
    ) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["wait_for_booking"], booking_id)
            await connection.execute(_SQL["record_decline"], booking_id, failure_code, now, payment_intent_id, event_id)

    async def declines(self, booking_id: UUID, window: timedelta) -> Declines:
        row = await self._pool.fetchrow(_SQL["declines"], booking_id, window)
        return Declines(**row) if row else Declines(0, 0)

    async def agreed(self, booking_id: UUID) -> AgreedPayment | None:
        row = await self._pool.fetchrow(_SQL["agreed"], booking_id)
        return AgreedPayment(**row) if row else None

    async def note_wrong_payment(self, booking_id: UUID, amount: int, currency: str, now: datetime) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["wait_for_booking"], booking_id)
            await connection.execute(_SQL["note_wrong_payment"], booking_id, amount, currency, now)

    async def intent_of(self, booking_id: UUID) -> str | None:
        intent: str | None = await self._pool.fetchval(_SQL["intent_of_booking"], booking_id)
        return intent

    async def confirm(
        self, booking_id: UUID, new_reservation_id: UUID, course: Course, now: datetime
    ) -> Confirmed | None:
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is None or booking["status"] != BookingStatus.AWAITING_PAYMENT:
                return await _made(connection, booking)
            await connection.execute(_SQL["record_payment"], booking_id, now)
            if booking["refund_owed"]:
                return None
            if booking["immediate"]:
                await offers.open_up(Asked(connection, booking, None, {}, course, now, texts=self._texts))
                return await _made(connection, await steps.lock(connection, booking_id))
            kept = await _uuid(connection, "confirm_hold", booking_id)
            reservation = kept or await self._retake(connection, booking, new_reservation_id, now)
            if reservation is None:
                await steps.owe_refund(connection, booking_id, None, "slot_gone", now)
                return None
            # One tells the customer, beside the reminders; the workshop that is asked is another matter.
            owed = steps.reminders(booking, booking["starts_at"], course.offsets, self._texts, now)
            arguments = (booking_id, reservation, now, kept is None, len(owed) + 1)
            await connection.execute(_SQL["confirm_booking"], *arguments)
            told = workshop_words.told_of_payment(booking, now)
            waiver = steps.waiver_request(booking, booking["starts_at"], now)
            await steps.owe(connection, booking_id, *told, *owed, *waiver)
            return await _made(connection, await steps.lock(connection, booking_id))

    async def _retake(
        self, connection: Connection, booking: asyncpg.Record, reservation_id: UUID, now: datetime
    ) -> UUID | None:
        await connection.execute(_SQL["keep_still"], booking["mechanic_id"], booking["service_id"])
        await connection.execute(_SQL["lapse_rivals"], booking["mechanic_id"], booking["blocked"], now)
        return await _uuid(connection, "retake_slot", booking["booking_id"], reservation_id, now, booking["blocked"])

    async def close_unpaid(self, booking_id: UUID, status: BookingStatus, now: datetime) -> BookingStatus | None:
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is None:
                return None
            stands = BookingStatus(booking["status"])
            if stands is not BookingStatus.AWAITING_PAYMENT:
                return stands
            await connection.execute(_SQL["release_reservation"], booking_id, "expired")
            await connection.execute(_SQL["void_payment_record"], booking_id, now)
            await steps.end(connection, booking_id, status, [BookingStatus.AWAITING_PAYMENT], now)
            return status

    async def call_off(self, booking_id: UUID, paid: bool, reason: str, now: datetime) -> CalledOff:
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is None:
                return CalledOff(status=None, refund_due=False)
            had_session = await connection.fetchval(_SQL["session_of_booking"], booking_id) is not None
            standing = [BookingStatus.AWAITING_PAYMENT, BookingStatus.PENDING, BookingStatus.CONFIRMED]
            if not await steps.end(
                connection, booking_id, BookingStatus.CANCELLED, standing, now, invite_change=1, kept=0
            ):
                return await _ended_before(connection, booking, paid, reason, now)
            await connection.execute(_SQL["release_reservation"], booking_id, "cancelled")
            await connection.execute(_SQL["cancel_session"], booking_id)
            await steps.skip_notices(connection, booking_id, "the booking was cancelled", *NoticeKind)
            if paid:
                await connection.execute(_SQL["record_payment"], booking_id, now)
                await steps.owe_refund(connection, booking_id, None, reason, now)
            await connection.execute(_SQL["void_payment_record"], booking_id, now)
            if had_session or paid:
                kind = NoticeKind.CANCELLATION if had_session else NoticeKind.REFUND
                await steps.owe(connection, booking_id, notice_plan.told_now(booking_id, kind))
            voids = await _voids(connection, booking_id)
            return CalledOff(status=BookingStatus.CANCELLED, refund_due=paid, voids=voids)

    async def owed_refunds(self, booking_id: UUID, reason: str | None, now: datetime) -> list[OwedRefund]:
        async with self._pool.acquire() as connection, connection.transaction():
            await steps.lock(connection, booking_id)
            if reason is not None:
                await connection.execute(_SQL["record_payment"], booking_id, now)
                await steps.owe_refund(connection, booking_id, None, reason, now)
            rows = await connection.fetch(_SQL["owed_refunds"], booking_id)
        return [OwedRefund(**row) for row in rows]

    async def record_refund(self, booking_id: UUID, idempotency_key: str, refund_id: str, now: datetime) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await steps.lock(connection, booking_id)
            await connection.execute(_SQL["record_refund"], idempotency_key, refund_id, now)
            waiting = [BookingStatus.AWAITING_PAYMENT]
            if await steps.end(connection, booking_id, BookingStatus.REFUNDED, waiting, now, kept=0):
                await connection.execute(_SQL["release_reservation"], booking_id, "cancelled")
                await steps.owe(connection, booking_id, notice_plan.told_now(booking_id, NoticeKind.REFUND))

    async def expire_lapsed_holds(self, now: datetime, limit: int) -> int:
        return len(await self._pool.fetch(_SQL["expire_lapsed_holds"], now, limit))

    async def forget_requests(self, before: datetime) -> int:
        """Also changes that nobody decided on, what the limits need to know no more, and old waivers of the erased."""
        await self._pool.execute(_SQL["forget_budgets"])
        await self._pool.execute(_SQL["forget_origins"])
        await self._pool.execute(_SQL["forget_wishes"], before)
        await self._pool.execute(_ERASE_WAIVERS, before)
        return len(await self._pool.fetch(_SQL["forget_requests"], before))

    async def overdue_bookings(self, before: datetime, ended_before: datetime, limit: int) -> list[Standing]:
        rows = await self._pool.fetch(_SQL["stranded_bookings"], before, limit, ended_before)
        return [steps.standing_of(row) for row in rows]

    async def flag_offline(self, now: datetime, soon: timedelta, limit: int) -> int:
        await self._pool.execute(_FLAGS["lower_late_flags"], now)
        await self._pool.execute(_FLAGS["lower_stale_flags"], now)
        return len(await self._pool.fetch(_FLAGS["flag_offline"], now, soon, limit))

    async def unheard(self, before: datetime, limit: int) -> list[Standing]:
        return [steps.standing_of(row) for row in await self._pool.fetch(_FLAGS["unheard"], limit, before)]

    async def note_told(self, booking_id: UUID, before: datetime) -> None:
        await self._pool.execute(_FLAGS["told"], booking_id, before)

    async def standing(self, booking_id: UUID) -> Standing | None:
        row = await self._pool.fetchrow(_SQL["booking_order"], booking_id)
        return steps.standing_of(row) if row else None


async def _grant(connection: Connection, booking: asyncpg.Record, mechanic_id: UUID, hold: _Hold) -> UUID | None:
    """The mechanic, when the slot is held; None when it cannot be."""
    await connection.execute(_SQL["keep_still"], mechanic_id, booking["service_id"])
    blocked = await connection.fetchval(_SQL["assign"], booking["booking_id"], mechanic_id, hold.now)
    times = (hold.now, hold.expires_at, hold.lapses_at)
    granted = await _uuid(connection, "grant_hold", booking["booking_id"], hold.reservation_id, *times, blocked)
    return mechanic_id if granted else None


async def _choose(connection: Connection, booking: asyncpg.Record, hold: _Hold) -> UUID | None:
    """Any mechanic would do: the first choice, and if it has just gone the next, as long as there is one.

    What a try in vain has locked and changed is as before.
    """
    tried: list[UUID] = []
    mechanic: UUID | None = booking["mechanic_id"]
    while mechanic is not None:
        attempt = connection.transaction()
        await attempt.start()
        if await _grant(connection, booking, mechanic, hold) is not None:
            await attempt.commit()
            return mechanic
        await attempt.rollback()
        tried.append(mechanic)
        mechanic = await _uuid(connection, "next_choice", booking["booking_id"], hold.now, tried)
    return None


async def _uuid(connection: Connection, query: str, *arguments: object) -> UUID | None:
    found: UUID | None = await connection.fetchval(_SQL[query], *arguments)
    return found


async def _ended_before(
    connection: Connection, booking: asyncpg.Record, paid: bool, reason: str, now: datetime
) -> CalledOff:
    """What had ended stays as it ended; but money that came after the end, and is not on record yet, is owed back."""
    came_late = paid and not booking["paid"]
    if came_late:
        await connection.execute(_SQL["record_payment"], booking["booking_id"], now)
        await steps.owe_refund(connection, booking["booking_id"], None, reason, now)
        # The end has told nobody: it knew of no money.
        await steps.owe(
            connection, booking["booking_id"], notice_plan.told_now(booking["booking_id"], NoticeKind.REFUND)
        )
    refund_due = came_late or booking["refund_due"]
    return CalledOff(status=BookingStatus(booking["status"]), refund_due=refund_due, voids=tuple(booking["voids"]))


async def _voids(connection: Connection, booking_id: UUID) -> tuple[str, ...]:
    booking = await steps.lock(connection, booking_id)
    return tuple(booking["voids"]) if booking is not None else ()


async def _held_before(connection: Connection, booking: asyncpg.Record, reservation_id: UUID) -> HoldOutcome:
    """The hold of an earlier try; it is of no use if it was lost before anybody could be told of it.

    An immediate session holds nothing: the id that was meant for a hold names its PaymentIntent.
    """
    if booking["immediate"] and booking["status"] == BookingStatus.HOLDING:
        return HoldOutcome(terms=await steps.terms_of(connection, booking, reservation_id=reservation_id))
    if booking["status"] == BookingStatus.HOLDING and booking["reservation_id"] is None:
        return HoldOutcome(refusal=HoldRefusal.SLOT_UNAVAILABLE, reason=SlotRefusal.TAKEN)
    return HoldOutcome(terms=await steps.terms_of(connection, booking))


async def _made(connection: Connection, booking: asyncpg.Record | None) -> Confirmed | None:
    """The session and the terms that a confirmation has made, or the terms of a booking that has ended; else None."""
    session = await _uuid(connection, "session_of_booking", booking["booking_id"]) if booking else None
    if booking is None or not (session or BookingStatus(booking["status"]).is_end):
        return None
    return Confirmed(session, await steps.terms_of(connection, booking))


def _refused(reason: str | None) -> HoldOutcome:
    """No reason means that the rules allow the slot: then the constraint has refused it, and somebody else has it."""
    refusal = SlotRefusal(reason) if reason else SlotRefusal.TAKEN
    taken = refusal is SlotRefusal.TAKEN
    return HoldOutcome(refusal=HoldRefusal.SLOT_UNAVAILABLE if taken else HoldRefusal.SLOT_NOT_OFFERED, reason=refusal)
