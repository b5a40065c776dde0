"""What histories of 0.1.0 leave out and later ones have on record: the notices that a booking's terms make owed."""

from collections.abc import Iterable

from pitstop.domain.booking import BookingStatus
from pitstop.domain.notices import NoticeKind, notice_key
from pitstop.domain.reminders import ReminderDue
from pitstop.domain.saga import NoticeDue, Terms


def confirmed_by_0_1(terms: Terms, reminders: Iterable[ReminderDue]) -> Terms:
    """The terms of a booking that 0.1.0 has confirmed."""
    notices = (_at_once(terms, NoticeKind.CONFIRMATION), *_still_to_come(terms, reminders))
    return terms.model_copy(update={"status": BookingStatus.CONFIRMED, "notices": notices})


def ended_by_0_1(terms: Terms) -> tuple[NoticeDue, ...]:
    """What may be owed for a booking that has ended: whether it is, the step that sends it finds out."""
    kinds = (NoticeKind.CONFIRMATION, NoticeKind.CANCELLATION, NoticeKind.REFUND)
    return (*(_at_once(terms, kind) for kind in kinds), *_still_to_come(terms, terms.unsent_reminders))


def _at_once(terms: Terms, kind: NoticeKind) -> NoticeDue:
    return NoticeDue(key=notice_key(terms.booking_id, kind), kind=kind)


def _still_to_come(terms: Terms, reminders: Iterable[ReminderDue]) -> Iterable[NoticeDue]:
    for each in reminders:
        if not each.skipped:
            key = notice_key(terms.booking_id, NoticeKind.REMINDER, each.offset)
            yield NoticeDue(key=key, kind=NoticeKind.REMINDER, due=each.due, offset=each.offset)
