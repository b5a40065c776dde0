"""The ports: what activities and routes ask of the world outside. postgres/ and gateways/ implement them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Caller
from pitstop.domain.changes import ChangeKind, ChangeOutcome
from pitstop.domain.course import Course
from pitstop.domain.erasure import ErasedRecords
from pitstop.domain.limits import Declines
from pitstop.domain.notices import Claim, Notice
from pitstop.domain.saga import (
    AgreedPayment,
    CalledOff,
    Confirmed,
    HoldOutcome,
    IntentState,
    OwedRefund,
    PaymentEvent,
    PaymentTerms,
    Standing,
    SupplementNews,
    Terms,
)
from pitstop.domain.waitlist import Offer


@dataclass(frozen=True, slots=True)
class CalendarPart:
    """An iTIP message (RFC 5546) in a mail: `method` is REQUEST or CANCEL, `content` the VCALENDAR text."""

    method: str
    content: str


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A mail ready to send. `message_id` is made from the notice's key, so that a second copy can be recognised."""

    message_id: str
    to_name: str
    to_address: str
    subject: str
    text: str
    html: str
    calendar: CalendarPart | None = None


class MailWriter(Protocol):
    """Writes the mail for a notice."""

    def write(self, notice: Notice) -> OutgoingMail: ...


class NotAccepted(Exception):
    """A notice was not taken by whoever carries it. `permanent`: another try of the same is of no use."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class MailNotAccepted(NotAccepted):
    """The mail server has not accepted a mail, as far as the sender knows: it may have it if its answer was lost.

    `permanent`: the server, or the address itself, rules out this mail for good (SMTP 5xx, RFC 5321, 4.2.1, about this
    recipient or message), so that another try is of no use. Faults of the connection, the login or the sender are not.
    """


class Mailer(Protocol):
    """Hands a mail to the mail server. Returns when the server has accepted it; raises `MailNotAccepted` otherwise."""

    async def send(self, mail: OutgoingMail, attempt: int) -> None: ...


class TextNotAccepted(NotAccepted):
    """The text message was not taken, as far as the sender knows: the provider may have it if its answer was lost.

    `opted_out`: whoever has the number wants no messages of ours.
    """

    def __init__(self, message: str, *, permanent: bool, opted_out: bool = False) -> None:
        super().__init__(message, permanent=permanent)
        self.opted_out = opted_out


class TextMessenger(Protocol):
    """Hands text messages to their provider, which knows no idempotency keys. Raises `TextNotAccepted`.

    So a try whose answer was lost is looked up before the message is sent again.
    """

    async def send(self, to: str, body: str, key: str) -> str:
        """What the provider calls the message. `to` in E.164; news of its delivery bear the `key`."""

    async def sent_since(self, to: str, body: str, since: datetime) -> list[str]:
        """Which messages with just this text it has taken for this number since then, oldest first."""


class TextWriter(Protocol):
    """Writes the text message for a notice."""

    def write_text(self, notice: Notice) -> str: ...


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    """A PaymentIntent as Stripe answers. The client secret goes to the paying customer and nowhere else."""

    id: str
    status: str
    client_secret: str


class PaymentsUnavailable(Exception):
    """Stripe could not be asked, or could not say: the call may or may not have had its effect. Try again, same key."""


class PaymentsRefused(Exception):
    """Stripe has understood the call and refuses it; another try of the same call is of no use."""


class PaymentGateway(Protocol):
    """Stripe. Every write bears an idempotency key. Raises `PaymentsUnavailable` and `PaymentsRefused`."""

    async def create_intent(self, booking_id: UUID, reservation_id: UUID, terms: PaymentTerms) -> PaymentIntent: ...

    async def cancel_intent(self, payment_intent_id: str, *, awaited: bool) -> IntentState:
        """After this no payment can succeed any more, or one has: then the answer is `SUCCEEDED`.

        `awaited`: the booking waits for this answer, and Stripe's event about the cancellation is no news to it.
        """

    async def received(self, payment_intent_id: str) -> tuple[int, str]:
        """How much money has come in, and in which currency."""

    async def refund(self, owed: OwedRefund) -> str:
        """Gives it back and returns the refund's id: once, however late it is asked for again.

        A payment that somebody has given back by hand brings back the refund made so.
        """

    async def forget_address(self, payment_intent_id: str) -> None:
        """Removes the customer's mail address from the payment; repeating it does no harm."""


class SagaStore(Protocol):
    """The database as the saga's steps see it: each call is one transaction, and safe to repeat."""

    async def place_hold(
        self,
        booking_id: UUID,
        fingerprint: str,
        reservation_id: UUID,
        now: datetime,
        hold_expires_at: datetime,
        lapses_at: datetime,
    ) -> HoldOutcome:
        """Holds the slot of the booking as long as it is that of the request with this fingerprint (hex)."""

    async def withdraw(self, booking_id: UUID, fingerprint: str) -> bool:
        """Removes a request that waits for its PaymentIntent. False when it has one: then it stays."""

    async def payment_terms(self, booking_id: UUID) -> PaymentTerms | None:
        """None when the booking does not wait for a PaymentIntent any more."""

    async def record_intent(self, booking_id: UUID, intent: PaymentIntent, now: datetime) -> None: ...

    async def record_decline(
        self,
        booking_id: UUID,
        failure_code: str,
        now: datetime,
        payment_intent_id: str | None = None,
        event_id: str | None = None,
    ) -> None:
        """Of the booking's own PaymentIntent, or of that of a supplement; once for each event of Stripe."""

    async def declines(self, booking_id: UUID, window: timedelta) -> Declines: ...

    async def agreed(self, booking_id: UUID) -> AgreedPayment | None: ...

    async def note_wrong_payment(self, booking_id: UUID, amount: int, currency: str, now: datetime) -> None:
        """Puts on the booking's timeline, once, that money has come which is not what was agreed."""

    async def intent_of(self, booking_id: UUID) -> str | None:
        """The booking's PaymentIntent, if it got that far."""

    async def confirm(
        self, booking_id: UUID, new_reservation_id: UUID, course: Course, now: datetime
    ) -> Confirmed | None:
        """The session, with the reminders that are owed; None when the slot has gone to somebody else: then the money
        is owed back from here on. An immediate session is offered to mechanics."""

    async def close_unpaid(self, booking_id: UUID, status: BookingStatus, now: datetime) -> BookingStatus | None:
        """Where the booking stands then: somewhere else, if it did not wait for a payment any more."""

    async def call_off(self, booking_id: UUID, paid: bool, reason: str, now: datetime) -> CalledOff:
        """Frees slot and session of a booking that has not ended; if paid, all of the money is owed from here on."""

    async def owed_refunds(self, booking_id: UUID, reason: str | None, now: datetime) -> list[OwedRefund]:
        """What Stripe has not accepted yet. With a reason, a full refund is put on record if there was none before."""

    async def record_refund(self, booking_id: UUID, idempotency_key: str, refund_id: str, now: datetime) -> None:
        """A booking that was still waiting for its payment becomes `refunded`, and a mail about it is owed."""


class ChangeStore(Protocol):
    """What is asked of a booking that has its slot: each call is one transaction, and safe to repeat."""

    async def terms(self, booking_id: UUID, now: datetime) -> Terms | None:
        """As they are, once what has happened around the booking is taken notice of: flags, and what has lapsed."""

    async def apply(self, booking_id: UUID, change_id: UUID, course: Course, now: datetime) -> ChangeOutcome:
        """Decides on the change, and does it or leaves everything as it was."""

    async def offer(self, booking_id: UUID, course: Course, now: datetime) -> Terms | None:
        """Asks further mechanics to take an immediate session, or gives it up when the time for that is over."""

    async def close(self, booking_id: UUID, course: Course, now: datetime) -> Terms | None:
        """Ends a booking whose session's time is over, if nobody has ended it before."""


class SupplementStore(Protocol):
    """What a dearer plan costs more: each call is one transaction, and safe to repeat."""

    async def to_be_paid(self, booking_id: UUID, supplement_id: UUID) -> PaymentTerms | None:
        """None when nobody is to pay it any more."""

    async def record_intent(self, booking_id: UUID, supplement_id: UUID, intent: PaymentIntent, now: datetime) -> None:
        """Also of one that was closed meanwhile: then its run is told to void it."""

    async def withdraw(self, booking_id: UUID, supplement_id: UUID, now: datetime) -> Terms | None:
        """Closes one that has no PaymentIntent."""

    async def agreed(self, booking_id: UUID, payment_intent_id: str) -> AgreedPayment | None: ...

    async def settle(self, booking_id: UUID, news: SupplementNews, course: Course, now: datetime) -> Terms | None:
        """Paid in time, the booking moves; paid otherwise, all of it is owed back. Not paid: what is open lapses."""


class NoticeStore(Protocol):
    """The notices that are owed."""

    async def claim(self, key: str, now: datetime) -> Claim | None:
        """None when the notice was sent already, or is not to be sent any more."""

    async def mark_sent(self, key: str, sending: int, now: datetime, message_sid: str | None = None) -> None:
        """In its `sending`: one that was asked for again since is another."""

    async def mark_not_sent(self, key: str, why: str, now: datetime, sending: int | None = None) -> None:
        """`sending` None: in whichever it is."""

    async def note_failure(self, key: str, sending: int, why: str) -> None: ...

    async def note_opt_out(self, number: str) -> None:
        """Whoever has this number gets no more text messages."""

    async def not_known(self, key: str, message_sids: Sequence[str]) -> list[str]:
        """Those of these messages that are on record for no notice of the booking."""


class SweepStore(Protocol):
    """What the backstop looks for."""

    async def expire_lapsed_holds(self, now: datetime, limit: int) -> int: ...

    async def forget_requests(self, before: datetime) -> int:
        """Removes requests that were made before then and never got a hold."""

    async def overdue_bookings(self, before: datetime, ended_before: datetime, limit: int) -> list[Standing]:
        """Those whose next step was due `before`; of sessions, those whose time has `ended_before`."""

    async def standing(self, booking_id: UUID) -> Standing | None: ...

    async def flag_offline(self, now: datetime, soon: timedelta, limit: int) -> int:
        """Flags bookings that start within `soon` and whose mechanic is offline; lowers flags that came too late."""

    async def note_told(self, booking_id: UUID, before: datetime) -> None:
        """The run knows what was decided on before then: it was told anew."""

    async def unheard(self, before: datetime, limit: int) -> list[Standing]:
        """Bookings whose run does not seem to know of a flag, or of a change, a notice or a refund of before then."""


class HolidayCalendar(Protocol):
    """Which days are public holidays."""

    def days(self, region: str, years: Iterable[int]) -> dict[date, str]:
        """Those of these years, with their names; `region` in ISO 3166 (CA, CA-ON). Raises `UnknownRegion`."""


class HolidayStore(Protocol):
    """Public holidays of the regions that mechanics take off."""

    async def top_up(self, today: date, most: int) -> int:
        """Completes regions in use and replaces their days to come, once a day, so many at a time. Returns how many."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in the inbox that still has to be applied. `payment` is None when it is of no concern to a booking."""

    event_id: str
    booking_id: UUID | None
    payment: PaymentEvent | None


class Inbox(Protocol):
    """Stripe's events, stored once by id."""

    async def store(self, event: dict[str, Any], *, foreign: str | None = None, card: bytes | None = None) -> bool:
        """Keeps a verified event, once by its id. Whether it still has to be applied: not if it is `foreign`, for that
        reason. `card`: the name of the card that was declined, noted in the same transaction."""

    async def objection(self, booking_id: UUID, payment: PaymentEvent) -> str | None:
        """Why the money of this event is not what was agreed; None where there is nothing to object to."""

    async def unapplied(self, limit: int) -> list[StoredEvent]: ...

    async def mark_applied(self, event_id: str, outcome: str) -> None: ...


class EngineUnavailable(Exception):
    """The workflow engine cannot be reached, or has not answered in time."""


class IdempotencyKeyReused(Exception):
    """The booking that this key names was asked for with another request."""


class NoRunningWorkflow(Exception):
    """The booking's workflow does not run (any more)."""


class BookingEngine(Protocol):
    """How the API starts a booking. Raises `IdempotencyKeyReused` and `EngineUnavailable`."""

    async def hold(self, standing: Standing, summary: str, lasts: timedelta | None = None) -> HoldOutcome:
        """Starts the booking's workflow, or joins the one that runs, and brings back its refusal, if there is one.

        `lasts`: how long the slot is held, if that is not as for all.
        """

    async def change(self, standing: Standing, change_id: UUID, kind: ChangeKind) -> ChangeOutcome:
        """Has the booking's workflow decide on a change that is on record. Without terms."""

    async def tell_notices_owed(self, standing: Standing) -> None:
        """Has the booking's workflow send the notices that somebody has put on record."""

    async def is_reachable(self) -> bool: ...


class WaitlistStore(Protocol):
    """The waitlist: each call is safe to repeat, and to make twice at once."""

    async def next_offer(self, refused: Sequence[UUID], lasts: timedelta, now: datetime) -> Offer | None:
        """Opens a booking for the first in line who has a use for what has come free, `refused` left out; or brings
        back one that is open and not held yet. None when nobody has a use for anything that has come free.

        `lasts`: how long it will be held, which has to be over before the session starts.
        """

    async def withdraw(self, booking_id: UUID) -> None:
        """Takes back an offer that holds nothing."""

    async def look(self, lasts: timedelta, now: datetime, most: int, *, only_due: bool) -> int:
        """Looks whether something is free for so many entries, those looked at longest ago first; what is, counts as
        come free. `only_due`: for those only that nobody has looked at since something happened to them."""

    async def lapse(self, now: datetime) -> None:
        """Closes the entries whose time is over."""

    async def owes_something(self) -> bool:
        """Whether there is anything to look at."""


class WaitlistBell(Protocol):
    """How the waitlist is told that something has come free. Raises `EngineUnavailable`."""

    async def wake_waitlist(self) -> None: ...


class PaymentMessenger(Protocol):
    """How a payment event reaches the booking's workflow. Raises `NoRunningWorkflow` and `EngineUnavailable`."""

    async def signal_payment(self, booking_id: UUID, event: PaymentEvent) -> None: ...


class WorkflowReviver(PaymentMessenger, Protocol):
    """How the backstop takes up a booking whose workflow has gone."""

    async def revive(self, standing: Standing, event: PaymentEvent | None) -> bool:
        """Starts the booking's workflow again; False when it runs."""

    async def tell_notices_owed(self, standing: Standing) -> None:
        """Has the booking's workflow take notice of what somebody has put on record."""


class ErasureStore(Protocol):
    """Where a customer's personal data is removed. Each call is one transaction, and safe to repeat."""

    async def erase(self, customer_id: UUID, by: Caller, now: datetime) -> ErasedRecords:
        """All of it at once, with its entry in the audit log; nothing while a booking of the customer's is open."""

    async def intents_to_forget(self, customer_id: UUID) -> list[str]:
        """The PaymentIntents of erased bookings of which Stripe has not been told yet."""

    async def intent_forgotten(self, payment_intent_id: str, now: datetime) -> None: ...

    async def complete(self, customer_id: UUID, left_at_stripe: int, now: datetime, asked_until: datetime) -> None:
        """Nothing when it was asked for again after `asked_until`: of that Stripe has not been told yet."""


@dataclass(frozen=True, slots=True)
class SealedLog:
    """A seal over the audit log; `digest` in hex."""

    id: int
    entries: int
    digest: str


class SealStore(Protocol):
    """The chain over the audit log."""

    async def seal(self, most: int) -> SealedLog | None:
        """None when there is nothing new."""

    async def broken(self, most: int | None = None) -> list[int]:
        """The seals that no longer fit the log, of the newest and others at random, `most` in all (None: of all)."""


class Eraser(Protocol):
    """How the API has a customer's personal data removed. Raises `EngineUnavailable`."""

    async def erase(self, customer_id: UUID, by: Caller) -> ErasedRecords: ...
