"""The waitlist: who waits for time that is taken, and what they are offered when it comes free."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pitstop.domain.notices import Language
from pitstop.domain.saga import Standing

LONGEST_SPAN = timedelta(days=62)


class EntryStatus(StrEnum):
    """Where an entry stands. `offered`: it waits, and a slot is held for it at this moment.

    `closed`: it has let as many offers go as it may, cancelled or let pass. `lapsed`: the time that it waited for is
    over.
    """

    WAITING = "waiting"
    OFFERED = "offered"
    FULFILLED = "fulfilled"
    LAPSED = "lapsed"
    LEFT = "left"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is waited for: a start within the span (half-open), of this mechanic or (None) of any who would do.

    `earliest` and `latest`: the local times of day in `timezone` between which it has to lie, both included.
    """

    service_id: UUID
    plan_id: UUID
    mechanic_id: UUID | None
    span: tuple[datetime, datetime]
    timezone: str
    earliest: time | None
    latest: time | None


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """An entry that is asked for, checked for form. `wish` is a digest of what is waited for, `fingerprint` of all."""

    id: UUID
    fingerprint: bytes
    wish: bytes
    wanted: Wanted
    customer_id: UUID
    customer_name: str
    customer_email: str
    customer_phone: str | None
    sms_consent: bool
    language: Language
    country: str
    city: str
    postal_code: str
    intake: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EntryLimits:
    """How many entries of one customer may wait at a time, and how many offers each may let pass."""

    per_customer: int
    missed: int


@dataclass(frozen=True, slots=True)
class FreeSlot:
    mechanic_id: UUID
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Joining:
    """What became of a request to wait. `entry_id`: it waits, as of now (`new`) or since before.

    `misnamed`: the field that names what does not exist. `free`: what fits and can be booked at once. `too_many`: the
    customer waits for as much as it may.
    """

    entry_id: UUID | None = None
    new: bool = False
    same_request: bool = True
    misnamed: str | None = None
    free: FreeSlot | None = None
    too_many: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A booking that the waitlist has opened for an entry, and that holds nothing yet."""

    entry_id: UUID
    standing: Standing
    summary: str
