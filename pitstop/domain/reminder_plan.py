"""Which notices a booking is owed for its present time, on which channel, and when each is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pitstop.domain.notices import Channel, NoticeKind, notice_key
from pitstop.domain.quiet_hours import URGENT, QuietHours, text_moment
from pitstop.domain.saga import OwedNotice

TOO_LATE = "its moment had passed when the booking was confirmed"
TOO_LATE_AFTER_MOVE = "its moment had passed when the booking was moved"
NOT_SET_UP = "no text messages are sent by this installation"


@dataclass(frozen=True, slots=True)
class ReminderRules:
    """How reminders are sent: so long before the start (`offsets`), and by text message only if that is set up."""

    offsets: tuple[timedelta, ...]
    quiet: QuietHours
    texts: bool


@dataclass(frozen=True, slots=True)
class Appointment:
    """A booking as far as its notices go by it, after its `move`-th reschedule (0: as it was booked).

    `timezone` is the customer's, an IANA name. `wants_texts`: the customer has consented and has given a number.
    `offsets` are those of the booking's moment, if its service has any of its own.
    """

    booking_id: UUID
    start: datetime
    timezone: str
    wants_texts: bool
    move: int = 0
    offsets: tuple[timedelta, ...] | None = None


def plan_notices(appointment: Appointment, rules: ReminderRules, now: datetime) -> list[OwedNotice]:
    """What is owed from `now` on: the mail that says when the session is, then its reminders, earliest first.

    One whose moment is not in the future is skipped, and says why. A booking that was moved has new keys, so that what
    was sent for its earlier time is no obstacle.
    """
    kind = NoticeKind.RESCHEDULED if appointment.move else NoticeKind.CONFIRMATION
    news = OwedNotice(notice_key(appointment.booking_id, kind, move=appointment.move), kind, move=appointment.move)
    return [news, *reminders_of(appointment, rules, now)]


def reminders_of(appointment: Appointment, rules: ReminderRules, now: datetime) -> list[OwedNotice]:
    """The reminders alone. By text message only where the customer wants that."""
    offsets = sorted(appointment.offsets if appointment.offsets is not None else rules.offsets, reverse=True)
    channels = [Channel.EMAIL, *([Channel.SMS] if appointment.wants_texts else [])]
    owed = [
        _reminder(appointment, rules, offsets, place, channel, now)
        for channel in channels
        for place in range(len(offsets))
    ]
    return sorted(owed, key=lambda notice: (notice.due_at or now, notice.key))


def _reminder(
    appointment: Appointment,
    rules: ReminderRules,
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
        due = text_moment(due, latest, appointment.timezone, rules.quiet, urgent=offset <= URGENT)
    return OwedNotice(
        key=notice_key(appointment.booking_id, NoticeKind.REMINDER, offset, move=appointment.move, channel=channel),
        kind=NoticeKind.REMINDER,
        due_at=due,
        skip_reason=_why_not(channel, rules, due, appointment.move, now),
        channel=channel,
        move=appointment.move,
    )


def _why_not(channel: Channel, rules: ReminderRules, due: datetime, move: int, now: datetime) -> str | None:
    if channel is Channel.SMS and not rules.texts:
        return NOT_SET_UP
    if due <= now:
        return TOO_LATE_AFTER_MOVE if move else TOO_LATE
    return None
