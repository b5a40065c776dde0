"""Which reminders a booking is owed for its present time, on which channel, and when each is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from pitstop.domain.notices import Channel, NoticeKind, notice_key
from pitstop.domain.quiet_hours import URGENT, QuietHours, text_moment
from pitstop.domain.saga import OwedNotice

TOO_LATE = "its moment had passed when the time was agreed"
NOT_SET_UP = "no text messages are sent by this installation"


@dataclass(frozen=True, slots=True)
class TextRules:
    """Whether this installation sends text messages at all, and when not."""

    quiet: QuietHours
    sent: bool


NO_TEXTS = TextRules(QuietHours(time(), time()), sent=False)


@dataclass(frozen=True, slots=True)
class Appointment:
    """A booking as far as its notices go by it, after its `move`-th reschedule (0: as it was booked).

    `timezone` is the customer's, an IANA name. `wants_texts`: the customer has consented and has given a number.
    `offsets`: reminders come so long before the start.
    """

    booking_id: UUID
    start: datetime
    timezone: str
    wants_texts: bool
    offsets: Sequence[timedelta]
    move: int = 0


def reminders(appointment: Appointment, texts: TextRules, now: datetime) -> list[OwedNotice]:
    """The reminders of a time that was agreed at `now`, earliest first; by text message only where that is wanted.

    One whose moment is not in the future is skipped, and says why. A booking that was moved has new keys, so that what
    was sent for its earlier time is no obstacle.
    """
    offsets = sorted(appointment.offsets, reverse=True)
    channels = [Channel.EMAIL, *([Channel.SMS] if appointment.wants_texts else [])]
    owed = [
        _reminder(appointment, texts, offsets, place, channel, now)
        for channel in channels
        for place in range(len(offsets))
    ]
    return sorted(owed, key=lambda notice: (notice.due_at or now, notice.key))


def _reminder(
    appointment: Appointment,
    texts: TextRules,
    offsets: Sequence[timedelta],
    place: int,
    channel: Channel,
    now: datetime,
) -> OwedNotice:
    offset = offsets[place]
    due = appointment.start - offset
    if channel is Channel.SMS:
        following = offsets[place + 1] if place + 1 < len(offsets) else timedelta(0)
        latest = appointment.start - following
        due = text_moment(due, latest, appointment.timezone, texts.quiet, urgent=offset <= URGENT)
    return OwedNotice(
        key=notice_key(appointment.booking_id, NoticeKind.REMINDER, offset, move=appointment.move, channel=channel),
        kind=NoticeKind.REMINDER,
        due_at=due,
        skip_reason=_why_not(channel, texts, due, now),
        channel=channel,
        move=appointment.move,
    )


def _why_not(channel: Channel, texts: TextRules, due: datetime, now: datetime) -> str | None:
    if channel is Channel.SMS and not texts.sent:
        return NOT_SET_UP
    return TOO_LATE if due <= now else None
