"""Working hours as a mechanic states them: local wall-clock time, and which statements contradict each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import time
from itertools import combinations

DAY = 24 * 60
WEEK = 7 * DAY
MIDNIGHT = time(0)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Span:
    """Hours of a day. `closes` at or before `opens`: on the next day; both midnight: the whole day."""

    opens: time
    closes: time

    @property
    def is_ambiguous(self) -> bool:
        """No time or a whole day: between equal times that are not midnight, nobody can tell."""
        return self.opens == self.closes != MIDNIGHT

    @property
    def minutes(self) -> tuple[int, int]:
        """From the day's midnight on; the end is later than the start, and past 1440 on the next day."""
        opens, closes = _minute(self.opens), _minute(self.closes)
        return opens, closes if closes > opens else closes + DAY


@dataclass(frozen=True, slots=True)
class WeeklySpan:
    """Hours of a weekday, 0 being Monday."""

    weekday: int
    span: Span

    def __str__(self) -> str:
        return f"{WEEKDAYS[self.weekday]} {clock(self.span.opens)} to {clock(self.span.closes)}"


def clock(moment: time) -> str:
    return moment.strftime("%H:%M")


def overlap_in_a_day(spans: Sequence[Span]) -> tuple[int, int] | None:
    """The places of two that overlap; touching is fine."""
    return _overlap([[span.minutes] for span in spans])


def overlap_in_a_week(spans: Sequence[WeeklySpan]) -> tuple[int, int] | None:
    """The places of two that overlap, over midnight and from Sunday into Monday too; touching is fine."""
    return _overlap([list(_in_the_week(span)) for span in spans])


def _in_the_week(weekly: WeeklySpan) -> Iterator[tuple[int, int]]:
    opens, closes = weekly.span.minutes
    since, until = weekly.weekday * DAY + opens, weekly.weekday * DAY + closes
    yield since, min(until, WEEK)
    if until > WEEK:
        yield 0, until - WEEK


def _overlap(stated: Sequence[list[tuple[int, int]]]) -> tuple[int, int] | None:
    for (first, here), (second, there) in combinations(enumerate(stated), 2):
        if any(a < d and c < b for a, b in here for c, d in there):
            return first, second
    return None


def _minute(moment: time) -> int:
    return moment.hour * 60 + moment.minute
