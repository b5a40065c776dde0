"""What is agreed of a booking, in plain Python: its policy, what a dearer plan costs more, what is proposed.

Amounts are minor units, instants aware. A booking's slot runs from its start for an hour, and blocks a quarter of an
hour after it.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DURATION, BUFFER = HOUR, 15 * MINUTE
HOLD, GRACE = 15 * MINUTE, timedelta(seconds=30)
OFFSETS = (24 * HOUR, HOUR)
WAITING_ROOM = 15 * MINUTE
# Being offline concerns what starts within this time.
SOON = 2 * HOUR
FAR_AWAY = "Asia/Tokyo"
CUSTOMERS = ("customer", "service", "link")
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Agreed:
    """The frozen policy: `(minutes before, percent)` from the best tier to the worst."""

    tiers: tuple[tuple[int, int], ...]
    movable_minutes: int
    most_moves: int
    no_show_percent: int
    grace_minutes: int

    def back(self, start: datetime, now: datetime) -> int:
        """The share of whoever cancels at `now`: a tier's boundary is still inside it."""
        return next((share for minutes, share in self.tiers if now <= start - minutes * MINUTE), 0)

    def json(self) -> dict[str, object]:
        return {
            "refund_tiers": [{"minutes_before": minutes, "percent": share} for minutes, share in self.tiers],
            "reschedule_minutes_before": self.movable_minutes,
            "reschedule_limit": self.most_moves,
            "no_show_percent": self.no_show_percent,
            "grace_minutes": self.grace_minutes,
        }


@dataclass(slots=True)
class Difference:
    """What a dearer plan costs more, while it may be paid (`open`) and after.

    `by`: who has asked; `share`: what went back then. `held`: its time is nobody else's.
    `settled`: what became of the payment is on record.
    """

    id: UUID
    plan: str
    price: int
    amount: int
    start: datetime
    mechanic: UUID
    by: str
    share: int
    expires: datetime
    status: str = "open"
    held: bool = True
    settled: bool = False

    @property
    def lapses(self) -> datetime:
        return self.expires + GRACE

    @property
    def blocks(self) -> Span:
        return blocked_by(self.start)

    def is_over(self, how: str) -> None:
        self.status, self.held = how, False


@dataclass(frozen=True, slots=True)
class Proposal:
    """Other times that wait for the customer's answer. `held`: what nobody else can have meanwhile."""

    options: tuple[tuple[datetime, UUID], ...]
    by: str
    expires: datetime
    held: list[tuple[UUID, Span]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Away:
    """Time off."""

    id: UUID
    mechanic: UUID
    span: Span


@dataclass(slots=True)
class Flag:
    """A mechanic will not be there. `news`: the run has taken no notice of it yet, or not of its end; `noted`: it has
    at some time."""

    id: UUID
    is_open: bool = True
    news: bool = True
    noted: bool = False


def blocked_by(start: datetime) -> Span:
    return start, start + DURATION + BUFFER


def number_of(somebody: UUID) -> str:
    """A number for text messages that nobody else has."""
    return f"+{somebody.int % 10**10}"


def awake_after(moment: datetime) -> datetime:
    """When whoever is far away is not asleep any more: from eight in the morning until nine in the evening."""
    there = moment.astimezone(ZoneInfo(FAR_AWAY))
    if 8 <= there.hour < 21:
        return moment
    morning = there.replace(hour=8, minute=0, second=0)
    return (morning if there.hour < 8 else morning + timedelta(days=1)).astimezone(UTC)


def meet(one: Span, two: Span) -> bool:
    return one[0] < two[1] and two[0] < one[1]


def rounded_up(amount: int, parts: int) -> int:
    return (amount + parts - 1) // parts
