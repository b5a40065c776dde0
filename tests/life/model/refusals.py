"""Why something cannot be done as a booking stands, by the words of the API; None: it can, as far as that goes."""

from datetime import datetime
from typing import TYPE_CHECKING

from tests.life.model.agreed import CUSTOMERS, DURATION, MINUTE, WAITING_ROOM

if TYPE_CHECKING:
    from tests.life.model.rules import Expected


def _to_move(booking: "Expected", role: str, now: datetime, absent: str) -> str | None:
    late = now >= booking.start
    if role in CUSTOMERS:
        late = late or now > booking.start - booking.agreed.movable_minutes * MINUTE
        late = late or booking.customer_moves >= booking.agreed.most_moves
    return "not_reschedulable" if booking.status != "confirmed" or late else None


def _to_cancel(booking: "Expected", role: str, now: datetime, absent: str) -> str | None:
    if booking.status in ("awaiting_payment", "pending", "cancelled"):
        return None
    late = role in CUSTOMERS and now >= booking.start
    return "not_cancellable" if booking.status != "confirmed" or late else None


def _to_check_in(booking: "Expected", role: str, now: datetime, absent: str) -> str | None:
    if booking.status not in ("confirmed", "in_progress"):
        return "not_open"
    if now < booking.start - WAITING_ROOM:
        return "too_early"
    return "not_open" if now >= booking.start + DURATION else None


def _to_start(booking: "Expected", role: str, now: datetime, absent: str) -> str | None:
    if booking.status == "confirmed" and now < booking.start - WAITING_ROOM:
        return "too_early"
    return None if booking.status in ("confirmed", "in_progress") else "not_startable"


def _to_complete(booking: "Expected", role: str, now: datetime, absent: str) -> str | None:
    return None if booking.status in ("in_progress", "completed") else "not_completable"


def _to_be_missed(booking: "Expected", role: str, now: datetime, absent: str) -> str | None:
    if booking.status == "no_show":
        return None
    if booking.status not in ("confirmed", "in_progress"):
        return "not_absent"
    if now < booking.start + booking.agreed.grace_minutes * MINUTE:
        return "too_early"
    away = booking.is_flagged and "mechanic" not in booking.came
    unsure = role == "mechanic" and absent == "customer" and (absent in booking.came or away)
    return "not_absent" if unsure else None


def _to_hand_over(booking: "Expected", role: str, now: datetime, absent: str) -> str | None:
    return None if booking.status == "confirmed" and now < booking.start else "not_transferable"


def _to_propose(booking: "Expected", role: str, now: datetime, absent: str) -> str | None:
    return None if booking.status == "confirmed" and now < booking.start else "not_reschedulable"


REFUSALS = {
    "reschedule": _to_move,
    "cancel": _to_cancel,
    "check_in": _to_check_in,
    "start": _to_start,
    "complete": _to_complete,
    "no_show": _to_be_missed,
    "hand_over": _to_hand_over,
    "propose": _to_propose,
    "accept_proposal": _to_propose,
}
