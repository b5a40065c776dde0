"""What goes back of the money is what was agreed when the booking was made (I2, I9)."""

from collections.abc import Iterator
from datetime import datetime

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import BookingRecord, Case, Moment, RefundRecord, TrailEntry
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
    """Computed again from what was agreed, who moved or ended the booking, and when."""
    record = case.record
    if record is None or not record.is_paid or (agreed := policies(record)) is None:
        return
    yield from _by_moves(record, agreed)
    ended = next((entry for entry in reversed(record.trail) if entry.event == record.status), None)
    if ended is None or not record.status.is_end:
        return
    owed = part_of(record.amount, percent_owed(record, agreed, ended))
    # What was paid and moved nothing goes back anyway, and what a cheaper plan gives back is no part of its price.
    back = sum(refund.amount for refund in record.refunds if not _is_of_difference(refund))
    if back != owed:
        what = f"{record.status} by {ended.by or 'nobody named'} at {ended.at:%Y-%m-%d %H:%M:%S} UTC: {back} go back, "
        yield kinds.REFUND_NOT_BY_POLICY.found(record.id, what + f"{owed} of {record.amount} are owed")


def _is_of_difference(refund: RefundRecord) -> bool:
    return refund.idempotency_key.endswith("/returned") or "/move/" in refund.idempotency_key


def policies(record: BookingRecord) -> tuple[Policy, ...] | None:
    """What was agreed when each entry of the timeline was made, and at last what is agreed now. None: a release that
    did not say what was agreed before has moved it to another plan."""
    agreed = [record.policy]
    for entry in reversed(record.trail):
        agreed.append(entry.policy_before if entry.resold else agreed[-1])
    known = tuple(policy for policy in reversed(agreed) if policy is not None)
    return known if len(known) == len(agreed) else None


def _by_moves(record: BookingRecord, agreed: tuple[Policy, ...]) -> Iterator[Finding]:
    """A customer does not get back more by moving to something cheaper than by cancelling: nothing, unless that would
    have given all of the money back."""
    for place, entry in enumerate(record.trail):
        if not entry.resold or entry.by not in FOR_CUSTOMER:
            continue
        back = sum(
            each.amount for each in record.refunds if "/move/" in each.idempotency_key and each.requested_at == entry.at
        )
        percent = min(_at_moves(record, agreed, place + 1), default=100)
        if back and percent < 100:
            what = (
                f"moved by {entry.by} at {entry.at:%Y-%m-%d %H:%M:%S} UTC: {back} go back, and who had cancelled would"
            )
            yield kinds.REFUND_NOT_BY_POLICY.found(record.id, f"{what} have got {percent} percent")


def percent_owed(record: BookingRecord, agreed: tuple[Policy, ...], ended: TrailEntry) -> int:
    """All of it, unless the customer has called off what was confirmed, or somebody did not come."""
    policy = agreed[-1]
    if record.status is BookingStatus.COMPLETED:
        return 0
    if record.status is BookingStatus.NO_SHOW:
        return policy.no_show_percent if ended.absent == "customer" else 100
    confirmed = any(entry.event == "confirmed" for entry in record.trail)
    if record.status is not BookingStatus.CANCELLED or not confirmed or ended.by not in FOR_CUSTOMER:
        return 100
    if record.starts_at is None:
        return 100
    at_the_end = policy.percent_back(record.starts_at, ended.at) if _word(record) in _AGREED else 100
    return min(at_the_end, *_at_moves(record, agreed, len(record.trail)), 100)


def _at_moves(record: BookingRecord, agreed: tuple[Policy, ...], until: int) -> list[int]:
    """What the policy gave when the customer moved the booking is the most that it gives after."""
    return [
        agreed[place].percent_back(entry.start_before, _asked_at(record, entry))
        for place, entry in enumerate(record.trail[:until])
        if entry.start_before is not None and entry.by in FOR_CUSTOMER and _is_agreed(record, record.trail[:place])
    ]


def _asked_at(record: BookingRecord, entry: TrailEntry) -> datetime:
    """What was paid for first counts from when it was asked for."""
    paid = (each.asked_at for each in record.supplements if each.is_applied and each.closed_at == entry.at)
    return next((asked for asked in paid if asked is not None), entry.at)


def _word(record: BookingRecord) -> str | None:
    """The workshop's, as it was when the booking ended: one that is still waited for is let go with it."""
    return record.workshop_status or next((each.unanswered for each in reversed(record.trail) if each.unanswered), None)


def _is_agreed(record: BookingRecord, before: tuple[TrailEntry, ...]) -> bool:
    """Whether the workshop had given its word by then: until it has, a customer loses nothing. A time that the customer
    has chosen needs it anew, one that the workshop has proposed does not; another workshop is asked, too."""
    if _word(record) is None:
        return True
    agreed, by_workshop = False, False
    for entry in before:
        if entry.event == "workshop_confirmed":
            agreed = True
        elif entry.asks_workshop:
            agreed = False
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
