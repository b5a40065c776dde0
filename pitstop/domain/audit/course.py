"""Moves, changes and the session say the same of what has happened (I2, I5, I7)."""

from collections.abc import Iterator

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import BookingRecord, Case, Moment, SessionRecord
from pitstop.domain.audit.findings import Finding
from pitstop.domain.audit.money import STANDING
from pitstop.domain.audit.refunds import FOR_CUSTOMER
from pitstop.domain.booking import BookingStatus
from pitstop.domain.changes import ChangeKind

_DONE = "done"


def moves_disagree(case: Case, at: Moment) -> Iterator[Finding]:
    """Whoever moves it otherwise than by a change of this kind leaves an entry, too: there may be fewer changes."""
    record = case.record
    if record is None:
        return
    moved = [entry for entry in record.trail if entry.event == "rescheduled"]
    by_customer = sum(entry.by in FOR_CUSTOMER for entry in moved)
    asked = sum(_has_moved(record))
    if (record.moves, record.customer_moves) != (len(moved), by_customer) or asked > len(moved):
        what = (
            f"{record.moves} moves, {record.customer_moves} of them the customer's; the timeline has {len(moved)} and "
        )
        yield kinds.MOVES_DISAGREE.found(record.id, what + f"{by_customer}, and {asked} changes were done")


def _has_moved(record: BookingRecord) -> Iterator[bool]:
    for change in record.changes:
        yield change.kind == ChangeKind.RESCHEDULE and change.outcome == _DONE and not change.unchanged


def session_time_differs(case: Case, at: Moment) -> Iterator[Finding]:
    """Of a session that has a time: an immediate one has none."""
    record = case.record
    if record is None or record.status not in STANDING:
        return
    for session in record.sessions:
        if session.scheduled_for is None:
            continue
        there = (session.scheduled_for, session.scheduled_for_original, session.mechanic_id)
        if there != (record.starts_at, record.starts[0], record.mechanic_id):
            what = (
                f"from {record.starts_at:%Y-%m-%d %H:%M} UTC, first {record.starts[0]:%Y-%m-%d %H:%M} UTC; its session "
            )
            what += f"from {session.scheduled_for}, first {session.scheduled_for_original}, of {session.mechanic_id}"
            yield kinds.SESSION_TIME_DIFFERS.found(record.id, what)


def session_undated(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    for session in record.sessions if record else ():
        if record is not None and (missing := _undated(record, session)):
            yield kinds.SESSION_UNDATED.found(record.id, f"{record.status}, and {missing}", missing)


def _undated(record: BookingRecord, session: SessionRecord) -> str | None:
    """Sessions that an earlier release has ended have no moments; nor does their booking say what is kept."""
    if any(entry.event == "in_progress" for entry in record.trail) and session.started_at is None:
        return "its session does not say when it was started"
    started = any(change.kind == ChangeKind.START and change.outcome == _DONE for change in record.changes)
    if started and "mechanic" not in record.came and any(entry.event == "in_progress" for entry in record.trail):
        return "its mechanic has started it without being there"
    over = record.status in (BookingStatus.COMPLETED, BookingStatus.NO_SHOW) and record.kept_amount is not None
    if over and session.ended_at is None:
        return "its session does not say when it ended"
    return None


def absence_differs(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None:
        return
    told = next((entry.absent for entry in record.trail if entry.event == BookingStatus.NO_SHOW), None)
    for session in record.sessions:
        missed = record.status is BookingStatus.NO_SHOW
        if session.absent != told or missed != (session.absent is not None):
            what = f"{record.status}, absent by the timeline: {told}, by the session: {session.absent}"
            yield kinds.ABSENCE_DIFFERS.found(record.id, what)


def check_in_outdated(case: Case, at: Moment) -> Iterator[Finding]:
    for party in case.record.came_elsewhere if case.record else ():
        yield kinds.CHECK_IN_OUTDATED.found(case.booking_id, f"the {party} had checked in before", party)


def change_undecided(case: Case, at: Moment) -> Iterator[Finding]:
    for change in case.record.changes if case.record else ():
        if change.outcome is None and at.is_late(change.asked_at):
            what = f"{change.kind} asked for at {change.asked_at:%Y-%m-%d %H:%M:%S} UTC"
            yield kinds.CHANGE_UNDECIDED.found(case.booking_id, what, str(change.id))


CHECKS = (moves_disagree, session_time_differs, session_undated, absence_differs, check_in_outdated, change_undecided)
