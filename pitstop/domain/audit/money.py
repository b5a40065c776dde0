"""Money and slot agree, and each charge and refund happens once (I2, I4, I9)."""

from collections.abc import Iterator

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import PAYABLE, REFUNDING, BookingRecord, Case, Moment, PaymentRecord, StripeIntent
from pitstop.domain.audit.findings import Finding
from pitstop.domain.booking import BookingStatus

# What is paid for, and stays paid.
STANDING = (
    BookingStatus.PENDING,
    BookingStatus.CONFIRMED,
    BookingStatus.IN_PROGRESS,
    BookingStatus.COMPLETED,
    BookingStatus.NO_SHOW,
)
UNPAID = (BookingStatus.HOLDING, BookingStatus.AWAITING_PAYMENT)


def paid_not_booked(case: Case, at: Moment) -> Iterator[Finding]:
    record, intent = case.record, case.intent
    kept = sum(each.kept for each in case.on_record)
    if record is None or intent is None or kept <= 0 or record.status in STANDING:
        return
    if any(refund.refunded_at is None for refund in record.refunds):
        return
    if record.status.is_end:
        if kept == record.kept_amount:
            return
        what = f"{kept} of {_money(intent)} at {intent.id} are kept; the booking is {record.status}"
        yield kinds.PAID_NOT_BOOKED.found(record.id, what, repairable=_counts(record, intent) and not record.is_paid)
    elif intent.paid_at is not None and at.is_late(intent.paid_at):
        yield _late_news(record, intent)


def _late_news(record: BookingRecord, intent: StripeIntent) -> Finding:
    heard = any(event.type == "payment_intent.succeeded" for event in record.inbox)
    kind = kinds.PAID_NOT_BOOKED if heard else kinds.WEBHOOK_LOST
    what = f"{_money(intent)} were paid at {intent.paid_at:%Y-%m-%d %H:%M:%S} UTC; the booking is {record.status}"
    return kind.found(record.id, what, repairable=_counts(record, intent))


def booked_not_paid(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or record.status not in STANDING:
        return
    if not record.is_paid:
        yield kinds.BOOKED_NOT_PAID.found(record.id, f"{record.status}, and no payment is on record")
    elif case.stripe and (case.intent is None or not case.intent.is_paid):
        state = case.intent.status if case.intent else "unknown there"
        yield kinds.BOOKED_NOT_PAID.found(record.id, f"{record.status}, and the PaymentIntent is {state} at Stripe")
    elif case.intent is not None and sum(each.kept for each in case.on_record) <= 0 and record.kept_amount != 0:
        yield kinds.REFUNDED_BUT_STANDING.found(record.id, f"{record.status}, and {case.intent.id} is refunded in full")


def amount_differs(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None:
        return
    agreed = (record.amount, record.currency)
    for where, amount, currency in _prices(record):
        if (amount, currency) != agreed:
            what = f"booking {record.amount} {record.currency}, {where} {amount} {currency}"
            yield kinds.AMOUNT_DIFFERS.found(record.id, what, where)
    for payment in record.payments:
        for where, amount, currency in _amounts(case, record, payment):
            if (amount, currency) != (payment.amount, payment.currency):
                what = f"payment {payment.amount} {payment.currency}, {where} {amount} {currency}"
                yield kinds.AMOUNT_DIFFERS.found(record.id, what, f"{where} of {payment.payment_intent_id}")


def _prices(record: BookingRecord) -> Iterator[tuple[str, int, str]]:
    """What a cheaper plan has left of a payment is owed back, and so is no part of it any more."""
    if record.payment is not None:
        yield "payment", record.price_paid, record.payment.currency
    for session in record.sessions:
        yield "session", session.price_paid, session.currency


def _amounts(case: Case, record: BookingRecord, payment: PaymentRecord) -> Iterator[tuple[str, int, str]]:
    for supplement, its in record.supplements_paid_by:
        if its == payment:
            yield "difference", supplement.amount, supplement.currency
    intent = case.intent_of(payment)
    if intent is not None:
        yield "Stripe", intent.amount, intent.currency
        if intent.is_paid:
            yield "received at Stripe", intent.received, intent.currency


def second_payment(case: Case, at: Moment) -> Iterator[Finding]:
    """One that was made and never shown to anybody has no payment method, and does no harm."""
    for intent in case.intents:
        if intent in case.on_record or intent.booking_id != case.booking_id or not _matters(intent):
            continue
        kind = kinds.SECOND_PAYMENT if case.record else kinds.PAYMENT_OF_UNKNOWN_BOOKING
        yield kind.found(case.booking_id, f"{intent.id} over {_money(intent)} is {intent.status}", intent.id)


def _matters(intent: StripeIntent) -> bool:
    return intent.kept > 0 or intent.status in ("requires_action", "requires_capture", "processing")


def payable_after_end(case: Case, at: Moment) -> Iterator[Finding]:
    record, intent = case.record, case.intent
    if record is not None and intent is not None and record.status.is_end and intent.status in PAYABLE:
        what = f"the booking is {record.status}, {intent.id} is {intent.status}"
        yield kinds.PAYABLE_AFTER_END.found(record.id, what)


def payment_stale(case: Case, at: Moment) -> Iterator[Finding]:
    """While a booking waits for its payment, what is on record is what was last heard, and may be older."""
    record, intent = case.record, case.intent
    if record is None or intent is None or record.payment is None or record.status in UNPAID:
        return
    if record.payment.status != intent.status:
        what = f"{intent.id} is {record.payment.status} on record and {intent.status} at Stripe"
        yield kinds.PAYMENT_STALE.found(record.id, what)


def payment_unsettled(case: Case, at: Moment) -> Iterator[Finding]:
    record = case.record
    if record is None or record.hold_expires_at is None or record.status not in UNPAID:
        return
    if at.is_late(record.hold_expires_at + at.hold_grace):
        what = f"{record.status}; the time to pay ended at {record.hold_expires_at:%Y-%m-%d %H:%M:%S} UTC"
        yield kinds.PAYMENT_UNSETTLED.found(record.id, what + _retrying(case), repairable=case.run is None)


def refund_overdue(case: Case, at: Moment) -> Iterator[Finding]:
    for refund in case.record.refunds if case.record else ():
        if refund.refunded_at is None and at.is_late(refund.requested_at):
            what = f"{refund.amount} are owed since {refund.requested_at:%Y-%m-%d %H:%M:%S} UTC{_retrying(case)}"
            yield kinds.REFUND_OVERDUE.found(case.booking_id, what, refund.idempotency_key, repairable=case.run is None)


def refunds_at_stripe(case: Case, at: Moment) -> Iterator[Finding]:
    """What Stripe has refunded and we do not know of."""
    if case.record is None:
        return
    issued = {refund.stripe_refund_id for refund in case.record.refunds if refund.stripe_refund_id}
    owed = any(refund.refunded_at is None for refund in case.record.refunds)
    for refund in case.refunds:
        if refund.id in issued or refund.status not in REFUNDING or (owed and not at.is_late(refund.created)):
            continue
        kind = kinds.REFUNDED_TWICE if issued else kinds.REFUND_UNRECORDED
        what = f"{refund.id} over {refund.amount} {refund.currency} is {refund.status} at Stripe"
        yield kind.found(case.booking_id, what, refund.id, repairable=owed and case.run is None)


def refunds_on_record(case: Case, at: Moment) -> Iterator[Finding]:
    """What we have on record as refunded, and Stripe has not."""
    if case.record is None or not case.stripe:
        return
    there = {refund.id: refund for refund in case.refunds}
    for refund in case.record.refunds:
        if refund.stripe_refund_id is None:
            continue
        other = there.get(refund.stripe_refund_id)
        if other is not None and other.status not in REFUNDING:
            yield kinds.REFUND_FAILED.found(case.booking_id, f"{other.id} is {other.status} at Stripe", other.id)
        elif other is None or other.amount != refund.amount:
            amount = other.amount if other else "unknown"
            what = f"{refund.stripe_refund_id}: {refund.amount} on record, {amount} at Stripe"
            yield kinds.REFUND_DIFFERS.found(case.booking_id, what, refund.stripe_refund_id)


def _counts(record: BookingRecord, intent: StripeIntent) -> bool:
    """The workflow takes notice of a payment of the agreed amount only."""
    return (intent.amount, intent.currency) == (record.amount, record.currency)


def _money(intent: StripeIntent) -> str:
    return f"{intent.amount} {intent.currency}"


def _retrying(case: Case) -> str:
    return f"; the run retries {', '.join(case.run.retrying)}" if case.run and case.run.retrying else ""


CHECKS = (
    paid_not_booked,
    booked_not_paid,
    amount_differs,
    second_payment,
    payable_after_end,
    payment_stale,
    payment_unsettled,
    refund_overdue,
    refunds_at_stripe,
    refunds_on_record,
)
