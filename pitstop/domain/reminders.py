"""When reminders of a session are due, and which are already too late when it is booked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class ReminderDue:
    """One reminder: `offset` before the session's start, at the instant `due`. `skipped`: that moment has passed."""

    offset: timedelta
    due: datetime
    skipped: bool


def plan_reminders(start: datetime, offsets: Iterable[timedelta], now: datetime) -> list[ReminderDue]:
    """A reminder at `start - offset` for each offset, earliest first; one not in the future at `now` is skipped."""
    due = sorted((start - offset, offset) for offset in offsets)
    return [ReminderDue(offset, moment, skipped=moment <= now) for moment, offset in due]
