"""A mechanic's calendar as programs that subscribe to it are shown it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pitstop.domain.catalogue import SessionKind


@dataclass(frozen=True, slots=True)
class Address:
    """What the address of a feed names. A new address has a new `feed_id`; the one before opens nothing any more."""

    feed_id: UUID
    mechanic_id: UUID
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A session, or time off, which has no `kind` and no `service_name`.

    `customer` is the first word of the customer's name, None once it is erased. `sequence` is the invite's, and
    `changed_at` the moment of the last change. `tentative`: its workshop has not confirmed it yet. Nothing else of a
    booking is here: a feed is copied to others' servers.
    """

    id: UUID
    service_name: str | None
    kind: SessionKind | None
    place: str | None
    customer: str | None
    starts_at: datetime
    ends_at: datetime
    sequence: int
    changed_at: datetime
    tentative: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    mechanic_name: str
    entries: list[Entry]
