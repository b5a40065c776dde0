"""Flags and proposals end with what they are about, and whom they concern is told (I3, I5)."""

from collections.abc import Iterator

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import Case, Moment
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus


def flag_not_lowered(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    for flag in record.flags if record and record.status.is_end else ():
        if record is not None and flag.is_open and at.is_late(max(flag.since, record.updated_at)):
            what = f"{record.status}, and flagged since {flag.since:%Y-%m-%d %H:%M:%S} UTC"
            yield kinds.FLAG_NOT_LOWERED.found(record.id, what, str(flag.id))


def flag_not_told(case: Case, at: Moment) -> Iterator[Finding]:
    """Before it is paid for there is nothing to tell; from then on the run has its time."""
    record = case.record
    for flag in record.flags if record and record.status is BookingStatus.CONFIRMED else ():
        if record is not None and flag.is_news and at.is_late(max(flag.since, record.updated_at)):
            what = f"flagged since {flag.since:%Y-%m-%d %H:%M:%S} UTC, and its run has taken no notice"
            yield kinds.FLAG_NOT_TOLD.found(record.id, what, str(flag.id))


def proposal_outlived(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or record.proposed_until is None:
        return
    if record.status.is_end or at.is_late(record.proposed_until):
        what = f"{record.status}, and its proposal is open; it was until {record.proposed_until:%Y-%m-%d %H:%M:%S} UTC"
        yield kinds.PROPOSAL_OUTLIVED.found(record.id, what, repairable=not record.status.is_end and case.run is None)


CHECKS = (flag_not_lowered, flag_not_told, proposal_outlived)
