"""What the audit log says of a deed: ids and codes, never a customer's personal data, because it cannot be erased."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    """What was done. The workflow's own steps are in a booking's timeline, and not told twice."""

    OPEN_BOOKING = "booking.open"
    WITHDRAW_BOOKING = "booking.withdraw"
    READ_BOOKING = "booking.read"
    LIST_BOOKINGS = "booking.list"
    CHANGE_BOOKING = "booking.change"
    TAKE_CHANGE_BACK = "booking.change_taken_back"
    JOIN_WAITLIST = "waitlist.join"
    READ_WAITLIST = "waitlist.read"
    LEAVE_WAITLIST = "waitlist.leave"
    READ_RULES = "rules.read"
    SET_SCHEDULE = "schedule.set"
    SET_ONLINE = "online.set"
    ADD_TIME_OFF = "time_off.add"
    REMOVE_TIME_OFF = "time_off.remove"
    LIST_NOTICES = "notice.list"
    RESEND_NOTICE = "notice.resend"
    READ_CALENDAR_ADDRESS = "calendar_address.read"
    MAKE_CALENDAR_ADDRESS = "calendar_address.make"
    REMOVE_CALENDAR_ADDRESS = "calendar_address.remove"
    LIST_RESERVATIONS = "reservation.list"
    LIST_OFFERS = "offer.list"
    ERASE_CUSTOMER = "customer.erase"
    OPEN_PAYLOADS = "payloads.open"
    SIGN_IN = "operator.sign_in"
    READ_AUDIT_LOG = "audit_log.read"
    PUBLISH_WAIVER = "waiver.publish"
    SIGN_WAIVER = "waiver.sign"
    READ_WAIVER = "waiver.read"
    OPEN_WORKSHOP = "workshop.open"
    SET_WORKSHOP = "workshop.set"
    READ_WORKSHOP = "workshop.read"
    ADD_BAY = "bay.add"
    SET_BAY = "bay.set"
    ASSIGN_MECHANIC = "mechanic.assign"
    REFER = "booking.refer"
    REQUEST = "request"


class Outcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Entry:
    """`object_id` is an id of ours; `detail` has counts and codes."""

    action: Action
    object_kind: str
    object_id: str | None = None
    outcome: Outcome = Outcome.DONE
    detail: dict[str, Any] = field(default_factory=dict)
