"""One booking as PostgreSQL, Stripe and the engine have it. Instants are aware, amounts minor units (cents).

No personal data: the audit compares ids, amounts, states and times.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pitstop.domain.booking import BookingStatus
from pitstop.domain.policy import Policy

LIVE = ("reserved", "confirmed")
# Words of Stripe for a PaymentIntent that can still bring money (API reference, "The PaymentIntent object").
PAYABLE = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture", "processing")
# A refund that has moved or will move money; `failed` and `canceled` ones have not.
REFUNDING = ("succeeded", "pending", "requires_action")


@dataclass(frozen=True, slots=True)
class ReservationRecord:
    id: UUID
    mechanic_id: UUID
    status: str
    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime
    expires_at: datetime
    bay_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    status: str
    price_paid: int
    currency: str
    scheduled_for: datetime | None
    scheduled_for_original: datetime | None = None
    mechanic_id: UUID | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    absent: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """`supplement_id`: the difference that it pays; None: the booking's own payment."""

    payment_intent_id: str
    amount: int
    currency: str
    status: str
    paid_at: datetime | None
    supplement_id: UUID | None = None

    @property
    def is_unsettled(self) -> bool:
        """Neither paid nor voided, as far as is known."""
        return self.paid_at is None and self.status != "canceled"


@dataclass(frozen=True, slots=True)
class SupplementRecord:
    """What a dearer plan costs more. `held_until`: how long its time is held; None: it is not."""

    id: UUID
    status: str
    amount: int
    currency: str
    expires_at: datetime
    lapses_at: datetime
    closed_at: datetime | None
    held_until: datetime | None
    asked_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.status == "open"

    @property
    def is_applied(self) -> bool:
        return self.status == "applied"


@dataclass(frozen=True, slots=True)
class RefundRecord:
    idempotency_key: str
    payment_intent_id: str
    amount: int
    stripe_refund_id: str | None
    requested_at: datetime
    refunded_at: datetime | None


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    key: str
    kind: str
    status: str
    due_at: datetime | None
    attempts: int
    sent_at: datetime | None
    created_at: datetime
    channel: str = "email"
    move: int = 0

    @property
    def is_unsent(self) -> bool:
        return self.status in ("pending", "sending")


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """An entry of the booking's timeline: the key of the mail that it tells of, and how many mails it made owed.

    `by`: who has asked for it (a role, or `clock`), by releases that say so. `start_before`: of a move, the start that
    the booking had until then. `percent`: how much of the price went back. `absent`: who did not come. `resold`:
    it became another plan, with that plan's policy; `policy_before`: the one that it had until then, by releases that
    say so. `unanswered`: of an end, the workshop's word that was still waited for. `asks_workshop`: it was handed
    over to a workshop that has to agree, too, by releases that say so.
    """

    event: str
    at: datetime
    key: str | None = None
    notices: int | None = None
    by: str | None = None
    start_before: datetime | None = None
    percent: int | None = None
    absent: str | None = None
    resold: bool = False
    policy_before: Policy | None = None
    unanswered: str | None = None
    asks_workshop: bool = False


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """What somebody asked of the booking. `outcome` None: nobody has decided on it.

    `unchanged`: it was so before, or is to be paid first.
    """

    id: UUID
    kind: str
    asked_at: datetime
    outcome: str | None
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class OfferRecord:
    """That an immediate session was offered to a mechanic; no outcome: it may still be taken."""

    mechanic_id: UUID
    outcome: str | None


@dataclass(frozen=True, slots=True)
class InboxRecord:
    event_id: str
    type: str
    received_at: datetime
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """`is_news`: the booking's run has not taken notice of it yet."""

    id: UUID
    since: datetime
    is_news: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class WaiverRecord:
    """A signature. `fits`: the text on record has the hash that was signed, and is the text of that hash."""

    id: UUID
    version: int
    language: str
    fits: bool


@dataclass(frozen=True, slots=True)
class OptionHeld:
    """A proposed time that is held. `proposed`: the customer can still take it."""

    id: UUID
    expires_at: datetime
    proposed: bool


@dataclass(frozen=True, slots=True)
class BookingRecord:
    """The booking's rows, read in one snapshot. `trail` is in the order of the events.

    `local_start` is what the wall shows in the workshop, or where the mechanic is, without a zone, by the database's
    zone data. An immediate session has neither time nor mechanic until one takes it, and is offered until
    `offers_end_at`. `policy` is the one that was agreed, `kept_amount` what stays of the money after an end, `came` who
    has checked in, `came_elsewhere` who did so before the booking left the time, or the mechanic, of then.
    """

    id: UUID
    status: BookingStatus
    version: int
    mechanic_id: UUID | None
    starts_at: datetime | None
    ends_at: datetime | None
    buffer_before_minutes: int
    buffer_after_minutes: int
    amount: int
    currency: str
    hold_expires_at: datetime | None
    invite_sequence: int
    created_at: datetime
    updated_at: datetime
    in_person: bool = False
    venue_timezone: str | None = None
    local_start: datetime | None = None
    reservations: tuple[ReservationRecord, ...] = ()
    sessions: tuple[SessionRecord, ...] = ()
    payments: tuple[PaymentRecord, ...] = ()
    supplements: tuple[SupplementRecord, ...] = ()
    refunds: tuple[RefundRecord, ...] = ()
    notices: tuple[NoticeRecord, ...] = ()
    trail: tuple[TrailEntry, ...] = ()
    policy: Policy | None = None
    moves: int = 0
    customer_moves: int = 0
    kept_amount: int | None = None
    changes: tuple[ChangeRecord, ...] = ()
    came: tuple[str, ...] = ()
    came_elsewhere: tuple[str, ...] = ()
    inbox: tuple[InboxRecord, ...] = ()
    flags: tuple[FlagRecord, ...] = ()
    proposed_until: datetime | None = None
    immediate: bool = False
    offers_end_at: datetime | None = None
    offers: tuple[OfferRecord, ...] = ()
    needs_waiver: bool = False
    waivers: tuple[WaiverRecord, ...] = ()
    workshop_status: str | None = None
    workshop_answer_by: datetime | None = None
    options_held: tuple[OptionHeld, ...] = ()
    same_referral: tuple[UUID, ...] = ()

    @property
    def payment(self) -> PaymentRecord | None:
        """The booking's own."""
        return next((payment for payment in self.payments if payment.supplement_id is None), None)

    @property
    def supplements_paid_by(self) -> list[tuple[SupplementRecord, PaymentRecord]]:
        by_id = {each.id: each for each in self.supplements}
        return [(by_id[each.supplement_id], each) for each in self.payments if each.supplement_id in by_id]

    @property
    def price_paid(self) -> int:
        """What was paid for what it is now: its own payment, and the differences that have moved it."""
        own = self.payment.amount if self.payment else 0
        more = sum(payment.amount for supplement, payment in self.supplements_paid_by if supplement.is_applied)
        return own + more - self.differences

    @property
    def differences(self) -> int:
        """What went back, or is owed, because the booking was moved to something cheaper."""
        return sum(refund.amount for refund in self.refunds if "/move/" in refund.idempotency_key)

    @property
    def live(self) -> tuple[ReservationRecord, ...]:
        return tuple(reservation for reservation in self.reservations if reservation.status in LIVE)

    @property
    def is_paid(self) -> bool:
        return self.payment is not None and self.payment.paid_at is not None

    @property
    def starts(self) -> tuple[datetime | None, ...]:
        """The starts that it has had, the present one last, by its timeline."""
        before = [entry.start_before for entry in self.trail if entry.start_before is not None]
        return (*before, self.starts_at)

    @property
    def owes(self) -> bool:
        """Whether its workflow still has something to do for the customer: money to give back, a mail to send, or a
        payment to void that nobody is to make any more."""
        return (
            any(refund.refunded_at is None for refund in self.refunds)
            or any(notice.is_unsent for notice in self.notices)
            or any(payment.is_unsettled for _, payment in self.supplements_paid_by)
        )


@dataclass(frozen=True, slots=True)
class StripeIntent:
    """A PaymentIntent at Stripe. `booking_id` is that of its metadata; `paid_at` when its charge was captured."""

    id: str
    booking_id: UUID | None
    status: str
    amount: int
    currency: str
    received: int
    refunded: int
    created: datetime
    paid_at: datetime | None

    @property
    def is_paid(self) -> bool:
        return self.status == "succeeded"

    @property
    def kept(self) -> int:
        """What the customer has paid and not got back."""
        return self.received - self.refunded


@dataclass(frozen=True, slots=True)
class StripeRefund:
    id: str
    payment_intent_id: str
    booking_id: UUID | None
    amount: int
    currency: str
    status: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """A booking's run that is open. `shown` is its search attribute BookingStatus; `retrying` names what fails."""

    booking_id: UUID
    shown: str | None
    started: datetime
    retrying: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of one booking. `stripe` and `engine`: whether these were asked about it."""

    booking_id: UUID
    record: BookingRecord | None
    intents: tuple[StripeIntent, ...] = ()
    refunds: tuple[StripeRefund, ...] = ()
    run: Run | None = None
    stripe: bool = True
    engine: bool = True

    @property
    def intent(self) -> StripeIntent | None:
        """The booking's own PaymentIntent, as Stripe has it."""
        payment = self.record.payment if self.record else None
        return self.intent_of(payment) if payment else None

    def intent_of(self, payment: PaymentRecord) -> StripeIntent | None:
        return next((each for each in self.intents if each.id == payment.payment_intent_id), None)

    @property
    def on_record(self) -> list[StripeIntent]:
        """All PaymentIntents on record, as Stripe has them."""
        named = {payment.payment_intent_id for payment in (self.record.payments if self.record else ())}
        return [each for each in self.intents if each.id in named]

    @property
    def marker(self) -> tuple[object, ...]:
        """What changes whenever the booking moves: a finding counts only while this stands still."""
        record = self.record
        if record is None:
            return (None, self.run)
        rows = (record.refunds, record.notices, record.payments, record.supplements, record.flags, record.changes)
        return (record.version, record.updated_at, *rows, record.proposed_until, len(record.trail))


@dataclass(frozen=True, slots=True)
class Moment:
    """When the database was read, by its clock, and how long what is under way may take.

    `closing`: how long after its end a session may be open.
    """

    now: datetime
    patience: timedelta
    hold_grace: timedelta
    closing: timedelta = timedelta(0)

    def is_late(self, due: datetime) -> bool:
        """Whether what was to happen at `due` should have happened by now, retries included."""
        return due + self.patience < self.now


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two live reservations, of two bookings, that block the same time of one mechanic, or else of one bay."""

    booking_id: UUID
    other_booking_id: UUID
    mechanic_id: UUID | None
    bay_id: UUID | None = None
