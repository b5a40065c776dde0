"""What another plan does to a booking: written from docs/changes.md, "Another price" and "Paying a difference".

The plans are those of the one service. Whatever is bought anew is bought at the policy of that moment.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tests.life.model.agreed import CUSTOMERS, HOLD, Agreed, Difference
from tests.life.model.rules import Expected

LEAST_CHARGE = 50
# Prices: one that is cheaper than the usual one, one that is dearer by less than can be charged, and a dearer one.
PLANS = {"standard": 8900, "cheap": 5900, "near": 8930, "dear": 9900}


@dataclass(frozen=True, slots=True)
class Wish:
    """Where somebody wants a booking to go. `plan` None: the one that it has."""

    start: datetime
    mechanic: UUID
    plan: str | None = None
    waive: bool = False

    def is_where(self, booking: Expected) -> bool:
        return self.plan in (None, booking.plan) and (self.start, self.mechanic) == (booking.start, booking.mechanic)

    def costs_more(self, booking: Expected) -> int:
        """Below nothing: it is cheaper."""
        return PLANS[self.plan] - booking.amount if self.plan not in (None, booking.plan) else 0

    def is_to_be_paid(self, booking: Expected, role: str) -> bool:
        """Whether the customer pays first, and then the booking moves."""
        return role in CUSTOMERS and self.costs_more(booking) > 0


def answer_to_move(booking: Expected, wish: Wish, role: str, now: datetime, time: str | None) -> str | None:
    """Why it is refused, by the words of the API; None: it is done, or is to be paid. `time`: why the time cannot be
    had."""
    if booking.status == "confirmed" and wish.is_where(booking):
        return None
    refusal = booking.refusal("reschedule", role, now) or refused_for_money(booking, wish, role, now)
    if refusal is not None:
        return refusal
    if wish.is_to_be_paid(booking, role) and is_asked_again(booking, wish, now):
        return None
    # What begins in this moment cannot be paid for before.
    at_once = wish.is_to_be_paid(booking, role) and wish.start == now
    return "slot_not_offered" if time is None and at_once else time


def answer_to_time(start: datetime, now: datetime, free: bool) -> str | None:
    if start < now:
        return "slot_not_offered"
    return None if free else "slot_unavailable"


def refused_for_money(booking: Expected, wish: Wish, role: str, now: datetime) -> str | None:
    more = wish.costs_more(booking)
    if wish.is_to_be_paid(booking, role):
        if more < LEAST_CHARGE:
            return "price_differs"
        left = sum(each.status in ("lapsed", "replaced") for each in booking.differences)
        too_often = left >= booking.agreed.most_moves and not is_asked_again(booking, wish, now)
        return "not_reschedulable" if too_often else None
    if more > 0 and not wish.waive:
        return "price_differs"
    # Moving does not give back what cancelling would not.
    less = more < 0 and role in CUSTOMERS and booking.gives_back(now) < 100
    return "price_differs" if less else None


def is_asked_again(booking: Expected, wish: Wish, now: datetime) -> bool:
    """The same as is to be paid already, and still may be."""
    due = booking.to_pay
    same = due is not None and (due.plan, due.start, due.mechanic) == (wish.plan, wish.start, wish.mechanic)
    return same and due is not None and due.expires > now


def asks(booking: Expected, change: UUID, wish: Wish, role: str, now: datetime) -> Difference:
    """The booking stands; the new time is held beside its own. One is to be paid at a time."""
    if booking.to_pay is not None:
        booking.to_pay.is_over("replaced")
    assert wish.plan is not None
    more = wish.costs_more(booking)
    until = min(now + HOLD, booking.start, wish.start)
    place = (wish.plan, PLANS[wish.plan], more, wish.start, wish.mechanic)
    booking.differences.append(Difference(change, *place, role, booking.gives_back(now), until))
    return booking.differences[-1]


def moves(booking: Expected, wish: Wish, role: str, now: datetime, anew: Agreed, change: UUID | None = None) -> None:
    """At once: what is cheaper gives the difference back, what is dearer costs nobody anything."""
    less = -min(wish.costs_more(booking), 0)
    sold = wish.plan is not None and wish.plan != booking.plan
    booking.is_moved(wish.start, wish.mechanic, role, now, change=change)
    if sold and wish.plan is not None:
        booking.gets_back(less)
        booking.plan, booking.amount, booking.agreed = wish.plan, booking.amount - less, anew


def hears(booking: Expected, due: Difference, paid: bool, now: datetime, free: bool, anew: Agreed) -> None:
    """What Stripe says of the payment, the first time. `free`: nobody else has the time, if it is not held any more."""
    if due.settled:
        return
    due.settled, how = True, due.status
    if how == "open":
        how = _becomes(booking, due, paid, now, free)
        due.is_over(how)
        if not paid:
            booking.owes("difference_unpaid", f"{booking.since_move}/{due.id}")
    if how == "applied":
        booking.is_moved(due.start, due.mechanic, due.by, now, due.share, due.id)
        booking.plan, booking.amount, booking.agreed = due.plan, due.price, anew
    elif paid:
        booking.gets_back(due.amount)
        if booking.status in ("confirmed", "in_progress", "completed"):
            booking.owes("difference_returned", f"/{due.id}")


def _becomes(booking: Expected, due: Difference, paid: bool, now: datetime, free: bool) -> str:
    if not paid or now > due.lapses:
        return "lapsed"
    has_it = due.held or (free and now <= due.start)
    return "applied" if booking.start > now and has_it else "lost"
