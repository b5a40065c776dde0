"""What a booking's run has to do next by the clock."""

from collections.abc import Collection
from datetime import datetime

from pitstop.domain.notices import NoticeKind
from pitstop.domain.saga import NoticeDue, Terms


def due_notices(terms: Terms, posted: Collection[str], now: datetime) -> list[NoticeDue]:
    """Those that are to go out by now and have not been posted, in their order."""
    return [each for each in unposted(terms, posted) if each.due is None or each.due <= now]


def next_notice(terms: Terms, posted: Collection[str], before: datetime) -> NoticeDue | None:
    """The first that is due later, if it is due before that moment."""
    coming = [each for each in unposted(terms, posted) if each.due is not None and each.due < before]
    return min(coming, key=lambda each: (each.due, each.key), default=None)


def lapse_before(terms: Terms, moment: datetime) -> datetime | None:
    """When a proposal ends that nobody has answered, if that is not later."""
    return terms.lapses if terms.lapses is not None and terms.lapses <= moment else None


def unposted(terms: Terms, posted: Collection[str]) -> list[NoticeDue]:
    return [each for each in terms.notices or () if each.key not in posted]


def keeps_waiting(notice: NoticeDue) -> bool:
    """Whether the mail is of use after the session, too: it tells of what was agreed, or of money."""
    return notice.kind is not NoticeKind.REMINDER
