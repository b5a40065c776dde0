"""Who waits for time that is taken, in plain Python: written from docs/waitlist.md."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from uuid import UUID

from tests.life.model.agreed import BUFFER, CUSTOMERS, DURATION, GRACE, meet, number_of
from tests.life.model.line import A_MOMENT, MISSED, OFFERED
from tests.life.model.rules import Expected

# Places at the end of the line.
_LATER = count(1_000_000)


@dataclass(slots=True)
class Entry:
    """One who waits for a start of this mechanic, from `since` to `until`. Whoever has a lower `place` comes first."""

    id: UUID
    customer: UUID
    mechanic: UUID
    since: datetime
    until: datetime
    place: int
    status: str = "waiting"
    missed: int = 0
    offers: list["Offered"] = field(default_factory=list)

    @property
    def starts(self) -> list[datetime]:
        """On the grid of starts."""
        return [self.since + BUFFER * step for step in range((self.until - self.since) // BUFFER + 1)]

    def wants(self, start: datetime) -> bool:
        """It has no offer now, and was never offered what shares a time with that."""
        if self.status != "waiting" or any(each.status == "awaiting_payment" for each in self.offers):
            return False
        offered = ((each.first_start, each.first_start + DURATION) for each in self.offers)
        return start in self.starts and not any(meet(each, (start, start + DURATION)) for each in offered)

    def is_fulfilled(self) -> None:
        self.status = "fulfilled"

    def lets_go(self, place: int) -> None:
        """An offer, once more, for which it gets this place."""
        if self.status == "waiting":
            self.missed, self.place = self.missed + 1, place
            self.status = "closed" if self.missed >= MISSED else "waiting"

    def lapses(self, now: datetime) -> None:
        if self.status == "waiting" and self.until + A_MOMENT <= now:
            self.status = "lapsed"


@dataclass(slots=True)
class Offered(Expected):
    """What is offered to whoever waits: a booking like all others, held for longer, of which its customer is told."""

    entry: Entry | None = None
    first_start: datetime = field(init=False)

    def __post_init__(self) -> None:
        Expected.__post_init__(self)
        self.first_start = self.start

    @property
    def number(self) -> str:
        return number_of(self.id if self.entry is None else self.entry.id)

    def is_held(self, now: datetime) -> None:
        Expected.is_held(self, now)
        self.lapses = now + OFFERED + GRACE
        self.owes_both("waitlist_offer")

    def is_confirmed(self, now: datetime) -> None:
        self._skips("waitlist_offer")
        Expected.is_confirmed(self, now)
        if self.entry is not None:
            self.entry.is_fulfilled()

    def is_unpaid(self) -> None:
        Expected.is_unpaid(self)
        if self.entry is not None:
            self.entry.lets_go(next(_LATER))

    def _cancelled(self, role: str, now: datetime) -> None:
        if self.entry is not None and self.status == "awaiting_payment" and role in CUSTOMERS:
            self.entry.lets_go(self.entry.place)
        Expected._cancelled(self, role, now)

    def lets_go(self) -> None:
        Expected.lets_go(self)
        self._skips("waitlist_offer")

    def goes_out(self, key: str, now: datetime) -> bool:
        if key.split("/")[1] != "waitlist_offer":
            return Expected.goes_out(self, key, now)
        stands = self.status == "awaiting_payment" and self.lapses is not None and self.lapses - GRACE > now
        self.mails[key] = "sent" if stands else "skipped"
        return stands
