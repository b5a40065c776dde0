"""What a dearer plan costs more: asked for while its time is held, and what becomes of it when it is paid, or is not.

A supplement is `open` while it may be paid. From then on nobody is to pay it any more: money that comes all the same
goes back in full.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain import notice_plan
from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.caller import Role
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.course import Course
from pitstop.domain.notices import NoticeKind
from pitstop.domain.policy import acts_for_customer
from pitstop.domain.reminder_plan import NO_TEXTS, TextRules
from pitstop.domain.saga import AgreedPayment, OwedNotice, PaymentTerms, SupplementNews, Terms
from pitstop.ports import PaymentIntent
from pitstop.postgres import queries, steps
from pitstop.postgres.asking import Asked, Refused, percent_back
from pitstop.postgres.moves import Aim, Paid, judged, keep_still, length_of, move, require_not_begun, taken
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("supplements")
_SAGA = queries.load("saga")
# Stripe charges no less ("Supported currencies", minimum charge amounts).
LEAST_CHARGE = 50


async def ask_for(asked: Asked, aim: Aim, offer: asyncpg.Record) -> dict[str, Any]:
    """The booking stands as it is; the new time is held beside its own until the customer has paid, or has not.

    Asked for again, it is the same as long as it may be paid.
    """
    difference: int = offer["amount"] - asked.booking["amount"]
    if difference < LEAST_CHARGE:
        why = f"It costs {difference} more (in minor units), which is less than can be charged. Ask us to change it."
        raise Refused(ChangeRefusal.PRICE_DIFFERS, why)
    same = (offer["service_id"], offer["plan_id"], offer["amount"], aim.mechanic_id, aim.start)
    if (open := await _do(asked, "open_as_asked", *same, asked.now)) is not None:
        return {"unchanged": True, "supplement_id": str(open)}
    await _require_not_left_unpaid_too_often(asked)
    target, refusal = await judged(asked, aim)
    if refusal is not None:
        raise taken()
    if aim.start <= asked.now:
        why = "It begins in this moment, so that nothing can be paid before."
        raise Refused(ChangeRefusal.SLOT_NOT_OFFERED, why, SlotRefusal.TOO_SOON)
    await steps.close_supplement(asked.connection, asked.booking_id, "replaced", asked.now)
    expires = await _open(asked, aim, offer, difference)
    if await _do(asked, "hold_for_supplement", asked.change_id, target["blocked"], asked.now) is None:
        raise taken()
    to = {"to": aim.start.isoformat(), "to_mechanic_id": str(aim.mechanic_id), "to_plan_id": str(offer["plan_id"])}
    pays = {"supplement_id": str(asked.change_id), "difference": difference, "expires_at": expires.isoformat()}
    await asked.note("supplement_requested", **pays, **to)
    return {"supplement": True, **pays}


async def _require_not_left_unpaid_too_often(asked: Asked) -> None:
    """Each holds somebody's time for nothing: as often as the customer may move the booking, and no more."""
    left: int = await _do(asked, "left_unpaid")
    if left >= asked.policy.reschedule_limit:
        why = f"A dearer plan was asked for and not paid {left} times, which is as often as that may be."
        raise Refused(ChangeRefusal.NOT_RESCHEDULABLE, why)


async def _open(asked: Asked, aim: Aim, offer: asyncpg.Record, difference: int) -> datetime:
    """Until when it may be paid: not beyond the moment in which the session begins, or would."""
    expires = min(asked.now + asked.course.to_pay, asked.start, aim.start)
    await _do(
        asked,
        "open_supplement",
        asked.change_id,
        difference,
        offer["service_id"],
        offer["plan_id"],
        offer["policy"],
        aim.mechanic_id,
        aim.start,
        length_of(asked, aim),
        asked.role,
        percent_back(asked),
        asked.now,
        expires,
        expires + asked.course.grace,
    )
    return expires


async def _do(asked: Asked, name: str, *arguments: Any) -> Any:
    return await asked.connection.fetchval(_SQL[name], asked.booking_id, *arguments)


class PostgresSupplements:
    """Implements the port `SupplementStore` as the role `pitstop_worker`."""

    def __init__(self, pool: Pool, texts: TextRules = NO_TEXTS) -> None:
        self._pool = pool
        self._texts = texts

    async def to_be_paid(self, booking_id: UUID, supplement_id: UUID) -> PaymentTerms | None:
        row = await self._pool.fetchrow(_SQL["to_be_paid"], booking_id, supplement_id)
        return steps.payment_terms(row, supplement_id) if row else None

    async def record_intent(self, booking_id: UUID, supplement_id: UUID, intent: PaymentIntent, now: datetime) -> None:
        arguments = (booking_id, supplement_id, intent.id, intent.client_secret, intent.status)
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SAGA["wait_for_booking"], booking_id)
            await connection.execute(_SQL["record_intent"], *arguments)

    async def withdraw(self, booking_id: UUID, supplement_id: UUID, now: datetime) -> Terms | None:
        """One that has got its PaymentIntent all the same stays."""
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is None:
                return None
            waits = await connection.fetchrow(_SQL["to_be_paid"], booking_id, supplement_id)
            if waits is not None and waits["payment_intent_id"] is None:
                await steps.close_supplement(connection, booking_id, "withdrawn", now)
            return await _terms(connection, booking)

    async def agreed(self, booking_id: UUID, payment_intent_id: str) -> AgreedPayment | None:
        row = await self._pool.fetchrow(_SQL["agreed"], booking_id, payment_intent_id)
        return AgreedPayment(**row) if row else None

    async def settle(self, booking_id: UUID, news: SupplementNews, course: Course, now: datetime) -> Terms | None:
        async with self._pool.acquire() as connection, connection.transaction():
            booking = await steps.lock(connection, booking_id)
            if booking is None:
                return None
            found = await connection.fetchrow(_SQL["supplement_of"], booking_id, news.payment_intent_id)
            if found is not None:
                asked = Asked(
                    connection, booking, Role(found["asked_by_role"]), {}, course, now, found["id"], self._texts
                )
                await _settle(asked, found, news)
            return await _terms(connection, booking)


async def _terms(connection: Connection, before: asyncpg.Record) -> Terms:
    return await steps.terms_of(connection, await steps.lock(connection, before["booking_id"]) or before)


async def _settle(asked: Asked, found: asyncpg.Record, news: SupplementNews) -> None:
    """What was settled before stays as it was."""
    intent = news.payment_intent_id
    if not news.paid:
        await _do(asked, "record_void", intent, asked.now)
        if found["status"] == "open":
            await _lapse(asked, found)
    elif news.is_for(found["to_pay"], found["to_pay_in"]):
        if await _do(asked, "record_payment", intent, asked.now) is not None:
            await _use(asked, found, intent)


async def _lapse(asked: Asked, found: asyncpg.Record) -> None:
    """The time to pay is over. The booking stays as it was, which its customer is told."""
    await steps.close_supplement(asked.connection, asked.booking_id, "lapsed", asked.now, notices=1)
    kind, move = NoticeKind.DIFFERENCE_UNPAID, asked.booking["moves"]
    owed = notice_plan.told_now(asked.booking_id, kind, move, of=found["id"], difference=found["difference"])
    await steps.owe(asked.connection, asked.booking_id, owed)


async def _use(asked: Asked, found: asyncpg.Record, intent: str) -> None:
    """The money has come: the booking moves; where it cannot, all of the money goes back."""
    if found["status"] == "open":
        how = await _moved(asked, found)
        if how == "applied":
            return
        await steps.close_supplement(asked.connection, asked.booking_id, how, asked.now)
    amount = await _do(asked, "return_payment", intent, asked.now)
    await asked.note("supplement_returned", supplement_id=str(found["id"]), amount=amount)
    if asked.is_in(BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS, BookingStatus.COMPLETED):
        # Of one that was called off, its end tells of all of the money.
        await steps.owe(asked.connection, asked.booking_id, _told_of_return(asked, found["id"], amount))


def _told_of_return(asked: Asked, supplement_id: UUID, amount: int) -> OwedNotice:
    return notice_plan.told_now(asked.booking_id, NoticeKind.DIFFERENCE_RETURNED, of=supplement_id, returned=amount)


async def _moved(asked: Asked, found: asyncpg.Record) -> str:
    """What has become of the supplement: `applied`, or why it was not."""
    if asked.now > found["lapses_at"]:
        return "lapsed"
    attempt = asked.connection.transaction()
    await attempt.start()
    try:
        await _move(asked, found)
    except (Refused, asyncpg.ExclusionViolationError):
        await attempt.rollback()
        return "lost"
    await attempt.commit()
    return "applied"


async def _move(asked: Asked, found: asyncpg.Record) -> None:
    if not asked.is_in(BookingStatus.CONFIRMED):
        raise Refused(ChangeRefusal.NOT_RESCHEDULABLE, f"The booking is {asked.booking['status']}.")
    require_not_begun(asked)
    # Before what is held is let go: whoever wants that time waits for these mechanics first.
    await keep_still(asked, {found["mechanic_id"]}, found)
    await steps.close_supplement(asked.connection, asked.booking_id, "applied", asked.now)
    paid = Paid(found["difference"], found["percent_at_most"])
    counted = asked.role is not None and acts_for_customer(asked.role)
    aim = Aim(found["starts_at"], found["mechanic_id"], found)
    await move(asked, aim, counted=counted, paid=paid, held=found["held"])
