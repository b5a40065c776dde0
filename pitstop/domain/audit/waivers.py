"""What was signed is what is on record, and nothing starts that had to be signed for."""

from collections.abc import Iterator

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import Case, Moment
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus

# The entry of the timeline that tells of the start.
_STARTED = "in_progress"


def waiver_tampered(case: Case, at: Moment) -> Iterator[Finding]:
    for waiver in case.record.waivers if case.record else ():
        if not waiver.fits:
            what = f"signature {waiver.id} of version {waiver.version} ({waiver.language}) does not fit its document"
            yield kinds.WAIVER_TAMPERED.found(case.booking_id, what, str(waiver.id))


def started_without_waiver(case: Case, at: Moment) -> Iterator[Finding]:
    """A booking that is completed without having been started (its time went by) is no session that was started."""
    record = case.record
    if record is None or not record.needs_waiver or any(waiver.fits for waiver in record.waivers):
        return
    if record.status is BookingStatus.IN_PROGRESS or any(entry.event == _STARTED for entry in record.trail):
        what = f"{record.status}, with {len(record.waivers)} signatures, none of which counts"
        yield kinds.STARTED_WITHOUT_WAIVER.found(case.booking_id, what)


CHECKS = (waiver_tampered, started_without_waiver)
