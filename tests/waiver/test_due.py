"""When a customer is asked to sign: on the day, whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.waiver import NEEDING, request_due

TORONTO = ZoneInfo("America/Toronto")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "due"),
    [
        ("2026-12-01T14:00-05:00", "2026-12-01T08:00-05:00"),
        ("2026-12-01T09:00-05:00", "2026-12-01T08:00-05:00"),
        ("2026-12-01T08:30-05:00", "2026-12-01T07:30-05:00"),
        ("2026-12-01T00:30-05:00", "2026-11-30T23:30-05:00"),
        # Clocks go forward at 02:00 and back at 02:00: 08:00 is 08:00 on the wall, an hour nearer or farther.
        ("2026-03-08T14:00-04:00", "2026-03-08T08:00-04:00"),
        ("2026-11-01T14:00-05:00", "2026-11-01T08:00-05:00"),
        ("2026-11-01T01:30-05:00", "2026-11-01T01:30-04:00"),
        ("2026-03-08T03:15-04:00", "2026-03-08T01:15-05:00"),
    ],
)
def test_on_the_day(start: str, due: str) -> None:
    began, expected = datetime.fromisoformat(start).astimezone(UTC), datetime.fromisoformat(due)
    assert request_due(SessionKind.IN_PERSON, began, LONG_AGO, TORONTO) == expected


def test_at_once_when_that_moment_has_passed() -> None:
    start = datetime(2026, 12, 1, 19, tzinfo=UTC)
    for confirmed in (start - timedelta(hours=5), start - timedelta(minutes=10), start):
        assert request_due(SessionKind.DIAGNOSTIC, start, confirmed, TORONTO) == confirmed
    assert request_due(SessionKind.DIAGNOSTIC, None, start, TORONTO) == start, "an immediate session has no day"


@pytest.mark.parametrize("kind", sorted(set(SessionKind) - NEEDING))
def test_what_needs_none_is_not_asked_for(kind: SessionKind) -> None:
    assert request_due(kind, datetime(2026, 12, 1, 19, tzinfo=UTC), LONG_AGO, TORONTO) is None


def test_the_day_is_that_of_the_zone() -> None:
    """The same instant is Tuesday in Tokyo and Monday in Los Angeles."""
    start = datetime(2026, 12, 1, 1, tzinfo=UTC)
    tokyo = request_due(SessionKind.IN_PERSON, start, LONG_AGO, ZoneInfo("Asia/Tokyo"))
    angeles = request_due(SessionKind.IN_PERSON, start, LONG_AGO, ZoneInfo("America/Los_Angeles"))
    assert tokyo == datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert angeles == datetime(2026, 11, 30, 16, tzinfo=UTC)


_ZONES = st.sampled_from(
    ["America/Toronto", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "UTC"]
)
_MOMENTS = st.datetimes(datetime(2005, 1, 1), datetime(2037, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))  # noqa: DTZ001


@given(start=_MOMENTS, before=st.timedeltas(timedelta(0), timedelta(days=60)), zone=_ZONES)
def test_never_later_than_an_hour_before_unless_confirmed_later(start: datetime, before: timedelta, zone: str) -> None:
    confirmed, there = start - before, ZoneInfo(zone)
    due = request_due(SessionKind.IN_PERSON, start, confirmed, there)
    assert due is not None
    assert confirmed <= due <= max(confirmed, start - timedelta(hours=1))
    if confirmed < due:
        on_the_day = due.astimezone(there).date() == start.astimezone(there).date()
        assert on_the_day or due == start - timedelta(hours=1)
        assert start - due <= timedelta(hours=17), "of a day of 25 hours, after 08:00"
