"""An immediate session is looked after until somebody has it: whoever was asked and said yes, or nobody (I3, I8)."""

from collections.abc import Iterator

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import Case, Moment
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus

_TAKEN = (BookingStatus.IN_PROGRESS, BookingStatus.COMPLETED, BookingStatus.NO_SHOW)


def offer_overdue(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or record.status is not BookingStatus.PENDING or record.offers_end_at is None:
        return
    if at.is_late(record.offers_end_at):
        what = f"pending; it was on offer until {record.offers_end_at:%Y-%m-%d %H:%M:%S} UTC"
        yield kinds.OFFER_OVERDUE.found(record.id, what, repairable=case.run is None)


def taken_without_offer(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or not record.immediate:
        return
    accepted = [offer.mechanic_id for offer in record.offers if offer.outcome == "accepted"]
    wanted = [record.mechanic_id] if record.status in _TAKEN else []
    if accepted != wanted:
        who = ", ".join(map(str, accepted)) or "nobody"
        yield kinds.TAKEN_WITHOUT_OFFER.found(
            record.id, f"{record.status} with {record.mechanic_id}; accepted by {who}"
        )


CHECKS = (offer_overdue, taken_without_offer)
