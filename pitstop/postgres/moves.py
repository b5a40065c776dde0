"""A booking gets another time, mechanic, service or plan: it takes the new slot as it lets the old one go."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain import notice_plan
from pitstop.domain.booking import SlotRefusal
from pitstop.domain.caller import Role
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.flags import Resolution
from pitstop.domain.notices import NoticeKind
from pitstop.postgres import flags, queries, steps, workshop_words
from pitstop.postgres.asking import Asked, Refused, percent_back

_SQL = queries.load("changes")
_SAGA = queries.load("saga")


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a booking is to go. `offer`: another service or plan, with its terms of this moment; None: those agreed.

    `waived`: the price stays what was paid, though that of the offer is higher.
    """

    start: datetime
    mechanic_id: UUID
    offer: asyncpg.Record | None = None
    waived: bool = False


@dataclass(frozen=True, slots=True)
class Paid:
    """A dearer plan is paid for: the difference, and what a cancellation would have given back when that was asked."""

    difference: int
    percent_at_most: int


async def move(
    asked: Asked,
    aim: Aim,
    *,
    counted: bool,
    by: str | None = None,
    agreed: bool = False,
    paid: Paid | None = None,
    held: bool = False,
) -> dict[str, Any]:
    """`counted`: the customer moves, so that it counts as such, and never makes more go back later than would now.

    `by`: who has wanted the move, if not who asks for it now. `agreed`: the workshop has proposed this time, or
    an operator. `held`: it was held for the customer, so that no rule is asked again: a mechanic who is away by now is
    flagged.
    """
    difference = -paid.difference if paid else _difference(asked, aim, counted)
    target = await take(asked, aim, held=held)
    await asked.do("move_session", aim.start, aim.mechanic_id)
    moves = await asked.do(
        "move_booking",
        aim.start,
        aim.mechanic_id,
        target["buffer_before_minutes"],
        target["buffer_after_minutes"],
        1 if counted else 0,
        _percent_at_most(asked, counted, paid),
        length_of(asked, aim),
    )
    if aim.offer is not None:
        await _resell(asked, aim.offer, difference, asked.booking["amount"] - difference)
    await steps.let_go_of_flags(asked.connection, asked.booking_id, Resolution.RESCHEDULED, asked.now)
    await _forget_check_ins(asked, aim)
    moved = await _told_of_move(asked, aim, moves, difference, by or asked.by)
    await workshop_words.after_move(asked, moves, agreed=agreed or asked.role is Role.OPERATOR)
    if held and (booking := await steps.lock(asked.connection, asked.booking_id)):
        await flags.judge_anew(asked.connection, booking, asked.now)
    return moved


async def _forget_check_ins(asked: Asked, aim: Aim) -> None:
    if aim.start != asked.start:
        await steps.forget_check_ins(asked.connection, asked.booking_id, "customer", "mechanic")
    elif aim.mechanic_id != asked.mechanic_id:
        await steps.forget_check_ins(asked.connection, asked.booking_id, "mechanic")


def _percent_at_most(asked: Asked, counted: bool, paid: Paid | None) -> int:
    if not counted:
        return 100
    return paid.percent_at_most if paid else percent_back(asked)


def require_not_begun(asked: Asked) -> None:
    if asked.start <= asked.now:
        raise Refused(ChangeRefusal.NOT_RESCHEDULABLE, "The session's time has begun.")


async def take(asked: Asked, aim: Aim, *, held: bool = False) -> asyncpg.Record:
    """Moves the reservation there. Judged by the predicate that search and hold go by, the booking itself aside.

    `held`: it has been judged, and held since; the constraints alone decide.
    """
    target, refusal = await judged(asked, aim, held=held)
    place = (
        aim.mechanic_id,
        aim.start,
        target["blocked"],
        asked.now,
        service_of(asked, aim.offer),
        length_of(asked, aim),
    )
    if refusal or not await asked.do("move_reservation", *place):
        raise taken()
    return target


def taken() -> Refused:
    return Refused(ChangeRefusal.SLOT_UNAVAILABLE, "Somebody else has this time.", SlotRefusal.TAKEN)


async def judged(asked: Asked, aim: Aim, *, held: bool = False) -> tuple[asyncpg.Record, SlotRefusal | None]:
    """What the booking would block there, and whether somebody else has it. Holds on it that have run out make way."""
    await keep_still(asked, {aim.mechanic_id}, aim.offer)
    target = await look(asked, aim)
    refusal = SlotRefusal(target["refusal"]) if target and target["refusal"] and not held else None
    if target is None or refusal not in (None, SlotRefusal.TAKEN):
        reason = refusal or SlotRefusal.NOT_OFFERED
        raise Refused(ChangeRefusal.SLOT_NOT_OFFERED, f"It cannot be had then: {reason}.", reason)
    await asked.connection.execute(_SAGA["lapse_rivals"], aim.mechanic_id, target["blocked"], asked.now)
    return target, refusal


async def keep_still(asked: Asked, mechanics: set[UUID], offer: asyncpg.Record | None = None) -> None:
    """These mechanics, and the booking's own, get no other booking and no other rules before this transaction ends."""
    concerned = sorted({*mechanics, asked.mechanic_id})
    await asked.connection.execute(_SQL["keep_all_still"], concerned, service_of(asked, offer))


async def look(asked: Asked, aim: Aim) -> asyncpg.Record | None:
    """What the booking would block there, and why it cannot be had; None where the mechanic does not offer it."""
    place = (asked.booking_id, aim.mechanic_id, aim.start, asked.now)
    return await asked.connection.fetchrow(_SQL["target"], *place, service_of(asked, aim.offer), length_of(asked, aim))


def _difference(asked: Asked, aim: Aim, counted: bool) -> int:
    """What goes back because the new plan is cheaper. A customer does not get back more by it than by cancelling."""
    difference: int = asked.booking["amount"] - aim.offer["amount"] if aim.offer else 0
    if difference < 0 and aim.waived:
        return 0
    if difference < 0:
        why = f"It costs {-difference} more (in minor units) than was paid. The customer can ask for it and pay that; "
        raise Refused(ChangeRefusal.PRICE_DIFFERS, why + "or an operator waives the difference.")
    if difference and counted and percent_back(asked) < 100:
        why = "It is cheaper, and who cancels now does not get all of the money back. Ask us to change it."
        raise Refused(ChangeRefusal.PRICE_DIFFERS, why)
    return difference


async def _resell(asked: Asked, offer: asyncpg.Record, difference: int, price: int) -> None:
    """Price and policy are those of this moment, for what is new; what was agreed otherwise stays."""
    await asked.do("resell_booking", offer["service_id"], offer["plan_id"], price, offer["policy"])
    await asked.do("resell_session", offer["kind"], offer["plan_id"], price)
    if difference > 0:
        cause = f"move/{asked.change_id}"
        await steps.owe_refund(asked.connection, asked.booking_id, difference, "price_difference", asked.now, cause)


def service_of(asked: Asked, offer: asyncpg.Record | None) -> UUID:
    service: UUID = offer["service_id"] if offer else asked.booking["service_id"]
    return service


def length_of(asked: Asked, aim: Aim) -> timedelta:
    """A service that stays keeps the length that was agreed."""
    if aim.offer is None or aim.offer["service_id"] == asked.booking["service_id"]:
        return asked.length
    length: timedelta = aim.offer["length"]
    return length


async def _told_before(asked: Asked, aim: Aim) -> dict[str, Any]:
    """What the mail says of the booking as it was, as far as that has changed."""
    before: dict[str, Any] = {}
    if aim.start != asked.start:
        before["previous_start"] = asked.start.isoformat()
    if aim.mechanic_id != asked.mechanic_id:
        before["previous_mechanic"] = await asked.connection.fetchval(_SQL["mechanic_name"], asked.mechanic_id)
    if aim.offer is not None and aim.offer["plan_id"] != asked.booking["plan_id"]:
        before["previous_plan"] = await asked.connection.fetchval(_SQL["plan_name"], asked.booking["plan_id"])
    return before


async def _told_of_move(asked: Asked, aim: Aim, move: int, difference: int, by: str) -> dict[str, Any]:
    outdated = (*steps.OF_ITS_TIME, *steps.OUTDATED)
    await steps.skip_notices(asked.connection, asked.booking_id, "the booking was moved", *outdated)
    before = await _told_before(asked, aim)
    # What has been paid for it, or goes back.
    price: dict[str, Any] = {"added": max(-difference, 0), "returned": max(difference, 0)}
    about = {**before, **price, **asked.told_why}
    owed = [notice_plan.told_now(asked.booking_id, NoticeKind.RESCHEDULED, move, **about)]
    # As it is now: of another kind, perhaps, and at another place.
    booking = await steps.lock(asked.connection, asked.booking_id) or asked.booking
    owed += steps.reminders(booking, aim.start, asked.course.offsets, asked.texts, asked.now, move)
    waiver = steps.waiver_request(booking, aim.start, asked.now, move)
    await steps.owe(asked.connection, asked.booking_id, *owed, *waiver)
    moved: dict[str, Any] = {"from": asked.start.isoformat(), "to": aim.start.isoformat()}
    if aim.mechanic_id != asked.mechanic_id:
        moved |= {"from_mechanic_id": str(asked.mechanic_id), "to_mechanic_id": str(aim.mechanic_id)}
    if aim.offer is not None:
        moved |= {"from_plan_id": str(asked.booking["plan_id"]), "to_plan_id": str(aim.offer["plan_id"])}
        # Whoever asks later what went back is told by what was agreed until then.
        moved |= {"difference": difference, "policy_before": asked.booking["policy"]}
    await asked.note("rescheduled", by=by, **moved, notices=len(owed))
    return moved
