"""Every booking that has something before it is driven by one workflow, and nothing else is (I3, I5)."""

from collections.abc import Iterator

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import BookingRecord, Case, Moment
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus

_AWAITING_REFUND = "awaiting_refund"


def undriven(case: Case, at: Moment) -> Iterator[Finding]:
    """A request that holds nothing yet is its API call's: `stuck_holding` if that never comes back."""
    record = case.record
    if record is None or case.run is not None or not case.engine or _holds_nothing(record):
        return
    if not record.status.is_end or record.owes:
        yield kinds.UNDRIVEN.found(record.id, f"{record.status}{_debts(record)}, and no workflow runs")


def stuck_holding(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is not None and record.status is BookingStatus.HOLDING and at.is_late(record.created_at):
        what = f"holding since {record.created_at:%Y-%m-%d %H:%M:%S} UTC, workflow {'runs' if case.run else 'gone'}"
        yield kinds.STUCK_HOLDING.found(record.id, what)


def session_not_ended(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or record.status not in (BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS):
        return
    if record.ends_at is None:
        return
    if at.is_late(record.ends_at + at.closing):
        what = f"{record.status}; the session's time ended at {record.ends_at:%Y-%m-%d %H:%M} UTC"
        yield kinds.SESSION_NOT_ENDED.found(record.id, what, repairable=case.run is None)


def run_without_cause(case: Case, at: Moment) -> Iterator[Finding]:
    if case.run is None:
        return
    if case.record is None:
        if at.is_late(case.run.started):
            what = f"running since {case.run.started:%Y-%m-%d %H:%M:%S} UTC"
            yield kinds.RUN_OF_UNKNOWN_BOOKING.found(case.booking_id, what)
    elif case.record.status.is_end and not case.record.owes and _is_old(case.record, at):
        what = f"{case.record.status} since {case.record.updated_at:%Y-%m-%d %H:%M:%S} UTC, and its workflow runs"
        yield kinds.RUN_OF_ENDED_BOOKING.found(case.booking_id, what)


def shown_status_differs(case: Case, at: Moment) -> Iterator[Finding]:
    record, run = case.record, case.run
    if record is None or run is None or run.shown in _may_show(record) or not _is_old(record, at):
        return
    what = f"the booking is {record.status}, BookingStatus is {run.shown}"
    yield kinds.SHOWN_STATUS_DIFFERS.found(record.id, what)


def webhook_not_applied(case: Case, at: Moment) -> Iterator[Finding]:
    for event in case.record.inbox if case.record else ():
        if event.applied_at is None and at.is_late(event.received_at):
            what = f"{event.type} {event.event_id}, stored at {event.received_at:%Y-%m-%d %H:%M:%S} UTC"
            yield kinds.WEBHOOK_NOT_APPLIED.found(case.booking_id, what, event.event_id)


def _may_show(record: BookingRecord) -> set[str]:
    """A run is born as awaiting_payment, and shows awaiting_refund while money is owed."""
    shown = {str(record.status)}
    if record.status is BookingStatus.HOLDING:
        shown |= {BookingStatus.AWAITING_PAYMENT}
    if record.status is BookingStatus.IN_PROGRESS:
        shown |= {BookingStatus.CONFIRMED}
    if any(refund.refunded_at is None for refund in record.refunds):
        shown |= {_AWAITING_REFUND}
    return shown


def _holds_nothing(record: BookingRecord) -> bool:
    return record.status is BookingStatus.HOLDING and record.hold_expires_at is None


def _is_old(record: BookingRecord, at: Moment) -> bool:
    return at.is_late(record.updated_at)


def _debts(record: BookingRecord) -> str:
    refunds = sum(refund.refunded_at is None for refund in record.refunds)
    mails = sum(notice.is_unsent for notice in record.notices)
    return (f", {refunds} refund owed" if refunds else "") + (f", {mails} mails owed" if mails else "")


CHECKS = (undriven, stuck_holding, session_not_ended, run_without_cause, shown_status_differs, webhook_not_applied)
