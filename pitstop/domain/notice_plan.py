"""Notices that a change of a booking makes owed at once; its reminders are in reminder_plan.py."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pitstop.domain.notices import Channel, NoticeKind, notice_key
from pitstop.domain.reminder_plan import NOT_SET_UP, TextRules
from pitstop.domain.saga import OwedNotice


def told_now(booking_id: UUID, kind: NoticeKind, move: int = 0, *, of: UUID | None = None, **about: Any) -> OwedNotice:
    """A mail that goes out at once; `about` is what it tells besides the booking's own facts.

    `of`: the change or flag that it is about, where a booking may have several.
    """
    return OwedNotice(key=notice_key(booking_id, kind, move=move, of=of), kind=kind, move=move, about=about)


def told_by_text(
    booking_id: UUID,
    kind: NoticeKind,
    timezone: str,
    texts: TextRules,
    now: datetime,
    *,
    move: int = 0,
    urgent: bool = False,
    **about: Any,
) -> OwedNotice:
    """The same as a text message, for a customer who wants those and is in this zone.

    In quiet hours it waits for their end, unless it is `urgent`: of use now or never.
    """
    waits = not urgent and texts.quiet.cover(now, timezone)
    return OwedNotice(
        key=notice_key(booking_id, kind, move=move, channel=Channel.SMS),
        kind=kind,
        due_at=texts.quiet.over_after(now, timezone) if waits else None,
        skip_reason=None if texts.sent else NOT_SET_UP,
        channel=Channel.SMS,
        move=move,
        about=about,
    )
