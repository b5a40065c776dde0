"""What a customer who cancels gets back, computed by the audit from what is on record."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from pitstop.domain.audit.facts import BookingRecord, TrailEntry
from pitstop.domain.audit.refunds import percent_owed, policies
from pitstop.domain.booking import BookingStatus
from pitstop.domain.policy import Policy

START = datetime(2026, 12, 1, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Twelve hours before: half of it, by the policy below.
LATE = START - 12 * HOUR
POLICY = Policy.model_validate(
    {
        "refund_tiers": [{"minutes_before": 1440, "percent": 100}, {"minutes_before": 120, "percent": 50}],
        "reschedule_minutes_before": 60,
        "reschedule_limit": 3,
        "no_show_percent": 0,
        "grace_minutes": 10,
    }
)


def _cancelled(word: str | None, *before: TrailEntry) -> int:
    """What goes back, in percent, of a booking whose customer cancels it half a day before its start. A word that is
    waited for is let go by the end, which says so."""
    unanswered = word if word in ("awaiting", "proposed") else None
    ended = TrailEntry("cancelled", LATE, by="customer", unanswered=unanswered)
    record = BookingRecord(
        id=uuid4(),
        status=BookingStatus.CANCELLED,
        version=1,
        mechanic_id=uuid4(),
        starts_at=START,
        ends_at=START + HOUR,
        buffer_before_minutes=0,
        buffer_after_minutes=0,
        amount=8900,
        currency="cad",
        hold_expires_at=None,
        invite_sequence=1,
        created_at=LATE,
        updated_at=LATE,
        workshop_status=None if unanswered else word,
        trail=(TrailEntry("confirmed", LATE), *before, ended),
        policy=POLICY,
    )
    return percent_owed(record, policies(record) or (), ended)


@pytest.mark.parametrize(
    ("word", "percent"),
    [(None, 50), ("confirmed", 50), ("awaiting", 100), ("proposed", 100), ("declined", 100), ("lapsed", 100)],
)
def test_nothing_is_lost_before_the_workshop_has_agreed(word: str | None, percent: int) -> None:
    assert _cancelled(word) == percent


def _moved(by: str) -> TrailEntry:
    """From a time that was near, when half would have gone back."""
    return TrailEntry("rescheduled", LATE, by=by, start_before=LATE + 3 * HOUR)


def test_a_move_before_the_word_costs_nothing() -> None:
    assert _cancelled("awaiting", _moved("customer")) == 100
    assert _cancelled("awaiting", TrailEntry("workshop_confirmed", LATE), _moved("customer")) == 50
    assert _cancelled("awaiting", _moved("customer"), _moved("customer")) == 100


@pytest.mark.parametrize(("asked", "percent"), [(False, 50), (True, 100)])
def test_a_move_costs_nothing_before_the_word_of_another_workshop(asked: bool, percent: int) -> None:
    """To which it was handed over; within one the word stands."""
    handed_over = TrailEntry("handed_over", LATE, by="operator", asks_workshop=asked)
    assert _cancelled("awaiting", TrailEntry("workshop_confirmed", LATE), handed_over, _moved("customer")) == percent


@pytest.mark.parametrize(("proposed", "percent"), [("workshop_proposed", 50), ("proposed", 100)])
def test_a_time_that_the_workshop_has_proposed_is_agreed(proposed: str, percent: int) -> None:
    """One that its mechanic has proposed is not: the workshop is asked."""
    assert _cancelled("awaiting", TrailEntry(proposed, LATE), _moved("mechanic"), _moved("customer")) == percent
