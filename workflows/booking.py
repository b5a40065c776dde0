"""One booking, from the hold to the end of its session: the order of events, and what undoes them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pitstop.contracts import names
    from pitstop.contracts.booking import (
        BookingEnding,
        BookingOrder,
        BookingRef,
        CallOff,
        CloseUnpaid,
        Confirmation,
        ConfirmBooking,
        HoldAnswer,
        PaymentRequested,
        PlaceHold,
        RecordDecline,
        RefundPayment,
        RequestPayment,
        RequestRef,
        SendNotice,
        Withdrawal,
    )
    from pitstop.domain.booking import BookingStatus
    from pitstop.domain.notices import NoticeKind
    from pitstop.domain.reminders import ReminderDue, plan_reminders
    from pitstop.domain.saga import CalledOff, HoldOutcome, HoldRefusal, IntentState, NoticeOutcome, PaymentEvent, Terms
    from workflows.policies import local, local_while_customer_waits, persistent, readable

# What an operator can also query by BookingStatus, besides the booking's own states.
AWAITING_REFUND = "awaiting_refund"
REFUSED = "refused"
# How long a mail is tried that is not bound to the session's time.
_LETTER_PATIENCE = timedelta(days=3)
_SHORTEST_PATIENCE = timedelta(minutes=1)


@workflow.defn(name=names.BOOKING_WORKFLOW)
class BookingWorkflow:
    """Holds the slot, waits for the payment, confirms and reminds; or undoes what was done.

    Every step is safe to repeat and finds the booking as the database has it. So a run may also take up a booking whose
    earlier run was terminated: it goes on from where the booking stands.
    """

    @workflow.init
    def __init__(self, order: BookingOrder) -> None:
        self._order = order
        self._spans = order.spans
        self._answer: HoldAnswer | None = None
        self._terms: Terms | None = None
        self._intent: str | None = None
        self._events: list[PaymentEvent] = []
        self._letters: list[asyncio.Task[None]] = []
        self._shown: str = BookingStatus.AWAITING_PAYMENT
        self._declined = False
        self._confirmed = False

    @workflow.run
    async def run(self, order: BookingOrder) -> BookingEnding:
        try:
            ending = await self._see_through()
        except (asyncio.CancelledError, FailureError):
            # Called off by an operator, or a step cannot succeed: nothing stays held, nobody is charged for nothing.
            await self._undo()
            await self._answer_all(HoldRefusal.WITHDRAWN)
            raise
        await self._answer_all(ending.refusal)
        return ending

    @workflow.update(name=names.HOLD_UPDATE)
    async def hold(self, fingerprint: str) -> HoldAnswer:
        """Brings back the hold or the refusal, to everybody who asks with the same request."""
        await workflow.wait_condition(lambda: self._answer is not None)
        assert self._answer is not None  # noqa: S101 - just waited for
        return self._answer

    @hold.validator
    def _same_request(self, fingerprint: str) -> None:
        if fingerprint != self._order.fingerprint:
            raise ApplicationError("this key belongs to another request", type=names.KEY_REUSED, non_retryable=True)

    @workflow.signal(name=names.PAYMENT_SIGNAL)
    def payment_event(self, event: PaymentEvent) -> None:
        """A verified event of Stripe. It may come before the hold is answered, late, twice, or out of order."""
        self._events.append(event)

    # The order of events

    async def _see_through(self) -> BookingEnding:
        held = await self._hold_and_request_payment()
        if held.terms is None:
            return self._refused(held)
        terms = held.terms
        self._answer = HoldAnswer()
        if terms.status.is_end:
            return await self._after_the_end(terms)
        if terms.status in (BookingStatus.HOLDING, BookingStatus.AWAITING_PAYMENT):
            return await self._through_payment(terms)
        return await self._through_session(terms, terms.unsent_reminders)

    async def _hold_and_request_payment(self) -> HoldOutcome:
        """The terms of a booking that has its slot and its PaymentIntent; otherwise nothing is left of the request."""
        held = await self._place_hold()
        if held.terms is None:
            await self._withdraw()
        elif held.terms.status is BookingStatus.HOLDING and not await self._request_payment(held.terms):
            if await self._withdraw():
                return HoldOutcome(refusal=HoldRefusal.PAYMENT_UNAVAILABLE)
            # A try that seemed to have failed had put the PaymentIntent on record: it counts.
            return await self._place_hold()
        return held

    async def _through_payment(self, terms: Terms) -> BookingEnding:
        self._show(BookingStatus.AWAITING_PAYMENT, f"The customer may pay until {terms.hold_expires_at:%H:%M:%S} UTC.")
        if not (terms.paid or await self._payment_arrives(terms) or await self._void_payment()):
            return await self._close_unpaid()
        reminders = self._all_reminders(terms)
        if not await self._confirm(reminders):
            await self._refund("slot_gone")
            ending = self._ended(BookingStatus.REFUNDED)
            await self._notify(NoticeKind.REFUND)
            return ending
        return await self._through_session(terms, [reminder for reminder in reminders if not reminder.skipped])

    async def _through_session(self, terms: Terms, reminders: Sequence[ReminderDue]) -> BookingEnding:
        self._confirmed = True
        self._show(
            BookingStatus.CONFIRMED, f"The session is from {terms.start:%Y-%m-%d %H:%M} to {terms.end:%H:%M} UTC."
        )
        self._post(terms, NoticeKind.CONFIRMATION)
        for reminder in reminders:
            await _until(reminder.due, f"reminder {readable(reminder.offset)} before the session")
            self._post(terms, NoticeKind.REMINDER, reminder)
        await _until(terms.end, "end of the session")
        await asyncio.gather(*self._letters)
        await self._step(names.COMPLETE_SESSION, self._here(), "complete the session")
        return self._ended(BookingStatus.COMPLETED)

    async def _after_the_end(self, terms: Terms) -> BookingEnding:
        """An earlier run has ended the booking. Nothing brings it back: money that came late goes back."""
        if terms.refund_due or (self._is_paid() and not terms.paid):
            await self._refund("booking_ended")
        for kind in (NoticeKind.CONFIRMATION, NoticeKind.CANCELLATION, NoticeKind.REFUND):
            await self._notify(kind)
        for reminder in terms.unsent_reminders:
            await self._notify(NoticeKind.REMINDER, reminder)
        return self._ended(terms.status)

    # The undo: right at every point, because it goes by what the database and Stripe say was done

    async def _undo(self) -> None:
        await self._stop_letters()
        if self._answer is None:
            await self._withdraw()
        paid = self._confirmed or await self._void_payment()
        called_off = await self._call_off(paid)
        if called_off.refund_due:
            await self._refund("called_off")
        status = called_off.status
        self._ended(status if status is not None and status.is_end else BookingStatus.CANCELLED)
        if paid:
            await self._notify(NoticeKind.CANCELLATION)
            await self._notify(NoticeKind.REFUND)

    async def _call_off(self, paid: bool) -> CalledOff:
        """What has ended already stays as it ended: then nothing is owed that was not owed before."""
        call = CallOff(**self._ref(), paid=paid, reason="called_off")
        return await local(names.CALL_OFF, call, CalledOff, self._spans.database_activity, "call the booking off")

    async def _withdraw(self) -> bool:
        """False when the request has got its PaymentIntent: then it stands."""
        request = RequestRef(**self._ref(), fingerprint=self._order.fingerprint)
        limit = self._spans.database_activity
        return (await local(names.WITHDRAW_BOOKING, request, Withdrawal, limit, "give the slot back")).gone

    def _refused(self, outcome: HoldOutcome) -> BookingEnding:
        self._show(REFUSED, f"Not held: {outcome.refusal}.")
        self._answer = HoldAnswer(refusal=outcome.refusal, reason=outcome.reason)
        return BookingEnding(status=None, refusal=outcome.refusal)

    # The steps

    async def _place_hold(self) -> HoldOutcome:
        expires = workflow.now() + self._spans.hold
        request = PlaceHold(
            **self._ref(),
            fingerprint=self._order.fingerprint,
            reservation_id=workflow.uuid4(),
            hold_expires_at=expires,
            lapses_at=expires + self._spans.hold_grace,
        )
        held = await local(names.PLACE_HOLD, request, HoldOutcome, self._spans.database_activity, "hold the slot")
        if held.chosen_instead is not None:
            workflow.upsert_search_attributes([names.MECHANIC_ID.value_set(str(held.chosen_instead))])
        self._terms = held.terms
        self._intent = held.terms.payment_intent_id if held.terms else None
        return held

    async def _request_payment(self, terms: Terms) -> bool:
        """False when Stripe cannot be had while the customer waits."""
        request = RequestPayment(**self._ref(), reservation_id=terms.reservation_id)
        try:
            requested = await local_while_customer_waits(
                names.REQUEST_PAYMENT,
                request,
                PaymentRequested,
                self._spans.intent_patience,
                "create the PaymentIntent",
            )
        except FailureError as failure:
            if is_cancelled_exception(failure):
                raise
            return False
        self._intent = requested.payment_intent_id
        return True

    async def _payment_arrives(self, terms: Terms) -> bool:
        """Waits for a payment until the hold ends; every declined card leaves the customer the rest of the time."""
        while (event := await self._next_event(terms.hold_expires_at)) is not None:
            if not self._concerns(event):
                continue
            if event.kind != "failed":
                return event.kind == "succeeded"
            self._declined = True
            decline = RecordDecline(**self._ref(), failure_code=event.failure_code or "unknown")
            await self._step(names.RECORD_DECLINE, decline, "record the declined card")
        return False

    async def _next_event(self, deadline: datetime) -> PaymentEvent | None:
        """The oldest event not yet dealt with; a payment goes before everything else that has come. None in the end."""
        remaining = deadline - workflow.now()
        try:
            if not self._events:
                await workflow.wait_condition(
                    lambda: bool(self._events), timeout=remaining, timeout_summary="time to pay"
                )
        except TimeoutError:
            return None
        paid = [event for event in self._events if event.kind == "succeeded"]
        event = (paid or self._events)[0]
        self._events.remove(event)
        return event

    def _is_paid(self) -> bool:
        return any(event.kind == "succeeded" and self._concerns(event) for event in self._events)

    def _concerns(self, event: PaymentEvent) -> bool:
        """An event counts for this booking's own PaymentIntent, and for the agreed amount, only."""
        if self._terms is None or event.payment_intent_id != self._intent:
            return False
        return (event.amount, event.currency) == (self._terms.amount, self._terms.currency)

    async def _void_payment(self) -> bool:
        """Sees to it that nobody can pay any more. True when somebody has: Stripe knows, even if no webhook came.

        While Stripe cannot be asked, the news of a payment ends the waiting.
        """
        workflow.set_current_details("Nobody may pay any more: the PaymentIntent is being cancelled.")
        voiding = asyncio.create_task(
            persistent(
                names.CANCEL_PAYMENT, self._here(), IntentState, self._spans.stripe_activity, "cancel the PaymentIntent"
            )
        )
        try:
            await workflow.wait_condition(lambda: voiding.done() or self._is_paid())
        finally:
            voiding.cancel()
            voiding.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._is_paid() or voiding.result() is IntentState.SUCCEEDED

    async def _close_unpaid(self) -> BookingEnding:
        status = BookingStatus.PAYMENT_FAILED if self._declined else BookingStatus.EXPIRED
        await self._step(names.CLOSE_UNPAID, CloseUnpaid(**self._ref(), status=status), "release the slot")
        return self._ended(status)

    async def _confirm(self, reminders: list[ReminderDue]) -> bool:
        """False when the slot had gone to somebody else: then the refund is owed from the same transaction on."""
        request = ConfirmBooking(**self._ref(), new_reservation_id=workflow.uuid4(), reminders=tuple(reminders))
        summary = "create the session and confirm"
        confirmation = await local(names.CONFIRM_BOOKING, request, Confirmation, self._spans.database_activity, summary)
        return confirmation.session_id is not None

    async def _refund(self, reason: str) -> None:
        self._show(AWAITING_REFUND, f"All of the money goes back: {reason}.")
        request = RefundPayment(**self._ref(), reason=reason)
        await persistent(names.REFUND_PAYMENT, request, type(None), self._spans.stripe_activity, "refund the payment")

    def _post(self, terms: Terms, kind: NoticeKind, reminder: ReminderDue | None = None) -> None:
        """Sends a mail beside the timers: one that does not get through holds up neither the next nor the session."""
        patience = max(terms.end - workflow.now(), _SHORTEST_PATIENCE)
        self._letters.append(asyncio.create_task(self._notify(kind, reminder, patience)))

    async def _stop_letters(self) -> None:
        """A try that is under way is waited for: a confirmation must not come after the cancellation."""
        for letter in self._letters:
            letter.cancel()
        await asyncio.gather(*self._letters, return_exceptions=True)

    async def _notify(
        self, kind: NoticeKind, reminder: ReminderDue | None = None, patience: timedelta = _LETTER_PATIENCE
    ) -> None:
        """Sends the mail if it is owed: the database knows, and knows whether it was sent before."""
        notice = SendNotice(**self._ref(), kind=kind, reminder_offset=reminder.offset if reminder else None)
        limit = self._spans.mail_activity
        try:
            await persistent(
                names.SEND_NOTICE,
                notice,
                NoticeOutcome,
                limit,
                f"mail: {kind}",
                patience,
                workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
        except FailureError as failure:
            # A try that was under way when the mail was stopped, and then failed, comes back as that failure.
            if is_cancelled_exception(failure) or (_is_being_stopped() and workflow.patched("stopped-mail-is-skipped")):
                raise
            await self._step(names.GIVE_UP_NOTICE, notice, f"give the mail up: {kind}")

    async def _step(self, activity: str, argument: BookingRef, summary: str) -> None:
        await local(activity, argument, type(None), self._spans.database_activity, summary)

    # Small change

    def _ref(self) -> dict[str, Any]:
        return {"booking_id": self._order.booking_id, "now": workflow.now()}

    def _here(self) -> BookingRef:
        return BookingRef(**self._ref())

    def _all_reminders(self, terms: Terms) -> list[ReminderDue]:
        return plan_reminders(terms.start, self._spans.reminder_offsets, workflow.now())

    def _show(self, status: str, details: str) -> None:
        """What operators see: the status as a search attribute (set at the start, too), the rest as current details."""
        if status != self._shown:
            workflow.upsert_search_attributes([names.BOOKING_STATUS.value_set(status)])
            self._shown = status
        workflow.set_current_details(details)

    def _ended(self, status: BookingStatus) -> BookingEnding:
        self._show(status, f"Ended: {status}.")
        return BookingEnding(status=status)

    async def _answer_all(self, refusal: HoldRefusal | None) -> None:
        """Nobody who asked for the hold is left without an answer when the run ends."""
        self._answer = self._answer or HoldAnswer(refusal=refusal)
        await workflow.wait_condition(workflow.all_handlers_finished)


def _is_being_stopped() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _until(moment: datetime, summary: str) -> None:
    remaining = moment - workflow.now()
    if remaining > timedelta(0):
        await workflow.sleep(remaining, summary=summary)
