"""What stands has its slot and session, what has ended has let go of them (I1, I2, I3)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import BookingRecord, Case, Moment, Overlap, ReservationRecord
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus

# The session's state that goes with each of the booking's.
_SESSIONS = {
    BookingStatus.PENDING: ("pending",),
    BookingStatus.CONFIRMED: ("scheduled",),
    BookingStatus.IN_PROGRESS: ("in_progress",),
    BookingStatus.COMPLETED: ("completed",),
    BookingStatus.NO_SHOW: ("no_show",),
}
_LET_GO = (
    BookingStatus.EXPIRED,
    BookingStatus.PAYMENT_FAILED,
    BookingStatus.CANCELLED,
    BookingStatus.REFUNDED,
)
_OPEN_SESSION = ("scheduled", "pending", "in_progress")
_ENDED_SESSION = ("completed", "no_show")


def no_slot(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or record.status not in (BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS):
        return
    states = [reservation.status for reservation in record.reservations]
    if "confirmed" not in states:
        what = f"{record.status}, and its reservations are: {', '.join(states) or 'none'}"
        yield kinds.NO_SLOT.found(record.id, what)


def no_bay(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    for reservation in record.live if record and record.in_person else ():
        if reservation.bay_id is None:
            what = f"in person, and reservation {reservation.id} holds no bay"
            yield kinds.NO_BAY.found(case.booking_id, what, str(reservation.id))


def no_session(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    wanted = _SESSIONS.get(record.status) if record else None
    if record is None or wanted is None:
        return
    states = [session.status for session in record.sessions]
    if not set(states) & set(wanted):
        if record.status.is_end and set(states) & set(_OPEN_SESSION):
            return
        what = f"{record.status}, and its session is {', '.join(states) or 'missing'}"
        yield kinds.NO_SESSION.found(record.id, what)


def zone_data_differs(case: Case, at: Moment) -> Iterator[Finding]:
    """Of what is to come: hours are the database's to compute, mails are written with Python's zones."""
    record = case.record
    if record is None or record.status.is_end or record.venue_timezone is None or record.local_start is None:
        return
    if record.starts_at is None:
        return
    try:
        in_mails = record.starts_at.astimezone(ZoneInfo(record.venue_timezone)).replace(tzinfo=None)
    except ZoneInfoNotFoundError:
        yield kinds.ZONE_DATA_DIFFERS.found(record.id, f"mails cannot be written in {record.venue_timezone}")
        return
    if in_mails != record.local_start:
        what = f"in {record.venue_timezone}, where it takes place, it starts {record.local_start}, by Python {in_mails}"
        yield kinds.ZONE_DATA_DIFFERS.found(record.id, what)


def slot_not_released(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or record.status not in _LET_GO:
        return
    for reservation in record.live:
        if reservation.status == "confirmed" or reservation.expires_at > at.now:
            what = f"{record.status}, and reservation {reservation.id} is {reservation.status}"
            yield kinds.SLOT_NOT_RELEASED.found(record.id, what, str(reservation.id))


def session_not_closed(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or not record.status.is_end:
        return
    for session in record.sessions:
        if session.status in _OPEN_SESSION:
            yield kinds.SESSION_NOT_CLOSED.found(record.id, f"{record.status}, and its session is {session.status}")


def hold_outlived(case: Case, at: Moment) -> Iterator[Finding]:
    for reservation in case.record.reservations if case.record else ():
        if reservation.status == "reserved" and at.is_late(reservation.expires_at):
            what = f"reservation {reservation.id} ran out at {reservation.expires_at:%Y-%m-%d %H:%M:%S} UTC"
            yield kinds.HOLD_OUTLIVED.found(case.booking_id, what, str(reservation.id))


def reservation_differs(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    for reservation in record.live if record else ():
        if record is not None and _blocks(reservation) != _needs(record):
            what = f"reservation {reservation.id} blocks {reservation.blocked_from:%Y-%m-%d %H:%M} UTC to "
            what += f"{reservation.blocked_until:%Y-%m-%d %H:%M} UTC of mechanic {reservation.mechanic_id}"
            yield kinds.RESERVATION_DIFFERS.found(record.id, what, str(reservation.id))


def _blocks(reservation: ReservationRecord) -> tuple[object, ...]:
    span = (reservation.blocked_from, reservation.blocked_until)
    return (reservation.mechanic_id, reservation.starts_at, reservation.ends_at, *span)


def _needs(record: BookingRecord) -> tuple[object, ...]:
    if record.starts_at is None or record.ends_at is None:
        return ()
    before, after = (timedelta(minutes=m) for m in (record.buffer_before_minutes, record.buffer_after_minutes))
    until = _used_until(record, record.starts_at, record.ends_at)
    return (record.mechanic_id, record.starts_at, until, record.starts_at - before, until + after)


def _used_until(record: BookingRecord, start: datetime, end: datetime) -> datetime:
    """A session that has ended before its time has let go of the rest; a reservation is a minute long at least."""
    ended = [each.ended_at for each in record.sessions if each.ended_at and each.status in _ENDED_SESSION]
    return min(end, max(ended[0], start + timedelta(minutes=1))) if ended else end


def of_overlap(overlap: Overlap) -> Finding:
    whose = f"mechanic {overlap.mechanic_id}" if overlap.mechanic_id else f"bay {overlap.bay_id}"
    what = f"booking {overlap.other_booking_id} has the same time of {whose}"
    return kinds.OVERLAP.found(overlap.booking_id, what, str(overlap.other_booking_id))


CHECKS = (
    no_slot,
    no_bay,
    no_session,
    slot_not_released,
    session_not_closed,
    hold_outlived,
    reservation_differs,
    zone_data_differs,
)
