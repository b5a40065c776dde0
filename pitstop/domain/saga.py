"""What the steps of a booking's saga bring back. Instants are aware and in UTC, amounts minor units (cents)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.notices import Channel, NoticeKind
from pitstop.domain.reminders import ReminderDue


class HoldRefusal(StrEnum):
    """Why a booking was not held. `withdrawn`: the booking itself has gone, so there is nothing to hold for."""

    SLOT_UNAVAILABLE = "slot_unavailable"
    SLOT_NOT_OFFERED = "slot_not_offered"
    PAYMENT_UNAVAILABLE = "payment_unavailable"
    WITHDRAWN = "withdrawn"


class Message(BaseModel):
    """What goes through the engine as it is. A model, whose reader is built once, not at each reading."""

    model_config = ConfigDict(frozen=True)


class NoticeDue(Message):
    """A mail or message that is owed and not yet sent. `due` None: at once. `offset`: how long before the session."""

    key: str
    kind: NoticeKind
    channel: Channel = Channel.EMAIL
    due: datetime | None = None
    offset: timedelta | None = None


class SupplementDue(Message):
    """A difference in price that the customer may pay until it `expires`: then the booking moves to what is dearer.

    `payment_intent_id` None: Stripe has not been asked for a PaymentIntent yet.
    """

    id: UUID
    amount: int
    currency: str
    expires: datetime
    payment_intent_id: str | None = None


class Terms(Message):
    """What was agreed, as the database has it: the snapshot that the whole saga goes by.

    `reservation_id` is that of the live reservation. `refund_due`: money is owed to the customer and not yet sent.
    `notices`: all that are owed and unsent, earliest first; None in histories of 0.1.0, which had `unsent_reminders`
    instead. `mechanic_id`: None there, too. `lapses`: when a proposal ends that nobody has answered. `supplement`: what
    may be paid at present to have it moved. `voids`: PaymentIntents of supplements that nobody is to pay any more, and
    Stripe has not been told.

    An immediate session has neither start nor end nor mechanic until somebody takes it. While one is looked for,
    `offers_due` is when further mechanics are asked, or when the search is over.
    """

    booking_id: UUID
    status: BookingStatus
    reservation_id: UUID | None
    hold_expires_at: datetime
    start: datetime | None
    end: datetime | None
    amount: int
    currency: str
    payment_intent_id: str | None
    paid: bool
    refund_due: bool
    unsent_reminders: tuple[ReminderDue, ...] = ()
    notices: tuple[NoticeDue, ...] | None = None
    mechanic_id: UUID | None = None
    lapses: datetime | None = None
    offers_due: datetime | None = None
    supplement: SupplementDue | None = None
    voids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A session that was made, or none where the booking has ended before; and the terms that it has now."""

    session_id: UUID | None
    terms: Terms


class HoldOutcome(Message):
    """Either the terms of a booking that holds its slot, or why there is none.

    `chosen_instead`: the mechanic who has the booking, when any would do and another than the first choice got it.
    """

    terms: Terms | None = None
    chosen_instead: UUID | None = None
    refusal: HoldRefusal | None = None
    reason: SlotRefusal | None = None


class CalledOff(Message):
    """Where a booking stands once it was called off (None: there is none), and whether money is owed for it.

    `voids`: as in its terms.
    """

    status: BookingStatus | None
    refund_due: bool
    voids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """What a PaymentIntent is made from; `payment_intent_id` of the one that an earlier try has made.

    An immediate session has no start, and no mechanic but the one who was asked for. `change_id`: it is over the
    difference that this change of the booking costs.
    """

    amount: int
    currency: str
    customer_email: str
    mechanic_id: UUID | None
    start: datetime | None
    service_name: str
    payment_intent_id: str | None = None
    change_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AgreedPayment:
    """What the customer is to pay, and the PaymentIntent for it, if there is one yet."""

    amount: int
    currency: str
    payment_intent_id: str | None


class IntentState(StrEnum):
    """What became of a PaymentIntent that was to be cancelled."""

    CANCELED = "canceled"
    SUCCEEDED = "succeeded"


class PaymentEvent(Message):
    """A verified Stripe event about a booking's PaymentIntent; `kind` is the event's type after `payment_intent.`."""

    event_id: str
    kind: str
    payment_intent_id: str
    amount: int
    currency: str
    failure_code: str | None = None


@dataclass(frozen=True, slots=True)
class SupplementNews:
    """That the PaymentIntent of a supplement is paid, or cannot be paid any more.

    `amount` None: what came in was held against what was agreed before.
    """

    payment_intent_id: str
    paid: bool
    amount: int | None = None
    currency: str | None = None

    def is_for(self, amount: int, currency: str) -> bool:
        """Whether it tells of this money: other money counts for nothing."""
        return self.amount is None or (self.amount, self.currency) == (amount, currency)


@dataclass(frozen=True, slots=True)
class OwedNotice:
    """A mail or message that a booking will get, or (`skip_reason`) will not get because its moment has passed.

    `move`: how often the booking had been moved when it was put on record. `about`: what it tells besides the booking's
    own facts, as JSON; pitstop/gateways/letter_words.py says what it may be.
    """

    key: str
    kind: NoticeKind
    due_at: datetime | None = None
    skip_reason: str | None = None
    channel: Channel = Channel.EMAIL
    move: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwedRefund:
    """Money that is to go back since `requested_at`, and that Stripe is not known to have accepted."""

    idempotency_key: str
    payment_intent_id: str
    amount: int
    reason: str
    requested_at: datetime


class NoticeOutcome(StrEnum):
    SENT = "sent"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True)
class Standing:
    """A booking as the engine has to know it to run its workflow. `fingerprint` is that of the request, in hex.

    An immediate session that nobody has taken has neither mechanic nor start.
    """

    booking_id: UUID
    fingerprint: str
    mechanic_id: UUID | None
    customer_id: UUID
    start: datetime | None
    status: BookingStatus
