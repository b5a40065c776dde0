"""Notices that a change of a booking makes owed at once; its reminders are in reminder_plan.py."""

from typing import Any
from uuid import UUID

from pitstop.domain.notices import NoticeKind, notice_key
from pitstop.domain.saga import OwedNotice


def told_now(booking_id: UUID, kind: NoticeKind, move: int = 0, **about: Any) -> OwedNotice:
    """A notice that goes out at once; `about` is what it tells besides the booking's own facts."""
    return OwedNotice(key=notice_key(booking_id, kind, move=move), kind=kind, move=move, about=about)
