"""What the audit asks of PostgreSQL, Stripe and the engine. postgres/ and gateways/ implement it."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from pitstop.domain.audit.facts import BookingRecord, Overlap, Run, StripeIntent, StripeRefund
from pitstop.domain.audit.findings import Finding
from pitstop.domain.saga import PaymentEvent, Standing


class AuditImpossible(Exception):
    """One of the sources could not be read: then nothing can be said, neither good nor bad."""


@dataclass(frozen=True, slots=True)
class Page:
    """Bookings to look at together. `span`: when they were made, for a page in that order."""

    ids: Sequence[UUID]
    span: tuple[datetime, datetime] | None = None


class Snapshot(Protocol):
    """The database at one instant, which is `now` by its own clock. Raises `AuditImpossible`."""

    now: datetime

    def every_booking(self, size: int) -> AsyncIterator[Page]: ...

    def changed_bookings(self, since: datetime, size: int) -> AsyncIterator[Page]: ...

    async def facts(self, ids: Collection[UUID]) -> dict[UUID, BookingRecord]: ...

    async def not_open(self, ids: Collection[UUID]) -> set[UUID]:
        """Of these, the bookings that have ended or are not known."""

    async def overlaps(self, ids: Collection[UUID]) -> list[Overlap]: ...

    async def guards_missing(self) -> list[str]: ...

    async def waitlist_unsound(self, patience: timedelta) -> list[Finding]:
        """What the waitlist has left undone for longer than this, or done twice."""


# How many bookings looked wrong and were not looked at again, because there were too many: never clean.
LEFT_OVER = "left_over"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass has found. `since` None: it looked at every booking, or (`some`) at those that were named.

    `checked` counts what was read.
    """

    seen_at: datetime
    since: datetime | None
    seconds: float
    checked: dict[str, int]
    findings: tuple[Finding, ...] = field(default=())
    some: bool = False

    @property
    def is_clean(self) -> bool:
        return not self.findings and not self.checked.get(LEFT_OVER)


class Records(Protocol):
    """PostgreSQL as the audit's role. Raises `AuditImpossible`."""

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]: ...

    async def standing(self, booking_id: UUID) -> Standing | None: ...

    async def last_seen(self) -> datetime | None:
        """When the last pass that came to its end had begun to read."""

    async def keep(self, outcome: Outcome) -> None: ...


class Ledger(Protocol):
    """Stripe. It reads only. Raises `AuditImpossible`."""

    async def intents(self, ids: Collection[str]) -> list[StripeIntent]:
        """Those of the PaymentIntents that Stripe knows."""

    def intents_made(self, begin: datetime | None, end: datetime | None) -> AsyncIterator[list[StripeIntent]]:
        """Those made in the span, ends included, that name a booking; a page at a time."""

    async def refunds_of(self, payment_intent_id: str) -> list[StripeRefund]: ...

    def refunds_made(self, since: datetime) -> AsyncIterator[list[StripeRefund]]: ...


class Runs(Protocol):
    """The bookings' workflow runs that are open. Raises `AuditImpossible`."""

    async def open_runs(self, ids: Collection[UUID]) -> dict[UUID, Run]:
        """By the engine's index, which may be a moment behind."""

    def all_open(self) -> AsyncIterator[list[Run]]: ...

    async def described(self, booking_id: UUID) -> Run | None:
        """As it is now, with what is being retried; None when no run is open."""


class Remedies(Protocol):
    """How a repair acts: through the engine only."""

    async def revive(self, standing: Standing, event: PaymentEvent | None) -> bool: ...

    async def signal_payment(self, booking_id: UUID, event: PaymentEvent) -> None: ...

    async def sweep(self) -> None:
        """Starts the backstop now, and waits for its end."""
