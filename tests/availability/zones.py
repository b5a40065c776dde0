"""Zones with something particular about them, when their clocks change, and where the two sets of zone data agree."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from tests.availability.reference import zone

HOUR = timedelta(hours=1)
# Changes at night and at midnight, of an hour, of half an hour and of two; offsets of half and of quarter hours; clocks
# that go back for a month of fasting; none at all.
ZONES = [
    "America/Toronto",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Chatham",
    "Atlantic/Azores",
    "America/Santiago",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "America/Havana",
    "America/Nuuk",
    "Antarctica/Troll",
    "Asia/Kolkata",
    "Pacific/Auckland",
    "UTC",
]
FIRST_YEAR, LAST_YEAR = 2026, 2027


@cache
def clock_changes(name: str) -> list[datetime]:
    """The instants, in the years looked at, at which the zone's offset changes."""
    start, end = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    hours = [start + HOUR * number for number in range(int((end - start) / HOUR))]
    return [_change(name, hour) for hour in hours if offset(name, hour) != offset(name, hour + HOUR)]


def _change(name: str, hour: datetime) -> datetime:
    new = offset(name, hour + HOUR)
    return next(
        minute for minute in (hour + timedelta(minutes=1) * n for n in range(61)) if offset(name, minute) == new
    )


def offset(name: str, instant: datetime) -> timedelta:
    found = instant.astimezone(zone(name)).utcoffset()
    assert found is not None
    return found


class Agreement:
    """Whether PostgreSQL and Python mean the same by a zone's name.

    The database decides. Where Python's data says something else, the reference cannot judge it, and the zone is left
    out for that time.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, datetime], bool] = {}

    async def holds(self, connection: Any, name: str, since: datetime, until: datetime) -> bool:
        """Looked at every quarter of an hour, by whole weeks."""
        week = timedelta(days=7)
        first = datetime(2026, 1, 5, tzinfo=UTC)
        monday = first + (since - first) // week * week
        while monday < until:
            if not await self._week(connection, name, monday):
                return False
            monday += week
        return True

    async def _week(self, connection: Any, name: str, monday: datetime) -> bool:
        if (name, monday) not in self._known:
            rows = await connection.fetch(
                "SELECT look, (look AT TIME ZONE $1) - (look AT TIME ZONE 'UTC') AS utc_offset"
                " FROM generate_series($2::timestamptz, $2 + interval '167.75 hours', interval '15 minutes') AS look",
                name,
                monday,
            )
            self._known[name, monday] = all(offset(name, row["look"]) == row["utc_offset"] for row in rows)
        return self._known[name, monday]
