"""What a customer is told about a booking, by mail or by text message, and the facts that it is written from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pitstop.domain.catalogue import SessionKind

_OFFSET = re.compile(r"/reminder/([0-9]+)s(/|$)", re.ASCII)


class NoticeKind(StrEnum):
    """Why a mail is sent. One booking gets one mail for each kind (and, of reminders, for each offset)."""

    CONFIRMATION = "confirmation"
    REMINDER = "reminder"
    CANCELLATION = "cancellation"
    REFUND = "refund"
    RESCHEDULED = "rescheduled"
    # The difference of a dearer plan was paid, and the booking could not be moved there.
    DIFFERENCE_RETURNED = "difference_returned"
    # It was not paid in time, and the booking stays as it was.
    DIFFERENCE_UNPAID = "difference_unpaid"
    PROPOSAL = "proposal"
    HANDED_OVER = "handed_over"
    AT_RISK = "at_risk"
    WAIVER_REQUEST = "waiver_request"
    NOT_TAKEN = "not_taken"
    TAKEN = "taken"
    NO_SHOW = "no_show"
    WAITLIST_OFFER = "waitlist_offer"
    # To the workshop; the others are to the customer.
    WORKSHOP_REQUEST = "workshop_request"
    WORKSHOP_ASKED = "workshop_asked"
    WORKSHOP_PROPOSAL = "workshop_proposal"
    WORKSHOP_DECLINED = "workshop_declined"
    REFERRAL = "referral"


class Channel(StrEnum):
    """The way by which a notice goes."""

    EMAIL = "email"
    SMS = "sms"


class Language(StrEnum):
    """The languages that customers are written to in; French as in Canada."""

    EN = "en"
    FR = "fr"


@dataclass(frozen=True, slots=True)
class BookingFacts:
    """A booking as a mail or a calendar entry shows it.

    `start` and `end` are aware instants in UTC. `customer_timezone` and `venue_timezone` are IANA names; times are
    shown in the customer's zone, for an in-person session in the venue's. `amount`, `amount_refunded` and
    `amount_kept` (what stays after an end, by the policy) are minor units (cents) of `currency`, an ISO 4217 code in
    lower case. `manage_url` is empty where it is not for the customer's eyes, `join_url` also where there is nothing to
    join. `previous_start`: before it was moved. `untaken`: an immediate session that nobody has taken; it has no
    mechanic (the name is empty), and its times are those that it would have had at once. `detail` is what a kind of
    notice needs besides (a link, a reason); its texts are people's, too. `invite_uid` never changes for a booking;
    `invite_sequence` rises by one with each change of the invite, cancellation included (RFC 5545, 3.8.7.4).
    `unanswered`: whose word the booking waits for, `awaiting` (the workshop's) or `proposed` (the customer's, on what
    the workshop proposes), until `answer_by`; None: nobody's.
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
    language: Language = Language.EN
    customer_phone: str | None = None
    amount_kept: int = 0
    previous_start: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    untaken: bool = False
    unanswered: str | None = None
    answer_by: datetime | None = None

    @property
    def is_tentative(self) -> bool:
        """Whether the session may still not take place at this time because of the workshop."""
        return self.unanswered is not None


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice to write. `key` names it for ever: the same key is the same notice, sent once for each `sending`.

    `sending` rises when an operator has it sent again.
    """

    key: str
    kind: NoticeKind
    facts: BookingFacts
    reminder_offset: timedelta | None = None
    sending: int = 1


@dataclass(frozen=True, slots=True)
class Claim:
    """A notice claimed for its `attempt`-th sending, with the facts as they are then.

    Of a text message: `since` is when an earlier try of this sending was made, whose answer may have been lost (None:
    there was none); `message_sid` what the provider calls the message, if it has told us already that it has it.
    """

    attempt: int
    facts: BookingFacts
    kind: NoticeKind
    channel: Channel = Channel.EMAIL
    sending: int = 1
    since: datetime | None = None
    message_sid: str | None = None


def waiver_url(manage_url: str) -> str:
    """Where the customer signs the waiver, by the same token as the booking's page."""
    path, _, query = manage_url.partition("?")
    base, _, booking = path.rpartition("/manage/")
    return f"{base}/bookings/{booking}/waiver?{query}"


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


def offset_of(key: str) -> timedelta | None:
    """How long before the session a reminder with this key comes; None for every other notice."""
    found = _OFFSET.search(key)
    return timedelta(seconds=int(found[1])) if found else None
