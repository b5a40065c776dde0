"""What travels between API, workflow and activities: ids and instants. Personal data and secrets stay in the database.

Instants are aware and in UTC, amounts are minor units (cents), spans are `timedelta`.
"""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.changes import ChangeKind, ChangeRefusal
from pitstop.domain.notices import NoticeKind
from pitstop.domain.offering import Patience
from pitstop.domain.saga import HoldRefusal, Terms


class Payload(BaseModel):
    model_config = ConfigDict(frozen=True)


class Spans(Payload):
    """The time spans of a booking's saga. They travel with it: a later change of the settings does not touch it.

    `waiting_room`: how long before the start one may come in. `closing`: how long after the end a session that nobody
    has closed is closed; None in bookings of 0.1.0, which end with their time. `offering`: how long an immediate
    session waits for somebody who takes it. `to_pay_difference`: how long the customer may pay the difference of a
    dearer plan; None: as long as the slot was held.
    """

    hold: timedelta
    hold_grace: timedelta
    reminder_offsets: tuple[timedelta, ...]
    database_activity: timedelta
    stripe_activity: timedelta
    mail_activity: timedelta
    intent_patience: timedelta
    waiting_room: timedelta = timedelta(minutes=15)
    closing: timedelta | None = None
    offering: Patience = Patience()
    to_pay_difference: timedelta | None = None


class BookingOrder(Payload):
    """The workflow's input. `fingerprint` (hex) is that of the request: only the same request may share the run."""

    booking_id: UUID
    fingerprint: str
    spans: Spans


class HoldAnswer(Payload):
    """What the update `hold` brings back: no refusal means that the slot is held and the PaymentIntent exists."""

    refusal: HoldRefusal | None = None
    reason: SlotRefusal | None = None


class BookingRef(Payload):
    """A booking and the workflow's present moment: what every step needs."""

    booking_id: UUID
    now: datetime


class RequestRef(BookingRef):
    """A booking as long as it is that of this request (`fingerprint`, hex): another may have taken its key since."""

    fingerprint: str


class PlaceHold(RequestRef):
    """The customer may pay until `hold_expires_at`; the hold blocks the slot until `lapses_at`, a grace later."""

    reservation_id: UUID
    hold_expires_at: datetime
    lapses_at: datetime


class RequestPayment(BookingRef):
    reservation_id: UUID


class PaymentRequested(Payload):
    payment_intent_id: str


class RecordDecline(BookingRef):
    """`payment_intent_id`: that of a supplement; None: the booking's own.

    `event_id`: Stripe's event about it; None: a history of before it was kept.
    """

    failure_code: str
    payment_intent_id: str | None = None
    event_id: str | None = None


class Confirmation(Payload):
    """The session made, and the terms from then on; no session when the slot had gone to somebody else.

    `terms` None with a session: a history of 0.1.0.
    """

    session_id: UUID | None
    terms: Terms | None = None


class ConfirmBooking(BookingRef):
    """`new_reservation_id` names the reservation that is made if the hold has gone and the slot is still free."""

    new_reservation_id: UUID
    reminder_offsets: tuple[timedelta, ...]
    offering: Patience = Patience()


class CloseUnpaid(BookingRef):
    status: Literal[BookingStatus.EXPIRED, BookingStatus.PAYMENT_FAILED]


class CallOff(BookingRef):
    """`paid`: all of the money is owed back."""

    paid: bool
    reason: str


class RefundPayment(BookingRef):
    """What is on record goes back. With a reason, and nothing on record yet: all of the payment."""

    reason: str | None


class Withdrawal(Payload):
    """`gone`: nothing is left of the request. Otherwise it had got further than was known: its payment is on record."""

    gone: bool


class SendNotice(BookingRef):
    """`key` None: an order of 0.1.0, whose key is made from kind and offset."""

    kind: NoticeKind
    reminder_offset: timedelta | None = None
    key: str | None = None


class Change(Payload):
    """The update `change`: decide on what is on record under this id."""

    change_id: UUID
    kind: ChangeKind


class ChangeAnswer(Payload):
    """No refusal: it is done. `why` says in words why not."""

    refusal: ChangeRefusal | None = None
    reason: SlotRefusal | None = None
    why: str | None = None


class SessionStep(BookingRef):
    """A step in a booking's life, with what its run brings along."""

    reminder_offsets: tuple[timedelta, ...]
    waiting_room: timedelta
    offering: Patience = Patience()
    to_pay_difference: timedelta = timedelta(minutes=15)
    hold_grace: timedelta = timedelta(seconds=30)


class ApplyChange(SessionStep):
    """`paid`: whether the customer has paid, where the run knows it better than the database; None: as on record."""

    change_id: UUID
    paid: bool | None = None


class SupplementRef(BookingRef):
    """The difference that this change of the booking costs."""

    supplement_id: UUID


class VoidSupplement(BookingRef):
    payment_intent_id: str


class SettleSupplement(SessionStep):
    """What Stripe says of the PaymentIntent of a difference: so much has come in (`paid`), or nobody can pay any more.

    `amount` None: what came in was held against what was agreed before.
    """

    payment_intent_id: str
    paid: bool
    amount: int | None = None
    currency: str | None = None


class BookingEnding(Payload):
    """The workflow's result: where the booking ended, or why it never began."""

    status: BookingStatus | None
    refusal: HoldRefusal | None = None


class SweepOrder(Payload):
    """Input of one sweep: how many rows each step takes at most, and the spans of bookings that are taken up again."""

    batch: int
    overdue: timedelta
    spans: Spans


class SweepStep(Payload):
    """One step of a sweep, at the workflow's moment."""

    now: datetime
    order: SweepOrder


class SweepReport(Payload):
    expired_holds: int
    forgotten_requests: int
    applied_events: int
    revived_bookings: int
