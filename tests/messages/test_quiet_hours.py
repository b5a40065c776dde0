"""Reminders by text message keep out of the night, over clock changes too; and the plan that comes of it."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pitstop.domain.notice_plan import told_by_text
from pitstop.domain.notices import Channel, NoticeKind
from pitstop.domain.quiet_hours import QuietHours, text_moment
from pitstop.domain.reminder_plan import NOT_SET_UP, TOO_LATE, Appointment, TextRules, reminders
from pitstop.domain.saga import OwedNotice

NIGHT = QuietHours(time(21), time(8))
TORONTO = "America/Toronto"
ID = UUID("00000000-0000-4000-8000-000000000001")
DAY, HOUR = timedelta(hours=24), timedelta(hours=1)
TEXTS = TextRules(NIGHT, sent=True)


def local(text: str, zone: str = TORONTO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def appointment(start: datetime, *, wants_texts: bool = True, move: int = 0, offsets: Any = (DAY, HOUR)) -> Appointment:
    return Appointment(ID, start, TORONTO, wants_texts, offsets, move)


def texts(start: datetime, now: datetime, **changes: Any) -> list[OwedNotice]:
    plan = reminders(appointment(start, **changes), TEXTS, now)
    return [notice for notice in plan if notice.channel is Channel.SMS]


@pytest.mark.parametrize(
    ("start", "due"),
    [
        ("2026-12-02T14:00", "2026-12-01T14:00"),
        ("2026-12-02T08:00", "2026-12-01T08:00"),
        ("2026-12-02T07:59", "2026-12-01T08:00"),
        ("2026-12-02T20:59", "2026-12-01T20:59"),
        ("2026-12-02T21:00", "2026-12-02T08:00"),
        ("2026-12-02T00:00", "2026-12-01T08:00"),
        ("2026-12-02T02:30", "2026-12-01T08:00"),
        # Toronto's clocks go back on 1 November 2026 and forward on 14 March 2027: a day of 25, and of 23 hours.
        ("2026-11-01T21:30", "2026-11-01T08:00"),
        ("2026-11-01T23:30", "2026-11-01T08:00"),
        ("2027-03-14T22:30", "2027-03-14T08:00"),
        ("2027-03-15T00:30", "2027-03-14T08:00"),
    ],
)
def test_the_one_of_the_day_before_waits_for_the_morning(start: str, due: str) -> None:
    first, last = texts(local(start), local("2026-10-01T12:00"))
    assert first.due_at == local(due)
    assert last.due_at == local(start) - HOUR, "an hour before it always comes at its time"
    assert (first.skip_reason, last.skip_reason) == (None, None)


def test_where_the_morning_is_too_late_it_comes_the_evening_before() -> None:
    """Ten hours before a session at 8:30 is the night; at 8:00 the reminder of the hour before has gone."""
    first, last = texts(local("2026-12-02T08:30"), local("2026-11-01T12:00"), offsets=(timedelta(hours=10), HOUR))
    assert (first.due_at, last.due_at) == (local("2026-12-01T20:59"), local("2026-12-02T07:30"))
    only, *_ = texts(local("2026-12-02T08:00"), local("2026-11-01T12:00"), offsets=(timedelta(hours=10),))
    assert only.due_at == local("2026-12-01T20:59")
    late, _ = texts(local("2026-12-02T08:30"), local("2026-12-01T22:00"), offsets=(timedelta(hours=10), HOUR))
    assert late.skip_reason == TOO_LATE


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds are naive
    st.sampled_from([TORONTO, "America/St_Johns", "Australia/Lord_Howe", "Europe/Dublin", "Asia/Kathmandu", "UTC"]),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.integers(2, 96),
)
def test_nobody_is_woken_and_nothing_comes_after_the_next(
    start: datetime, zone: str, begin: time, end: time, hours: int
) -> None:
    quiet, due = QuietHours(begin, end), start - timedelta(hours=hours)
    moment = text_moment(due, start - HOUR, zone, quiet)
    assert moment < start - HOUR
    assert moment.tzinfo is UTC
    if not quiet.cover(due, zone):
        assert moment == due
    # Where there is a minute in the day that is not quiet.
    assume((end.hour * 60 + end.minute) - (begin.hour * 60 + begin.minute) not in (0, -1))
    assert not quiet.cover(moment, zone)
    assert abs(moment - due) <= timedelta(hours=26)


def test_no_hours_are_quiet_when_they_end_as_they_begin() -> None:
    quiet = QuietHours(time(21), time(21))
    assert not any(quiet.cover(local(f"2026-12-01T{hour:02}:00"), TORONTO) for hour in range(24))


def test_the_whole_plan_of_a_booking() -> None:
    plan = reminders(appointment(local("2026-12-02T23:00")), TEXTS, local("2026-11-20T12:00"))
    assert {notice.key: notice.due_at for notice in plan} == {
        f"{ID}/reminder/86400s": local("2026-12-01T23:00"),
        f"{ID}/reminder/86400s/sms": local("2026-12-02T08:00"),
        f"{ID}/reminder/3600s": local("2026-12-02T22:00"),
        f"{ID}/reminder/3600s/sms": local("2026-12-02T22:00"),
    }
    due = [notice.due_at for notice in plan if notice.due_at]
    assert due == sorted(due)


def test_after_a_move_the_keys_are_new() -> None:
    plan = reminders(appointment(local("2026-12-02T14:00"), move=2), TEXTS, local("2026-12-01T20:00"))
    assert [(notice.key.removeprefix(f"{ID}/"), notice.skip_reason) for notice in plan] == [
        ("reminder/86400s/move-2", TOO_LATE),
        ("reminder/86400s/move-2/sms", TOO_LATE),
        ("reminder/3600s/move-2", None),
        ("reminder/3600s/move-2/sms", None),
    ]
    assert {notice.move for notice in plan} == {2}


def test_without_consent_or_without_twilio_there_are_no_texts() -> None:
    start, now = local("2026-12-02T14:00"), local("2026-11-20T12:00")
    unwanted = reminders(appointment(start, wants_texts=False), TEXTS, now)
    assert {each.channel for each in unwanted} == {Channel.EMAIL}
    plan = reminders(appointment(start), TextRules(NIGHT, sent=False), now)
    assert {each.skip_reason for each in plan if each.channel is Channel.SMS} == {NOT_SET_UP}
    assert {each.skip_reason for each in plan if each.channel is Channel.EMAIL} == {None}


def test_no_offsets_are_no_reminders() -> None:
    assert reminders(appointment(local("2026-12-02T14:00"), offsets=()), TEXTS, local("2026-11-20T12:00")) == []


@pytest.mark.parametrize(
    ("now", "urgent", "due"),
    [
        ("2026-12-01T14:00", False, None),
        ("2026-12-01T23:00", False, "2026-12-02T08:00"),
        ("2026-12-01T03:00", False, "2026-12-01T08:00"),
        ("2026-12-01T03:00", True, None),
    ],
)
def test_what_is_told_at_once_waits_for_the_morning_unless_it_is_urgent(
    now: str, urgent: bool, due: str | None
) -> None:
    told = told_by_text(ID, NoticeKind.WAITLIST_OFFER, TORONTO, TEXTS, local(now), urgent=urgent, url="https://x")
    assert told.due_at == (local(due) if due else None)
    assert (told.key, told.about) == (f"{ID}/waitlist_offer/sms", {"url": "https://x"})
