"""The saga's steps: each does one thing that is safe to repeat, through the ports that it was given."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.moments import not_before
from pitstop.contracts import names
from pitstop.contracts.booking import (
    BookingRef,
    CallOff,
    CloseUnpaid,
    Confirmation,
    ConfirmBooking,
    PaymentRequested,
    PlaceHold,
    RecordDecline,
    RefundPayment,
    RequestPayment,
    RequestRef,
    Withdrawal,
)
from pitstop.domain.notices import NoticeKind, notice_key
from pitstop.domain.reminders import ReminderDue
from pitstop.domain.saga import CalledOff, HoldOutcome, IntentState, OwedNotice
from pitstop.ports import PaymentGateway, PaymentsRefused, SagaStore


class ReservationActivities:
    """The slot: held, given back, confirmed, released."""

    def __init__(self, store: SagaStore) -> None:
        self._store = store

    @activity.defn(name=names.PLACE_HOLD)
    async def place_hold(self, hold: PlaceHold) -> HoldOutcome:
        return await self._store.place_hold(
            hold.booking_id, hold.fingerprint, hold.reservation_id, hold.now, hold.hold_expires_at, hold.lapses_at
        )

    @activity.defn(name=names.WITHDRAW_BOOKING)
    async def withdraw(self, request: RequestRef) -> Withdrawal:
        return Withdrawal(gone=await self._store.withdraw(request.booking_id, request.fingerprint))

    @activity.defn(name=names.CONFIRM_BOOKING)
    async def confirm(self, paid: ConfirmBooking) -> Confirmation:
        owed = [OwedNotice(notice_key(paid.booking_id, NoticeKind.CONFIRMATION), NoticeKind.CONFIRMATION)]
        owed += [_owed_reminder(paid, reminder) for reminder in paid.reminders]
        session = await self._store.confirm(paid.booking_id, paid.new_reservation_id, owed, paid.now)
        return Confirmation(session_id=session)

    @activity.defn(name=names.CLOSE_UNPAID)
    async def close_unpaid(self, unpaid: CloseUnpaid) -> None:
        await self._store.close_unpaid(unpaid.booking_id, unpaid.status, unpaid.now)

    @activity.defn(name=names.CALL_OFF)
    async def call_off(self, call: CallOff) -> CalledOff:
        return await self._store.call_off(call.booking_id, call.paid, call.reason, call.now)

    @activity.defn(name=names.COMPLETE_SESSION)
    async def complete(self, booking: BookingRef) -> None:
        await self._store.complete(booking.booking_id, booking.now)


class PaymentActivities:
    """The money: asked for, called off, given back. A debt is on record before Stripe is asked to pay it."""

    def __init__(self, store: SagaStore, payments: PaymentGateway) -> None:
        self._store = store
        self._payments = payments

    @activity.defn(name=names.REQUEST_PAYMENT)
    async def request(self, request: RequestPayment) -> PaymentRequested:
        """Creates the PaymentIntent and puts it on record in one step: its client secret must not enter the history."""
        terms = await self._store.payment_terms(request.booking_id)
        if terms is None:
            raise ApplicationError("the booking waits for no payment", type="NothingToPay", non_retryable=True)
        if terms.payment_intent_id is not None:
            return PaymentRequested(payment_intent_id=terms.payment_intent_id)
        try:
            intent = await self._payments.create_intent(request.booking_id, request.reservation_id, terms)
        except PaymentsRefused as refused:
            raise ApplicationError(str(refused), type="PaymentsRefused", non_retryable=True) from refused
        await self._store.record_intent(request.booking_id, intent, request.now)
        return PaymentRequested(payment_intent_id=intent.id)

    @activity.defn(name=names.RECORD_DECLINE)
    async def record_decline(self, decline: RecordDecline) -> None:
        await self._store.record_decline(decline.booking_id, decline.failure_code, decline.now)

    @activity.defn(name=names.CANCEL_PAYMENT)
    async def cancel(self, booking: BookingRef) -> IntentState:
        intent = await self._store.intent_of(booking.booking_id)
        return IntentState.CANCELED if intent is None else await self._payments.cancel_intent(intent)

    @activity.defn(name=names.REFUND_PAYMENT)
    async def refund(self, request: RefundPayment) -> None:
        owed = await self._store.owe_refund(request.booking_id, request.reason, request.now)
        if owed.issued:
            return
        refund_id = await self._payments.refund(owed.idempotency_key, owed.payment_intent_id, owed.amount, owed.reason)
        await self._store.record_refund(request.booking_id, owed.idempotency_key, refund_id, not_before(request.now))


def _owed_reminder(paid: ConfirmBooking, reminder: ReminderDue) -> OwedNotice:
    return OwedNotice(
        key=notice_key(paid.booking_id, NoticeKind.REMINDER, reminder.offset),
        kind=NoticeKind.REMINDER,
        due_at=reminder.due,
        skip_reason="its moment had passed when the booking was confirmed" if reminder.skipped else None,
    )
