"""Mails go out once, in time, for what stands; invites are numbered; the trail tells what happened (I4 to I7)."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import BookingRecord, Case, Moment, NoticeRecord
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus
from pitstop.domain.notices import NoticeKind

_OFFSET = re.compile(r"/reminder/(\d+)s(?:/move-\d+)?$")
_SENT = ("mail_sent", "text_sent")
# The workshop's yes makes a tentative entry a firm one.
_INVITE_CHANGES = ("cancelled", "rescheduled", "handed_over", "workshop_confirmed")
# The entries of a timeline that say where the booking stands; others tell of mails and cards.
_STANDINGS = {str(status) for status in BookingStatus} - {"holding"}


def mail_overdue(case: Case, at: Moment) -> Iterator[Finding]:
    for notice in case.record.notices if case.record else ():
        due = notice.due_at or notice.created_at
        if notice.is_unsent and at.is_late(due):
            what = f"{notice.kind} due at {due:%Y-%m-%d %H:%M:%S} UTC, {notice.attempts} attempts"
            yield kinds.MAIL_OVERDUE.found(case.booking_id, what, notice.key, repairable=case.run is None)


def mail_missing(case: Case, at: Moment) -> Iterator[Finding]:
    if case.record is None:
        return
    there = Counter((notice.kind, notice.move) for notice in case.record.notices)
    for (kind, move), count in _called_for(case.record).items():
        if there[kind, move] < count:
            moved = f", moved {move} times" if move else ""
            what = f"{case.record.status}{moved}: {there[kind, move]} of {count} mails of kind {kind} on record"
            yield kinds.MAIL_MISSING.found(case.booking_id, what, f"{kind}/{move}" if move else kind)


def _called_for(record: BookingRecord) -> dict[tuple[str, int], int]:
    """By kind and move. What was owed from the confirmation, or a move, on is counted in the timeline, by releases that
    count it."""
    called: dict[tuple[str, int], int] = {}
    move = 0
    for entry in record.trail:
        if entry.event in ("confirmed", "rescheduled"):
            move += entry.event == "rescheduled"
            told = NoticeKind.RESCHEDULED if move else NoticeKind.CONFIRMATION
            called[NoticeKind.WORKSHOP_ASKED if _is_told(record, NoticeKind.WORKSHOP_ASKED, move) else told, move] = 1
            if entry.notices is not None:
                called[NoticeKind.REMINDER, move] = entry.notices - 1
        elif entry.event == "workshop_confirmed":
            called[NoticeKind.CONFIRMATION, move] = called.get((NoticeKind.CONFIRMATION, move), 0) + 1
        elif entry.event == "supplement_lapsed" and entry.notices:
            unpaid = (NoticeKind.DIFFERENCE_UNPAID, move)
            called[unpaid] = called.get(unpaid, 0) + entry.notices
        elif entry.event == "in_progress" and record.immediate:
            called[NoticeKind.TAKEN, 0] = 1
        elif entry.event == "refunded":
            called[NoticeKind.NOT_TAKEN if record.sessions and record.immediate else NoticeKind.REFUND, 0] = 1
        elif entry.event == "no_show":
            called[NoticeKind.NO_SHOW, 0] = 1
    if record.status is BookingStatus.CANCELLED and (record.sessions or record.refunds):
        of_workshop = _is_told(record, NoticeKind.WORKSHOP_DECLINED, 0)
        ended = NoticeKind.WORKSHOP_DECLINED if of_workshop else NoticeKind.CANCELLATION
        called[ended if record.sessions else NoticeKind.REFUND, 0] = 1
    return called


def _is_told(record: BookingRecord, kind: NoticeKind, move: int) -> bool:
    return any((notice.kind, notice.move) == (kind, move) for notice in record.notices)


def mail_sent_twice(case: Case, at: Moment) -> Iterator[Finding]:
    if case.record is None:
        return
    told = Counter(entry.key for entry in case.record.trail if entry.event in _SENT and entry.key)
    asked_again = Counter(entry.key for entry in case.record.trail if entry.event == "notice_resent" and entry.key)
    for notice in case.record.notices:
        if told[notice.key] > 1 + asked_again[notice.key]:
            yield kinds.MAIL_SENT_TWICE.found(
                case.booking_id, f"{notice.kind}: sent {told[notice.key]} times", notice.key
            )
        elif notice.status == "sent" and (notice.attempts < 1 or notice.sent_at is None):
            what = f"{notice.kind}: sent, {notice.attempts} attempts, sent_at {notice.sent_at}"
            yield kinds.MAIL_SENT_TWICE.found(case.booking_id, what, notice.key)


def reminder_after_start(case: Case, at: Moment) -> Iterator[Finding]:
    for reminder in _reminders(case):
        start = _start_of(case, reminder)
        if start is not None and reminder.sent_at is not None and reminder.sent_at >= start:
            what = f"sent at {reminder.sent_at:%Y-%m-%d %H:%M:%S} UTC, start {start:%H:%M} UTC"
            yield kinds.REMINDER_AFTER_START.found(case.booking_id, what, reminder.key)


def reminder_at_wrong_time(case: Case, at: Moment) -> Iterator[Finding]:
    """Of mails; the hours in which nobody wants a message may move that."""
    for reminder in _reminders(case):
        offset, start = _OFFSET.search(reminder.key), _start_of(case, reminder)
        if start is None or offset is None or reminder.status == "skipped":
            continue
        wanted = start - timedelta(seconds=int(offset[1]))
        # A key has whole seconds.
        if reminder.due_at is None or abs(reminder.due_at - wanted) >= timedelta(seconds=1):
            what = f"due at {reminder.due_at}, should be {wanted:%Y-%m-%d %H:%M:%S} UTC"
            yield kinds.REMINDER_AT_WRONG_TIME.found(case.booking_id, what, reminder.key)


def reminder_of_old_time(case: Case, at: Moment) -> Iterator[Finding]:
    """Of a time that the booking has no more: none is to be sent, and none was sent after the move."""
    moved = [entry.at for entry in case.record.trail if entry.event == "rescheduled"] if case.record else []
    for reminder in _reminders(case):
        if reminder.move >= len(moved):
            continue
        left = moved[reminder.move]
        if reminder.is_unsent or (reminder.sent_at is not None and reminder.sent_at > left):
            what = f"{reminder.status}, sent at {reminder.sent_at}; moved at {left:%Y-%m-%d %H:%M:%S} UTC"
            yield kinds.REMINDER_OF_OLD_TIME.found(case.booking_id, what, reminder.key)


def _start_of(case: Case, reminder: NoticeRecord) -> datetime | None:
    """The start that it reminds of, which the booking had after so many moves."""
    starts = case.record.starts if case.record else ()
    return starts[reminder.move] if reminder.move < len(starts) else None


def _reminders(case: Case) -> list[NoticeRecord]:
    return [each for each in case.record.notices if each.kind == NoticeKind.REMINDER] if case.record else []


def invite_sequence_wrong(case: Case, at: Moment) -> Iterator[Finding]:
    if case.record is None:
        return
    changes = sum(entry.event in _INVITE_CHANGES for entry in case.record.trail)
    if case.record.invite_sequence != changes:
        what = f"sequence {case.record.invite_sequence} after {changes} changes"
        yield kinds.INVITE_SEQUENCE_WRONG.found(case.booking_id, what)


def trail_contradicts(case: Case, at: Moment) -> Iterator[Finding]:
    if case.record is None or case.record.status is BookingStatus.HOLDING:
        return
    standings = [entry.event for entry in case.record.trail if entry.event in _STANDINGS]
    if not standings or standings[-1] != case.record.status:
        what = f"the booking is {case.record.status}, its timeline ends in {standings[-1] if standings else 'nothing'}"
        yield kinds.TRAIL_CONTRADICTS.found(case.booking_id, what)


CHECKS = (
    mail_overdue,
    mail_missing,
    mail_sent_twice,
    reminder_after_start,
    reminder_at_wrong_time,
    reminder_of_old_time,
    invite_sequence_wrong,
    trail_contradicts,
)
