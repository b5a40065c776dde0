"""What can be asked of a booking that has its slot, and why it is refused."""

from enum import StrEnum

from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.saga import Message, Terms


class ChangeKind(StrEnum):
    """What somebody asks for."""

    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    CHECK_IN = "check_in"
    START = "start"
    COMPLETE = "complete"
    NO_SHOW = "no_show"
    HAND_OVER = "hand_over"
    PROPOSE = "propose"
    ACCEPT_PROPOSAL = "accept_proposal"
    DECLINE_PROPOSAL = "decline_proposal"
    ACCEPT = "accept"
    DECLINE_OFFER = "decline_offer"
    WORKSHOP_CONFIRM = "workshop_confirm"
    WORKSHOP_PROPOSE = "workshop_propose"
    WORKSHOP_DECLINE = "workshop_decline"


class ChangeRefusal(StrEnum):
    """Why nothing was changed. `withdrawn`: whoever asked has taken it back, or the booking has gone. `not_theirs`: the
    booking has gone to another mechanic, or workshop, since it was asked."""

    WITHDRAWN = "withdrawn"
    NOT_THEIRS = "not_theirs"
    SLOT_UNAVAILABLE = "slot_unavailable"
    SLOT_NOT_OFFERED = "slot_not_offered"
    VERSION_CONFLICT = "version_conflict"
    NOT_RESCHEDULABLE = "not_reschedulable"
    NOT_CANCELLABLE = "not_cancellable"
    NOT_OPEN = "not_open"
    TOO_EARLY = "too_early"
    NOT_STARTABLE = "not_startable"
    WAIVER_MISSING = "waiver_missing"
    NOT_COMPLETABLE = "not_completable"
    NOT_ABSENT = "not_absent"
    NOT_TRANSFERABLE = "not_transferable"
    NO_PROPOSAL = "no_proposal"
    PRICE_DIFFERS = "price_differs"
    PAYMENT_UNAVAILABLE = "payment_unavailable"
    ALREADY_TAKEN = "already_taken"
    NOT_ON_OFFER = "not_on_offer"
    NOT_AWAITED = "not_awaited"


class ChangeOutcome(Message):
    """The booking's terms after the change, or as they were where it was refused; none where there is no booking.

    `reason` says why a slot cannot be had, `why` in words why the change is refused.
    """

    refusal: ChangeRefusal | None = None
    reason: SlotRefusal | None = None
    why: str | None = None
    terms: Terms | None = None


_CONFIRMED = (BookingStatus.CONFIRMED,)
# Where a booking stands when each change can be asked of it, and nowhere else. An immediate session that somebody has
# taken says so to those who come too late.
POSSIBLE_IN: dict[ChangeKind, tuple[BookingStatus, ...]] = {
    ChangeKind.RESCHEDULE: _CONFIRMED,
    ChangeKind.CANCEL: (BookingStatus.AWAITING_PAYMENT, BookingStatus.PENDING, BookingStatus.CONFIRMED),
    ChangeKind.CHECK_IN: (BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS),
    ChangeKind.START: _CONFIRMED,
    ChangeKind.COMPLETE: (BookingStatus.IN_PROGRESS,),
    ChangeKind.NO_SHOW: (BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS),
    ChangeKind.HAND_OVER: _CONFIRMED,
    ChangeKind.PROPOSE: _CONFIRMED,
    ChangeKind.ACCEPT_PROPOSAL: _CONFIRMED,
    ChangeKind.DECLINE_PROPOSAL: _CONFIRMED,
    ChangeKind.ACCEPT: (BookingStatus.PENDING, BookingStatus.IN_PROGRESS),
    ChangeKind.DECLINE_OFFER: (BookingStatus.PENDING, BookingStatus.IN_PROGRESS),
    ChangeKind.WORKSHOP_CONFIRM: _CONFIRMED,
    ChangeKind.WORKSHOP_PROPOSE: _CONFIRMED,
    ChangeKind.WORKSHOP_DECLINE: _CONFIRMED,
}
# What these bring about is no mistake to ask for again.
LEADS_TO = {
    ChangeKind.CANCEL: BookingStatus.CANCELLED,
    ChangeKind.START: BookingStatus.IN_PROGRESS,
    ChangeKind.COMPLETE: BookingStatus.COMPLETED,
    ChangeKind.NO_SHOW: BookingStatus.NO_SHOW,
}
_REFUSED_AS = {
    ChangeKind.RESCHEDULE: ChangeRefusal.NOT_RESCHEDULABLE,
    ChangeKind.CANCEL: ChangeRefusal.NOT_CANCELLABLE,
    ChangeKind.CHECK_IN: ChangeRefusal.NOT_OPEN,
    ChangeKind.START: ChangeRefusal.NOT_STARTABLE,
    ChangeKind.COMPLETE: ChangeRefusal.NOT_COMPLETABLE,
    ChangeKind.NO_SHOW: ChangeRefusal.NOT_ABSENT,
    ChangeKind.HAND_OVER: ChangeRefusal.NOT_TRANSFERABLE,
    ChangeKind.PROPOSE: ChangeRefusal.NOT_RESCHEDULABLE,
    ChangeKind.ACCEPT_PROPOSAL: ChangeRefusal.NO_PROPOSAL,
    ChangeKind.DECLINE_PROPOSAL: ChangeRefusal.NO_PROPOSAL,
    ChangeKind.ACCEPT: ChangeRefusal.NOT_ON_OFFER,
    ChangeKind.DECLINE_OFFER: ChangeRefusal.NOT_ON_OFFER,
    ChangeKind.WORKSHOP_CONFIRM: ChangeRefusal.NOT_AWAITED,
    ChangeKind.WORKSHOP_PROPOSE: ChangeRefusal.NOT_AWAITED,
    ChangeKind.WORKSHOP_DECLINE: ChangeRefusal.NOT_AWAITED,
}


class NotOnesOffice(Exception):
    """The booking may be seen, but this is not the caller's to ask of it."""


# The workshop's own words, which whoever keeps it says of each booking there.
WORKSHOPS_WORDS = (ChangeKind.WORKSHOP_CONFIRM, ChangeKind.WORKSHOP_PROPOSE, ChangeKind.WORKSHOP_DECLINE)


def is_done_by(kind: ChangeKind, status: BookingStatus) -> bool:
    """Whether the booking is where this change would bring it: asking again changes nothing, and is no mistake."""
    return LEADS_TO.get(kind) is status


def refusal_in(kind: ChangeKind) -> ChangeRefusal:
    """How it is called that a booking cannot be changed in this way, as it stands."""
    return _REFUSED_AS[kind]


def why_not_in(kind: ChangeKind, status: BookingStatus) -> str:
    """The same in words."""
    wanted = " or ".join(POSSIBLE_IN[kind])
    return f"The booking is {status}; this can be asked of one that is {wanted}."
