"""What a booking's run has to do next by the clock."""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from pitstop.domain.saga import NoticeDue, Terms


class Step(StrEnum):
    """What the clock makes a booking do, in the words of an operator."""

    OFFER = "ask further mechanics"
    LAPSE = "time to answer a proposal"
    PAY_DIFFERENCE = "time to pay the difference"
    CLOSE = "end of the session"


def due_notices(terms: Terms, posted: Collection[str], now: datetime) -> list[NoticeDue]:
    """Those that are to go out by now and have not been posted, in their order."""
    return [each for each in unposted(terms, posted) if each.due is None or each.due <= now]


def next_notice(terms: Terms, posted: Collection[str], before: datetime) -> NoticeDue | None:
    """The first that is due later, if it is due before that moment."""
    coming = [each for each in unposted(terms, posted) if each.due is not None and each.due < before]
    return min(coming, key=lambda each: (each.due, each.key), default=None)


def unposted(terms: Terms, posted: Collection[str]) -> list[NoticeDue]:
    return [each for each in terms.notices or () if each.key not in posted]


def next_step(terms: Terms, closing: timedelta | None, now: datetime) -> tuple[datetime, Step]:
    """What the booking itself has to do next, and when; `closing`: how long after its end a session is closed."""
    if terms.end is None:
        return terms.offers_due or now, Step.OFFER
    closes = terms.end + (closing or timedelta(0))
    moment, step = closes, Step.CLOSE
    if terms.lapses is not None and terms.lapses <= moment:
        moment, step = terms.lapses, Step.LAPSE
    if terms.supplement is not None and terms.supplement.expires <= moment:
        moment, step = terms.supplement.expires, Step.PAY_DIFFERENCE
    return moment, step


def useful_until(terms: Terms, now: datetime) -> datetime:
    """How long a mail that goes out now is of use."""
    return terms.end or terms.offers_due or now


def course_of(terms: Terms) -> str:
    """Where the booking stands, in the words of an operator."""
    if terms.start is None or terms.end is None:
        return "A mechanic is looked for who takes the session at once."
    session = f"The session is from {terms.start:%Y-%m-%d %H:%M} to {terms.end:%H:%M} UTC."
    if terms.supplement is None:
        return session
    more = f"{terms.supplement.amount} {terms.supplement.currency} (minor units)"
    return f"{session} It is moved if the customer pays {more} more until {terms.supplement.expires:%H:%M:%S} UTC."
