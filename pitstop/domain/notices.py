"""What a customer is told by mail about a booking, and the facts that a mail is written from."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from pitstop.domain.catalogue import SessionKind


class NoticeKind(StrEnum):
    """Why a mail is sent. One booking gets one mail for each kind (and, of reminders, for each offset)."""

    CONFIRMATION = "confirmation"
    REMINDER = "reminder"
    CANCELLATION = "cancellation"
    REFUND = "refund"
    RESCHEDULED = "rescheduled"
    NO_SHOW = "no_show"
    HANDED_OVER = "handed_over"
    AT_RISK = "at_risk"
    PROPOSAL = "proposal"
    # The first of these goes to the workshop, the others to the customer.
    WORKSHOP_REQUEST = "workshop_request"
    WORKSHOP_ASKED = "workshop_asked"
    WORKSHOP_PROPOSAL = "workshop_proposal"
    WORKSHOP_DECLINED = "workshop_declined"
    REFERRAL = "referral"


class Channel(StrEnum):
    """The way by which a notice goes."""

    EMAIL = "email"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class BookingFacts:
    """A booking as a mail or a calendar entry shows it.

    `start` and `end` are aware instants in UTC. `customer_timezone` and `venue_timezone` are IANA names; times are
    shown in the customer's zone, for an in-person session in the venue's. `amount` and `amount_refunded` are minor
    units (cents) of `currency`, an ISO 4217 code in lower case. `manage_url` is empty where it is
    not for the customer's eyes, `join_url` also where there is nothing to join. `invite_uid` never changes for a
    booking; `invite_sequence` rises by one with each change of the invite, cancellation included (RFC 5545, 3.8.7.4).
    """

    booking_id: UUID
    kind: SessionKind
    service_name: str
    plan_name: str
    mechanic_name: str
    customer_name: str
    customer_email: str
    start: datetime
    end: datetime
    customer_timezone: str
    venue_timezone: str
    venue_address: str | None
    amount: int
    amount_refunded: int
    currency: str
    manage_url: str
    invite_uid: str
    invite_sequence: int
    join_url: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail to write. `key` names it for ever (booking, kind, offset): the same key is the same mail, sent once."""

    key: str
    kind: NoticeKind
    facts: BookingFacts
    reminder_offset: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A mail claimed for its `attempt`-th sending, with the facts as they are then."""

    attempt: int
    facts: BookingFacts


def join_url(manage_url: str, kind: SessionKind) -> str:
    """Where the customer enters an online session: below the booking's page, by the same token. In person empty."""
    if kind is SessionKind.IN_PERSON or not manage_url:
        return ""
    path, _, query = manage_url.partition("?")
    return f"{path}/join?{query}"


def notice_key(
    booking_id: UUID,
    kind: NoticeKind,
    reminder_offset: timedelta | None = None,
    *,
    move: int = 0,
    channel: Channel = Channel.EMAIL,
    of: UUID | None = None,
) -> str:
    """Names one notice for ever: the same key is never sent twice.

    `move`: how often the booking had been moved when the notice was owed, since a new time has notices of its own.
    `of`: the change or flag that it tells of, where one booking may have several.
    """
    parts = [str(booking_id), str(kind)]
    if reminder_offset is not None:
        parts.append(f"{int(reminder_offset.total_seconds())}s")
    if move:
        parts.append(f"move-{move}")
    if of is not None:
        parts.append(str(of))
    if channel is not Channel.EMAIL:
        parts.append(str(channel))
    return "/".join(parts)
