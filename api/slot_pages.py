"""The answer of a search, written straight from runs of starts: thousands of slots, of which each is a few lookups.

What it looks like is `SlotPage` and `Slot`; a test holds the two against each other. Instants are whole minutes since
1970, UTC: no zone's distance to UTC has had seconds since 1972.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from api import cursors
from pitstop.domain.free_time import FreeTime
from pitstop.domain.wall_clock import WallClock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)

_Slot = tuple[int, str]


class SlotsOfAPage:
    """The first `limit` slots of what was found, by start, then mechanic. The cursor says whether there are more."""

    def __init__(self, free: FreeTime, limit: int) -> None:
        self._duration = free.duration_minutes
        slots = _slots(free, limit + 1)
        self._slots, self._more = slots[:limit], len(slots) > limit

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """The first start and the last; None without a slot."""
        return (_instant(self._slots[0][0]), _instant(self._slots[-1][0])) if self._slots else None

    def written(self, clock: WallClock | None) -> bytes:
        """As JSON; with a clock, each slot also has its local start."""
        local = _local(clock) if clock else lambda _: "null"
        slots = ",".join(
            f'{{"mechanic_id":"{mechanic}","start":"{_text(start)}Z","end":"{_text(start + self._duration)}Z",'
            f'"local_start":{local(start)}}}'
            for start, mechanic in self._slots
        )
        return f'{{"slots":[{slots}],"next_cursor":{json.dumps(self._cursor())}}}'.encode()

    def _cursor(self) -> str | None:
        start, mechanic = self._slots[-1] if self._more else (0, "")
        return cursors.encode(_instant(start), UUID(mechanic)) if self._more else None


def _slots(free: FreeTime, most: int) -> list[_Slot]:
    runs = [
        ((first - _EPOCH) // _MINUTE, (last - _EPOCH) // _MINUTE, str(mechanic))
        for mechanic, first, last in zip(free.mechanics, free.firsts, free.lasts, strict=True)
    ]
    step = free.step_minutes
    until = _until([(first, last) for first, last, _ in runs], step, most)
    slots = [(start, mechanic) for first, last, mechanic in runs for start in range(first, min(last, until) + 1, step)]
    slots.sort()
    return slots[:most]


def _until(runs: Sequence[tuple[int, int]], step: int, most: int) -> int:
    """A start up to which there are `most` slots, and few more: a crowd has many times as many as fit on a page."""
    latest = max((last for _, last in runs), default=0)

    def slots_until(end: int) -> int:
        return sum((min(last, end) - first) // step + 1 for first, last in runs if first <= end)

    if slots_until(latest) <= most:
        return latest
    ends = range(min(first for first, _ in runs), latest + step, step)
    return ends[bisect_left(ends, most, key=slots_until)]


def _local(clock: WallClock) -> Callable[[int], str]:
    """Writes a start as that clock shows it, with the clock's distance to UTC."""
    since = [(begins - _EPOCH) // _MINUTE for begins, _ in clock.offsets]
    offsets = [(offset // _MINUTE, clock.local(begins).isoformat()[-6:]) for begins, offset in clock.offsets]

    def written(start: int) -> str:
        minutes, offset = offsets[max(0, bisect_right(since, start) - 1)]
        return f'"{_text(start + minutes)}{offset}"'

    return written


def _instant(minute: int) -> datetime:
    return _EPOCH + minute * _MINUTE


# The quarters of an hour of some months: the same are written again and again.
@lru_cache(maxsize=16_384)
def _text(minute: int) -> str:
    return _instant(minute).replace(tzinfo=None).isoformat()
