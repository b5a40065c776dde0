"""The saga's steps: each does one thing that is safe to repeat, through the ports that it was given."""

import asyncio
import logging
from datetime import timedelta
from uuid import UUID

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
from pitstop.domain.booking import BookingStatus
from pitstop.domain.course import Course
from pitstop.domain.limits import DeclineLimits
from pitstop.domain.saga import CalledOff, HoldOutcome, IntentState, OwedRefund
from pitstop.ports import PaymentGateway, PaymentsRefused, PaymentsUnavailable, SagaStore

_log = logging.getLogger("pitstop.payments")
# Stopping a payment is tried for so long, inside a step on the database; the next declined card is the next try.
_PATIENCE_TO_STOP_SECONDS = 2


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
        course = Course(paid.reminder_offsets, timedelta(0), patience=paid.offering)
        confirmed = await self._store.confirm(paid.booking_id, paid.new_reservation_id, course, paid.now)
        if confirmed is None:
            return Confirmation(session_id=None)
        return Confirmation(session_id=confirmed.session_id, terms=confirmed.terms)

    @activity.defn(name=names.CLOSE_UNPAID)
    async def close_unpaid(self, unpaid: CloseUnpaid) -> BookingStatus | None:
        return await self._store.close_unpaid(unpaid.booking_id, unpaid.status, unpaid.now)

    @activity.defn(name=names.CALL_OFF)
    async def call_off(self, call: CallOff) -> CalledOff:
        return await self._store.call_off(call.booking_id, call.paid, call.reason, call.now)


class PaymentActivities:
    """The money: asked for, called off, given back. A debt is on record before Stripe is asked to pay it."""

    def __init__(self, store: SagaStore, payments: PaymentGateway, limits: DeclineLimits) -> None:
        self._store = store
        self._payments = payments
        self._limits = limits

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
        intent = decline.payment_intent_id
        await self._store.record_decline(
            decline.booking_id, decline.failure_code, decline.now, intent, decline.event_id
        )
        declines = await self._store.declines(decline.booking_id, self._limits.window)
        if declines.exceed(self._limits):
            _log.warning("booking %s: its payment is stopped after %s", decline.booking_id, declines)
            await self._stop(decline.booking_id, intent or await self._store.intent_of(decline.booking_id))

    async def _stop(self, booking_id: UUID, intent: str | None) -> None:
        """Nobody can pay any more; Stripe's event about that ends the waiting. One who has just paid has paid."""
        try:
            async with asyncio.timeout(_PATIENCE_TO_STOP_SECONDS):
                await self._payments.cancel_intent(str(intent), awaited=False)
        except (PaymentsUnavailable, PaymentsRefused, TimeoutError) as error:
            _log.warning("booking %s: its payment could not be stopped: %r", booking_id, error)

    @activity.defn(name=names.CANCEL_PAYMENT)
    async def cancel(self, booking: BookingRef) -> IntentState:
        """`SUCCEEDED` only for the money that was agreed: other money confirms nothing, and an operator is told."""
        intent = await self._store.intent_of(booking.booking_id)
        if intent is None:
            return IntentState.CANCELED
        state = await self._payments.cancel_intent(intent, awaited=True)
        if state is IntentState.SUCCEEDED and not await self._is_as_agreed(booking, intent):
            return IntentState.CANCELED
        return state

    async def _is_as_agreed(self, booking: BookingRef, intent: str) -> bool:
        amount, currency = await self._payments.received(intent)
        agreed = await self._store.agreed(booking.booking_id)
        if agreed is None or (amount, currency) == (agreed.amount, agreed.currency):
            return True
        _log.error("booking %s: %s has brought %s %s, not %s", booking.booking_id, intent, amount, currency, agreed)
        await self._store.note_wrong_payment(booking.booking_id, amount, currency, booking.now)
        return False

    @activity.defn(name=names.REFUND_PAYMENT)
    async def refund(self, request: RefundPayment) -> None:
        """Each that is owed, whatever becomes of the others; then fails if one of them did."""
        failed: list[Exception] = []
        for owed in await self._store.owed_refunds(request.booking_id, request.reason, request.now):
            try:
                await self._refund(request, owed)
            except (PaymentsUnavailable, PaymentsRefused) as failure:
                failed.append(failure)
        if failed:
            raise failed[0]

    async def _refund(self, request: RefundPayment, owed: OwedRefund) -> None:
        made = await self._payments.refund(owed)
        moment = not_before(request.now)
        await self._store.record_refund(request.booking_id, owed.idempotency_key, made, moment)
