"""What a dearer plan costs more is paid, and the booking moves; or is not, and nothing stays of it (I2, I3)."""

from collections.abc import Iterator

from pitstop.domain.audit import kinds
from pitstop.domain.audit.facts import (
    PAYABLE,
    BookingRecord,
    Case,
    Moment,
    PaymentRecord,
    StripeIntent,
    SupplementRecord,
)
from pitstop.domain.audit.findings import Finding


def supplement_overdue(case: Case, at: Moment) -> Iterator[Finding]:
    for each in case.record.supplements if case.record else ():
        if each.is_open and at.is_late(each.lapses_at):
            what = f"{each.amount} {each.currency} could be paid until {each.expires_at:%Y-%m-%d %H:%M:%S} UTC"
            yield kinds.SUPPLEMENT_OVERDUE.found(case.booking_id, what, str(each.id), repairable=case.run is None)


def supplement_not_voided(case: Case, at: Moment) -> Iterator[Finding]:
    for supplement, payment in _paid_by(case):
        if supplement.closed_at is None or not payment.is_unsettled or not at.is_late(supplement.closed_at):
            continue
        intent = case.intent_of(payment)
        if intent is None or intent.status in PAYABLE:
            what = f"it is {supplement.status}, and {payment.payment_intent_id} over {payment.amount} is not voided"
            subject = payment.payment_intent_id
            yield kinds.SUPPLEMENT_NOT_VOIDED.found(case.booking_id, what, subject, repairable=case.run is None)


def supplement_astray(case: Case, at: Moment) -> Iterator[Finding]:
    for supplement, payment in _paid_by(case):
        if supplement.is_applied or case.record is None:
            continue
        intent = case.intent_of(payment)
        if _is_forgotten(case.record, payment) or _is_unheard(payment, intent, at):
            what = f"{payment.amount} {payment.currency} were paid by {payment.payment_intent_id}, and it is "
            what += supplement.status
            heard = payment.paid_at is not None
            yield kinds.SUPPLEMENT_ASTRAY.found(case.booking_id, what, payment.payment_intent_id, repairable=not heard)


def _is_forgotten(record: BookingRecord, payment: PaymentRecord) -> bool:
    """On record as paid, and not all of it is on record as going back."""
    refunds = [each for each in record.refunds if each.payment_intent_id == payment.payment_intent_id]
    return payment.paid_at is not None and sum(each.amount for each in refunds) < payment.amount


def _is_unheard(payment: PaymentRecord, intent: StripeIntent | None, at: Moment) -> bool:
    """Stripe has the money, and nobody here knows."""
    if payment.paid_at is not None or intent is None or intent.kept <= 0 or intent.paid_at is None:
        return False
    return at.is_late(intent.paid_at)


def supplement_not_paid(case: Case, at: Moment) -> Iterator[Finding]:
    if case.record is None:
        return
    payments = {supplement.id: payment for supplement, payment in _paid_by(case)}
    for each in case.record.supplements:
        payment = payments.get(each.id)
        if each.is_applied and (why := _why_not_paid(case, payment)):
            yield kinds.SUPPLEMENT_NOT_PAID.found(
                case.booking_id, f"{each.amount} {each.currency}: {why}", str(each.id)
            )


def _why_not_paid(case: Case, payment: PaymentRecord | None) -> str | None:
    if payment is None or payment.paid_at is None:
        return "no payment is on record"
    intent = case.intent_of(payment)
    if case.stripe and (intent is None or not intent.is_paid):
        return f"{payment.payment_intent_id} is {intent.status if intent else 'unknown'} at Stripe"
    return None


def supplement_slot_differs(case: Case, at: Moment) -> Iterator[Finding]:
    for each in case.record.supplements if case.record else ():
        held = each.held_until is not None and each.held_until > at.now
        if held and not each.is_open:
            what = f"it is {each.status}, and its time is held until {each.held_until:%Y-%m-%d %H:%M:%S} UTC"
        elif each.is_open and not held and each.expires_at > at.now:
            what = f"it may be paid until {each.expires_at:%Y-%m-%d %H:%M:%S} UTC, and holds no time"
        else:
            continue
        yield kinds.SUPPLEMENT_SLOT_DIFFERS.found(case.booking_id, what, str(each.id))


def supplement_stale(case: Case, at: Moment) -> Iterator[Finding]:
    """One that is settled is as Stripe has it."""
    for _, payment in _paid_by(case):
        intent = case.intent_of(payment)
        if intent is not None and not payment.is_unsettled and payment.status != intent.status:
            what = f"{intent.id} is {payment.status} on record and {intent.status} at Stripe"
            yield kinds.PAYMENT_STALE.found(case.booking_id, what, intent.id)


def _paid_by(case: Case) -> list[tuple[SupplementRecord, PaymentRecord]]:
    return case.record.supplements_paid_by if case.record else []


CHECKS = (
    supplement_overdue,
    supplement_not_voided,
    supplement_astray,
    supplement_not_paid,
    supplement_slot_differs,
    supplement_stale,
)
