"""A booking as the database has it, beside what the model and the audit say of it."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pitstop.audit.ports import Records
from pitstop.domain.audit.checks import judge
from pitstop.domain.audit.facts import BookingRecord, Case, Moment
from pitstop.domain.audit.findings import Finding
from tests.life.model.agreed import Span
from tests.life.model.rules import Expected
from tests.life.model.till import Till


def difference(there: dict[str, Any], booking: Expected) -> dict[str, tuple[Any, Any]]:
    """What is there otherwise than it ought to be: both, by what it is."""
    seen, expected = _seen(there), _expected(booking)
    return {each: (seen[each], expected[each]) for each in seen if seen[each] != expected[each]}


def _seen(there: dict[str, Any]) -> dict[str, Any]:
    seen = {"paid": bool(there["paid"]), "came": set(there["came"] or ()), "slots": set(there["slots"])}
    seen |= {name: json.loads(there[name] or "{}") for name in ("mails", "differences", "asked", "flags")}
    return {name: value for name, value in there.items() if name != "id"} | seen


def _expected(booking: Expected) -> dict[str, Any]:
    return {
        "status": booking.status,
        "word": booking.word,
        "answer_by": booking.answer_by if booking.status == "confirmed" else None,
        "starts_at": booking.place[0],
        "mechanic_id": booking.place[1],
        "moves": booking.moves,
        "customer_moves": booking.customer_moves,
        "invite_sequence": booking.sequence,
        "kept_amount": booking.kept,
        "amount": booking.amount,
        "paid": booking.paid,
        "owed": booking.owed,
        "session": booking.session,
        "absent": booking.absent,
        "came": booking.came,
        "slots": _slots(booking),
        "differences": {str(due.id): due.status for due in booking.differences},
        "proposed": booking.proposal is not None,
        "flags": {str(each.id): [each.is_open, each.news] for each in booking.flags},
        "asked": booking.asked,
        "turns": booking.turns,
        "mails": {key: [state, _second(booking.due[key])] for key, state in booking.mails.items()},
    }


def _second(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _slots(booking: Expected) -> set[str]:
    """A session that is over keeps its reservation, as a record of the time that was used."""
    own = {_slot(booking.mechanic, booking.blocks)} if booking.live else set()
    held = {f"{_slot(due.mechanic, due.blocks)}/{due.id}" for due in booking.differences if due.held}
    return own | held | {f"{_slot(*each)}/proposed" for each in (booking.proposal.held if booking.proposal else ())}


def _slot(mechanic: UUID, blocks: Span) -> str:
    return "/".join([str(mechanic), *(f"{each.timestamp():.0f}" for each in blocks)])


async def audited(records: Records, till: Till, bookings: list[Expected]) -> list[Finding]:
    """What the audit says of all that is there, but for what is late: nothing is, on this clock."""
    async with records.snapshot() as snapshot:
        facts = await snapshot.facts([booking.id for booking in bookings])
        at = Moment(snapshot.now, timedelta(days=3650), timedelta(0))
    cases = ((booking, _case(booking, facts[booking.id], till)) for booking in bookings)
    judged = ((found, _moot(booking, case, till)) for booking, case in cases for found in judge(case, at))
    return [found for found, moot in judged if found.kind.code not in moot]


def _case(booking: Expected, facts: BookingRecord, till: Till) -> Case:
    amounts = {booking.id: booking.first_price} | {due.id: due.amount for due in booking.differences}
    intents, refunds = till.facts(booking.id, amounts)
    return Case(booking.id, facts, tuple(intents), tuple(refunds), engine=False)


def _moot(booking: Expected, case: Case, till: Till) -> set[str]:
    """While a payment or a refund is under way, Stripe and the records differ."""
    unsettled = booking.status == "awaiting_payment" or (booking.owed and not case.refunds)
    moot = {"payment_stale", "refund_unrecorded"} if unsettled else set()
    if any(not due.settled and till.intents[due.id] == "succeeded" for due in booking.differences):
        moot |= {"paid_not_booked"}
    if booking.to_pay is not None and not booking.to_pay.held:
        # By the audit's clock it may still be paid; by this one its time is over, and somebody wanted it.
        moot |= {"supplement_slot_differs"}
    return moot
