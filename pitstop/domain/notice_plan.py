"""Which notices a change of a booking makes owed, and when each is due."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from pitstop.domain.notices import NoticeKind, notice_key
from pitstop.domain.reminders import plan_reminders
from pitstop.domain.saga import OwedNotice

TOO_LATE = "its moment had passed when the time was agreed"


def told_now(booking_id: UUID, kind: NoticeKind, move: int = 0, of: UUID | None = None) -> OwedNotice:
    """A notice that goes out at once. `of`: the change or flag that it tells of."""
    return OwedNotice(key=notice_key(booking_id, kind, move=move, of=of), kind=kind, move=move)


def reminders(
    booking_id: UUID, start: datetime, offsets: Iterable[timedelta], now: datetime, move: int = 0
) -> list[OwedNotice]:
    """The reminders of a start that was agreed at `now`; those whose moment has passed are skipped."""
    return [
        OwedNotice(
            key=notice_key(booking_id, NoticeKind.REMINDER, each.offset, move=move),
            kind=NoticeKind.REMINDER,
            due_at=each.due,
            skip_reason=TOO_LATE if each.skipped else None,
            move=move,
        )
        for each in plan_reminders(start, offsets, now)
    ]
