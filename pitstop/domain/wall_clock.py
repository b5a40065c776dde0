"""Local time from the database's zone data: Python's may be of another release, and one of the two has to decide."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone


class WallClock:
    """What a clock on the wall shows. `offsets`: since when which distance to UTC is valid, in order.

    Instants before the first have its distance.
    """

    def __init__(self, offsets: Sequence[tuple[datetime, timedelta]]) -> None:
        self.offsets = tuple(offsets)
        self._since = [since for since, _ in offsets]
        self._zones = [timezone(offset) for _, offset in offsets]

    def local(self, instant: datetime) -> datetime:
        return instant.astimezone(self._zones[max(0, bisect_right(self._since, instant) - 1)])
