"""A workshop's word comes in its time, what it proposes is held as long as that, a referral is used once (I2, I3)."""

from collections.abc import Iterator

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import Case, Moment
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus

_WAITED_FOR = ("awaiting", "proposed")


def word_overdue(case: Case, at: Moment) -> Iterator[Finding]:
    """The booking's own timer cancels it; the sweep takes up a run that has gone."""
    record = case.record
    if record is None or record.status is not BookingStatus.CONFIRMED or record.workshop_status not in _WAITED_FOR:
        return
    if record.workshop_answer_by is None or at.is_late(record.workshop_answer_by):
        what = f"{record.workshop_status}, and the time to answer ended at {record.workshop_answer_by} UTC"
        yield kinds.WORD_OVERDUE.found(record.id, what, repairable=case.run is None)


def nothing_to_answer(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is not None and record.status is BookingStatus.CONFIRMED and record.workshop_status == "proposed":
        if record.proposed_until is None:
            yield kinds.NOTHING_TO_ANSWER.found(record.id, "the workshop proposes times, and no proposal is open")


def option_held_in_vain(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    for option in record.options_held if record else ():
        if record is not None and (record.status.is_end or not option.proposed or at.is_late(option.expires_at)):
            what = f"{record.status}, and reservation {option.id} is held for a time that is proposed no more"
            yield kinds.OPTION_HELD_IN_VAIN.found(record.id, what, str(option.id))


def referral_used_twice(case: Case, at: Moment) -> Iterator[Finding]:
    for other in case.record.same_referral if case.record else ():
        what = f"booking {other} was made by the same referral"
        yield kinds.REFERRAL_USED_TWICE.found(case.booking_id, what, str(other))


CHECKS = (word_overdue, nothing_to_answer, option_held_in_vain, referral_used_twice)
