"""What a dearer plan costs more: asked for, voided, settled."""

import logging

from temporalio import activity
from temporalio.exceptions import ApplicationError

from pitstop.contracts import names
from pitstop.contracts.booking import PaymentRequested, SettleSupplement, SupplementRef, VoidSupplement
from pitstop.domain.course import Course
from pitstop.domain.saga import IntentState, SupplementNews, Terms
from pitstop.ports import PaymentGateway, PaymentsRefused, SagaStore, SupplementStore

_log = logging.getLogger("pitstop.payments")


class SupplementActivities:
    """Each of them is safe to repeat."""

    def __init__(self, store: SupplementStore, saga: SagaStore, payments: PaymentGateway) -> None:
        self._store = store
        self._saga = saga
        self._payments = payments

    @activity.defn(name=names.REQUEST_SUPPLEMENT)
    async def request(self, supplement: SupplementRef) -> PaymentRequested | None:
        """Creates the PaymentIntent and puts it on record in one step: its client secret must not enter the history.

        None when nobody is to pay it any more.
        """
        terms = await self._store.to_be_paid(supplement.booking_id, supplement.supplement_id)
        if terms is None:
            return None
        if terms.payment_intent_id is not None:
            return PaymentRequested(payment_intent_id=terms.payment_intent_id)
        try:
            # What is held for it bears the id of the change, too.
            intent = await self._payments.create_intent(supplement.booking_id, supplement.supplement_id, terms)
        except PaymentsRefused as refused:
            raise ApplicationError(str(refused), type="PaymentsRefused", non_retryable=True) from refused
        await self._store.record_intent(supplement.booking_id, supplement.supplement_id, intent, supplement.now)
        return PaymentRequested(payment_intent_id=intent.id)

    @activity.defn(name=names.WITHDRAW_SUPPLEMENT)
    async def withdraw(self, supplement: SupplementRef) -> Terms | None:
        return await self._store.withdraw(supplement.booking_id, supplement.supplement_id, supplement.now)

    @activity.defn(name=names.VOID_SUPPLEMENT)
    async def void(self, supplement: VoidSupplement) -> IntentState:
        """`SUCCEEDED` only for the money that was agreed: other money moves nothing, and an operator is told."""
        intent = supplement.payment_intent_id
        state = await self._payments.cancel_intent(intent, awaited=True)
        if state is IntentState.SUCCEEDED and not await self._is_as_agreed(supplement):
            return IntentState.CANCELED
        return state

    async def _is_as_agreed(self, supplement: VoidSupplement) -> bool:
        booking, intent = supplement.booking_id, supplement.payment_intent_id
        amount, currency = await self._payments.received(intent)
        agreed = await self._store.agreed(booking, intent)
        if agreed is None or (amount, currency) == (agreed.amount, agreed.currency):
            return True
        _log.error("booking %s: %s has brought %s %s, not %s", booking, intent, amount, currency, agreed)
        await self._saga.note_wrong_payment(booking, amount, currency, supplement.now)
        return False

    @activity.defn(name=names.SETTLE_SUPPLEMENT)
    async def settle(self, told: SettleSupplement) -> Terms | None:
        news = SupplementNews(told.payment_intent_id, told.paid, told.amount, told.currency)
        course = Course(told.reminder_offsets, told.waiting_room, patience=told.offering)
        return await self._store.settle(told.booking_id, news, course, told.now)
