"""What goes back of the money is what was agreed when the booking was made (I2, I9)."""

from collections.abc import Iterator

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import BookingRecord, Case, Moment, TrailEntry
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus
from pitstop.domain.policy import Policy, part_of

# Whoever speaks for the customer, in the words of the timeline: the policy's refunds are theirs.
FOR_CUSTOMER = ("customer", "link", "service")
# No workshop has to be asked, or it has said yes.
_AGREED = (None, "confirmed")


def kept_differs(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or record.kept_amount is None:
        return
    paid = sum(payment.amount for payment in record.payments if payment.paid_at is not None)
    back = sum(refund.amount for refund in record.refunds)
    if record.kept_amount + back != paid or not record.status.is_end:
        what = f"{record.status}: {paid} were paid, {back} go back, {record.kept_amount} are to stay"
        yield kinds.KEPT_DIFFERS.found(record.id, what)


def refund_not_by_policy(case: Case, at: Moment) -> Iterator[Finding]:
    """Computed again from what was agreed, who ended the booking, and when. A booking that has become another plan had
    another policy before, which is not on record any more."""
    record = case.record
    if record is None or record.policy is None or not record.status.is_end or not record.is_paid:
        return
    if any(entry.resold for entry in record.trail):
        return
    ended = next((entry for entry in reversed(record.trail) if entry.event == record.status), None)
    if ended is None:
        return
    owed = part_of(record.amount, percent_owed(record, record.policy, ended))
    # A difference that was paid and moved nothing goes back anyway.
    back = sum(refund.amount for refund in record.refunds if not refund.idempotency_key.endswith("/returned"))
    if back != owed:
        what = f"{record.status} by {ended.by or 'nobody named'} at {ended.at:%Y-%m-%d %H:%M:%S} UTC: {back} go back, "
        yield kinds.REFUND_NOT_BY_POLICY.found(record.id, what + f"{owed} of {record.amount} are owed")


def percent_owed(record: BookingRecord, policy: Policy, ended: TrailEntry) -> int:
    """All of it, unless the customer has called off what was confirmed, or somebody did not come."""
    if record.status is BookingStatus.COMPLETED:
        return 0
    if record.status is BookingStatus.NO_SHOW:
        return policy.no_show_percent if ended.absent == "customer" else 100
    confirmed = any(entry.event == "confirmed" for entry in record.trail)
    if record.status is not BookingStatus.CANCELLED or not confirmed or ended.by not in FOR_CUSTOMER:
        return 100
    if record.starts_at is None:
        return 100
    at_the_end = policy.percent_back(record.starts_at, ended.at) if record.workshop_status in _AGREED else 100
    return min(at_the_end, *_at_moves(record, policy), 100)


def _at_moves(record: BookingRecord, policy: Policy) -> list[int]:
    """What the policy gave when the customer moved the booking is the most that it gives after."""
    return [
        policy.percent_back(entry.start_before, entry.at)
        for place, entry in enumerate(record.trail)
        if entry.start_before is not None and entry.by in FOR_CUSTOMER and _is_agreed(record, record.trail[:place])
    ]


def _is_agreed(record: BookingRecord, before: tuple[TrailEntry, ...]) -> bool:
    """Whether the workshop had given its word by then: until it has, a customer loses nothing. A time that the customer
    has chosen needs it anew, one that the workshop has proposed does not."""
    if record.workshop_status is None:
        return True
    agreed, by_workshop = False, False
    for entry in before:
        if entry.event == "workshop_confirmed":
            agreed = True
        elif entry.event in ("proposed", "workshop_proposed"):
            by_workshop = entry.event == "workshop_proposed"
        elif entry.start_before is not None:
            agreed = entry.by == "operator" or (entry.by not in FOR_CUSTOMER and by_workshop)
    return agreed


def refund_exceeds(case: Case, at: Moment) -> Iterator[Finding]:
    """Of each payment by itself: Stripe gives back no more than came by it."""
    record = case.record
    if record is None:
        return
    for payment in record.payments:
        back = sum(each.amount for each in record.refunds if each.payment_intent_id == payment.payment_intent_id)
        if back > payment.amount:
            what = f"{back} of {payment.payment_intent_id} go back, {payment.amount} are its amount"
            yield kinds.REFUND_EXCEEDS.found(case.booking_id, what, payment.payment_intent_id)


CHECKS = (kept_differs, refund_not_by_policy, refund_exceeds)
