"""The words for a booking's states and for why one is refused."""

from enum import StrEnum


class BookingStatus(StrEnum):
    """Where a booking stands. Which may follow which is the database's to enforce (table `status_transitions`)."""

    HOLDING = "holding"
    AWAITING_PAYMENT = "awaiting_payment"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    EXPIRED = "expired"
    PAYMENT_FAILED = "payment_failed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    NO_SHOW = "no_show"

    @property
    def is_end(self) -> bool:
        return self in _ENDS


_ENDS = frozenset(
    {
        BookingStatus.COMPLETED,
        BookingStatus.EXPIRED,
        BookingStatus.PAYMENT_FAILED,
        BookingStatus.CANCELLED,
        BookingStatus.REFUNDED,
        BookingStatus.NO_SHOW,
    }
)


class SlotRefusal(StrEnum):
    """Why a slot cannot be booked; the database's function `slot_refusal` says it in these words."""

    OUTSIDE_HOURS = "outside_hours"
    TIME_OFF = "time_off"
    TOO_SOON = "too_soon"
    TOO_FAR = "too_far"
    TAKEN = "taken"
    OFFLINE = "offline"
    NOT_OFFERED = "not_offered"
