"""One booking, from the hold to the end of its session: the order of events, and what undoes them."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pitstop.contracts import names
    from pitstop.contracts.booking import (
        ApplyChange,
        BookingEnding,
        BookingOrder,
        BookingRef,
        CallOff,
        Change,
        ChangeAnswer,
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
        SessionStep,
        Withdrawal,
    )
    from pitstop.domain.agenda import Step, course_of, due_notices, next_notice, next_step, unposted, useful_until
    from pitstop.domain.booking import BookingStatus
    from pitstop.domain.changes import ChangeKind, ChangeOutcome, ChangeRefusal
    from pitstop.domain.notices import NoticeKind
    from pitstop.domain.reminders import plan_reminders
    from pitstop.domain.saga import (
        CalledOff,
        HoldOutcome,
        HoldRefusal,
        IntentState,
        NoticeDue,
        PaymentEvent,
        Terms,
    )
    from workflows.early_releases import confirmed_by_0_1, ended_by_0_1
    from workflows.letters import PATIENCE, SHORTEST_PATIENCE, Letters
    from workflows.policies import local, local_or_none, local_while_customer_waits, persistent, readable
    from workflows.supplements import Supplements

# What an operator can also query by BookingStatus, besides the booking's own states.
AWAITING_REFUND = "awaiting_refund"
REFUSED = "refused"


class _Asked:
    """A change that somebody waits for."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self.answer: ChangeAnswer | None = None


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
        self._held: HoldAnswer | None = None
        self._terms: Terms | None = None
        self._intent: str | None = None
        self._events: list[PaymentEvent] = []
        self._asked: list[_Asked] = []
        self._has_news = False
        # The run has nothing left to decide: whoever asks for a change is answered at once.
        self._is_over = False
        self._letters = Letters(order.booking_id, self._spans.mail_activity, self._spans.database_activity)
        self._supplements = Supplements(order.booking_id, self._spans)
        self._to_answer: list[tuple[_Asked, ChangeAnswer]] = []
        # A difference that goes back while the booking stands.
        self._paying: asyncio.Task[None] | None = None
        # What tells of news after the end, and whether it is at it.
        self._listening: asyncio.Task[None] | None = None
        self._is_reading = False
        self._had_news_before = False
        self._shown: str = BookingStatus.AWAITING_PAYMENT
        self._declined = False
        self._confirmed = False

    @workflow.run
    async def run(self, order: BookingOrder) -> BookingEnding:
        try:
            ending = await self._see_through()
        except (asyncio.CancelledError, FailureError):
            # Called off by an operator, or a step cannot succeed: nothing stays held, nobody is charged for nothing.
            self._is_over = True
            await self._undo()
            await self._answer_all(HoldRefusal.WITHDRAWN)
            raise
        await self._answer_all(ending.refusal)
        return ending

    @workflow.update(name=names.HOLD_UPDATE)
    async def hold(self, fingerprint: str) -> HoldAnswer:
        """Brings back the hold or the refusal, to everybody who asks with the same request."""
        await workflow.wait_condition(lambda: self._held is not None)
        assert self._held is not None  # noqa: S101 - just waited for
        return self._held

    @hold.validator
    def _same_request(self, fingerprint: str) -> None:
        if fingerprint != self._order.fingerprint:
            raise ApplicationError("this key belongs to another request", type=names.KEY_REUSED, non_retryable=True)

    @workflow.signal(name=names.PAYMENT_SIGNAL)
    def payment_event(self, event: PaymentEvent) -> None:
        """A verified event of Stripe. It may come before the hold is answered, late, twice, or out of order."""
        self._events.append(event)
        if self._confirmed or self._is_over:
            self._pass_on_events()

    @workflow.update(name=names.CHANGE_UPDATE)
    async def change(self, change: Change) -> ChangeAnswer:
        """Decides on a change that is on record. Changes and what the clock asks come one after another."""
        asked = _Asked(change)
        self._asked.append(asked)
        await workflow.wait_condition(lambda: asked.answer is not None or (self._is_over and asked in self._asked))
        if asked.answer is None:
            self._asked.remove(asked)
            await self._apply(asked)
        return asked.answer or ChangeAnswer()

    @workflow.signal(name=names.NOTICES_SIGNAL)
    def notices_owed(self) -> None:
        """Somebody has put notices on record."""
        self._has_news = True

    # The order of events

    async def _see_through(self) -> BookingEnding:
        held = await self._hold_and_request_payment()
        if held.terms is None:
            return self._refused(held)
        terms = held.terms
        self._held = HoldAnswer()
        if terms.status.is_end:
            return await self._after_the_end(terms)
        if terms.status in (BookingStatus.HOLDING, BookingStatus.AWAITING_PAYMENT):
            return await self._through_payment(terms)
        if terms.notices is None:
            terms = confirmed_by_0_1(terms, terms.unsent_reminders)
        return await self._through_session(terms)

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
        # A customer who has asked for this slot knows of it; one who waited for any is told while there is time to pay.
        patience = max(terms.hold_expires_at - workflow.now(), SHORTEST_PATIENCE)
        self._letters.post(unposted(terms, self._letters.posted), patience)
        paid = terms.paid or await self._payment_arrives(terms) or await self._void_payment()
        await self._letters.stop()
        wanted = self._is_called_off()
        while self._is_called_off():
            # It is so whether or not a payment came in that moment.
            called_off = (await self._apply(self._asked.pop(0), paid)).terms
            if called_off is not None and called_off.status.is_end:
                return await self._settle(called_off)
        if not paid and wanted and workflow.patched("called-off-though-not-waited-for"):
            # Stripe was away for so long that whoever asked has gone; but nobody can pay any more, as they wanted.
            await self._call_off(paid)
        if not paid:
            return await self._close_unpaid()
        confirmed = await self._confirm(terms)
        if confirmed is not None and confirmed.status.is_end:
            if not confirmed.paid:
                await self._refund("booking_ended")
            return await self._settle(confirmed)
        if confirmed is None:
            await self._refund("slot_gone")
            ending = self._ended(BookingStatus.REFUNDED)
            await self._letters.send(NoticeKind.REFUND)
            return ending
        # What nobody was told of while it was unpaid, a flag for instance, is told now.
        self._has_news = self._has_news or self._had_news_before
        return await self._through_session(confirmed)

    async def _through_session(self, terms: Terms) -> BookingEnding:
        """Does what is due by the clock and what is asked for, whichever comes first, until the booking has ended."""
        self._confirmed = True
        while not terms.status.is_end:
            if self._supplements.are_unasked(terms):
                terms = await self._ask_for_difference(terms)
                continue
            self._take(terms)
            self._pay_back(terms)
            self._supplements.look_after(terms)
            self._pass_on_events()
            self._post(due_notices(terms, self._letters.posted, workflow.now()), terms)
            moment, step = next_step(self._supplements.on_the_clock(terms), self._spans.closing, workflow.now())
            coming = next_notice(terms, self._letters.posted, moment)
            until = coming.due if coming and coming.due else moment
            if not await self._something_comes_before(until, _summary(coming) if coming else step):
                terms = terms if coming else await self._move_on(terms, step)
            elif self._supplements.has_news:
                terms = await self._supplements.settle(self._course()) or terms
            elif self._asked:
                terms = (await self._apply(self._asked.pop(0))).terms or terms
            else:
                terms = await self._news() or terms
        return await self._settle(terms)

    async def _something_comes_before(self, moment: datetime, summary: str) -> bool:
        """False when the moment has come first."""
        remaining = moment - workflow.now()
        if remaining > timedelta(0):
            try:
                await workflow.wait_condition(self._is_wanted, timeout=remaining, timeout_summary=summary)
            except TimeoutError:
                return False
        return self._is_wanted()

    def _is_wanted(self) -> bool:
        return bool(self._asked) or self._has_news or self._supplements.has_news

    async def _move_on(self, terms: Terms, step: Step) -> Terms:
        match step:
            case Step.OFFER:
                return await self._offer(terms)
            case Step.LAPSE:
                return await self._news() or terms
            case Step.PAY_DIFFERENCE:
                self._supplements.end(terms)
                return terms
            case Step.CLOSE:
                return await self._close(terms)

    async def _offer(self, terms: Terms) -> Terms:
        """Nobody has taken the session yet: further mechanics are asked, until the time for that is over."""
        step = SessionStep(**self._ref(), **self._course())
        limit = self._spans.database_activity
        return await local_or_none(names.OFFER_SESSION, step, Terms, limit, "ask further mechanics") or terms

    async def _close(self, terms: Terms) -> Terms:
        """The session's time is over, and nobody has closed it. Its mails have been tried until now."""
        if not await self._mails_are_through():
            return terms
        step = SessionStep(**self._ref(), **self._course())
        limit = self._spans.database_activity
        closed = await local_or_none(names.COMPLETE_SESSION, step, Terms, limit, "complete the session")
        return closed or terms.model_copy(update={"status": BookingStatus.COMPLETED})

    async def _mails_are_through(self) -> bool:
        """Waits for tries under way; one that was posted for a later time, and does not get through, holds up no end.

        False when somebody asks for something meanwhile, which goes first.
        """
        if not self._letters.keys_under_way() or not workflow.patched("closing-waits-for-one-try"):
            await self._letters.arrive()
            return True
        try:
            await workflow.wait_condition(
                lambda: self._is_wanted() or not self._letters.keys_under_way(),
                timeout=self._spans.mail_activity,
                timeout_summary="mails under way",
            )
        except TimeoutError:
            await self._letters.stop()
            self._letters.forget_all_but(set())
        return not self._is_wanted()

    async def _settle(self, terms: Terms) -> BookingEnding:
        """The booking has ended: the money goes back that is owed, and what is to be told is told."""
        self._is_over = True
        paying_back = [self._refund(None)] if terms.refund_due else []
        under_way = [self._paying] if self._paying is not None and not self._paying.done() else []
        money = [*under_way, *paying_back, self._see_off(terms.voids)]
        to_tell = self._letters.keys_under_way() or unposted(terms, self._letters.posted)
        if to_tell and workflow.patched("end-is-shown-before-it-is-told"):
            money = [self._show_end_after(money, terms.status)]
        await asyncio.gather(*money, self._send_the_last(terms))
        # What has been heard meanwhile.
        await self._see_off(())
        await self._all_is_told()
        return self._ended(terms.status)

    async def _show_end_after(self, money: Sequence[Awaitable[None]], status: BookingStatus) -> None:
        """A mail server that is away keeps a run open, and nobody thinks that money is still owed."""
        await asyncio.gather(*money)
        self._ended(status)

    async def _see_off(self, voids: Sequence[str]) -> None:
        """Nobody is to pay a difference any more; what was paid all the same goes back."""
        terms = await self._supplements.see_off(voids, self._course())
        if terms is not None and terms.refund_due:
            await self._refund(None)

    async def _send_the_last(self, terms: Terms) -> None:
        if terms.status is not BookingStatus.COMPLETED:
            await self._letters.stop()
        self._letters.post(unposted(terms, self._letters.posted), PATIENCE)
        while self._has_news:
            self._letters.post(unposted(await self._news() or terms, self._letters.posted), PATIENCE)
        self._listen()
        await self._letters.arrive()

    def _listen(self) -> None:
        """What somebody puts on record from here on goes out beside the last letters and the money: it waits neither
        for a channel that is away nor for Stripe."""
        self._listening = asyncio.create_task(self._tell_news())

    async def _tell_news(self) -> None:
        while True:
            await workflow.wait_condition(self._has_news_to_tell)
            self._is_reading = True
            terms = await self._news()
            self._is_reading = False
            if terms is not None:
                self._letters.post(unposted(terms, self._letters.posted), PATIENCE)

    def _has_news_to_tell(self) -> bool:
        return self._has_news and workflow.patched("news-after-the-end-are-told")

    async def _all_is_told(self) -> None:
        """Each letter has been sent or given up, also of those that came since."""
        if self._is_still_telling():
            await workflow.wait_condition(lambda: not self._is_still_telling())
            await self._letters.arrive()
        self._stop_listening()

    def _is_still_telling(self) -> bool:
        return bool(self._letters.keys_under_way()) or self._is_reading or self._has_news_to_tell()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        self._listening, self._is_reading = None, False

    async def _after_the_end(self, terms: Terms) -> BookingEnding:
        """An earlier run has ended the booking. Nothing brings it back: money that came late goes back."""
        self._is_over = True
        self._pass_on_events()
        owed = ended_by_0_1(terms) if terms.notices is None else terms.notices
        if owed and not workflow.patched("owed-after-the-end-goes-side-by-side"):
            await self._see_to_late_money(terms)
            for notice in owed:
                await self._letters.send(notice.kind, notice)
            return self._ended(terms.status)
        self._letters.post(owed, PATIENCE)
        self._listen()
        await self._see_to_late_money(terms)
        # A mail server that is away keeps the run open, and nobody thinks that money is still owed.
        self._ended(terms.status)
        await self._all_is_told()
        return self._ended(terms.status)

    async def _see_to_late_money(self, terms: Terms) -> None:
        if terms.refund_due or (self._is_paid() and not terms.paid):
            await self._refund(None if terms.paid else "booking_ended")
        await self._see_off(terms.voids)

    # The undo: right at every point, because it goes by what the database and Stripe say was done

    async def _undo(self) -> None:
        self._stop_listening()
        if self._paying is not None:
            self._paying.cancel()
        await self._letters.stop()
        if self._held is None:
            await self._withdraw()
        paid = self._confirmed or await self._void_payment()
        called_off = await self._call_off(paid)
        if called_off.refund_due:
            # What is owed is on record since then; a reason of its own would owe the rest of the price as well.
            await self._refund(None)
        await self._see_off(called_off.voids)
        self._ended(called_off.status or BookingStatus.CANCELLED)
        if paid:
            await self._letters.send(NoticeKind.CANCELLATION)
            await self._letters.send(NoticeKind.REFUND)

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
        self._held = HoldAnswer(refusal=outcome.refusal, reason=outcome.reason)
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
            code = event.failure_code or "unknown"
            decline = RecordDecline(**self._ref(), failure_code=code, event_id=event.event_id)
            await self._step(names.RECORD_DECLINE, decline, "record the declined card")
        return False

    async def _next_event(self, deadline: datetime) -> PaymentEvent | None:
        """The oldest event not yet dealt with; a payment goes before everything else that has come.

        None in the end, and when the customer calls it off. Nothing else can be asked of a booking that is not paid.
        """
        while not self._events:
            if self._is_called_off():
                return None
            if self._asked:
                await self._apply(self._asked.pop(0))
            elif self._has_news_before_payment():
                await self._post_before_payment(deadline)
            elif not await self._something_is_to_do_before(deadline):
                return None
        paid = [event for event in self._events if event.kind == "succeeded"]
        event = (paid or self._events)[0]
        self._events.remove(event)
        return event

    async def _something_is_to_do_before(self, deadline: datetime) -> bool:
        remaining = deadline - workflow.now()
        try:
            await workflow.wait_condition(
                lambda: bool(self._events or self._asked) or self._has_news_before_payment(),
                timeout=remaining,
                timeout_summary="time to pay",
            )
        except TimeoutError:
            return False
        return True

    def _has_news_before_payment(self) -> bool:
        return self._has_news and workflow.patched("news-before-payment-are-told")

    async def _post_before_payment(self, deadline: datetime) -> None:
        """What an operator sends again, or a sweep has found: it is of use as long as the customer may pay."""
        self._had_news_before = True
        terms = await self._news()
        if terms is not None:
            now = workflow.now()
            due = due_notices(terms, self._letters.posted, now)
            self._letters.post(due, max(deadline - now, SHORTEST_PATIENCE))

    def _is_called_off(self) -> bool:
        return any(asked.change.kind is ChangeKind.CANCEL for asked in self._asked)

    def _is_paid(self) -> bool:
        return any(event.kind == "succeeded" and self._concerns(event) for event in self._events)

    def _concerns(self, event: PaymentEvent) -> bool:
        """An event counts for this booking's own PaymentIntent, and for the agreed amount, only."""
        if self._terms is None or event.payment_intent_id != self._intent:
            return False
        return (event.amount, event.currency) == (self._terms.amount, self._terms.currency)

    def _pass_on_events(self) -> None:
        """Once the booking is paid, what comes of another PaymentIntent than its own is about a difference."""
        others = [event for event in self._events if event.payment_intent_id != self._intent]
        for event in others:
            if self._supplements.concern(event):
                self._events.remove(event)
                self._supplements.hear(event)

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
        request, limit = CloseUnpaid(**self._ref(), status=status), self._spans.database_activity
        stands = await local_or_none(names.CLOSE_UNPAID, request, BookingStatus, limit, "release the slot")
        if stands is None or stands is status:
            return self._ended(status)
        # It was called off, and this run has not heard of it: its task was done again, and the caller had gone.
        terms = await self._news()
        return await self._settle(terms) if terms is not None else self._ended(stands)

    async def _confirm(self, terms: Terms) -> Terms | None:
        """None when the slot had gone to somebody else: then the refund is owed from the same transaction on.

        The terms of an end: it was called off before, and this run has not heard of it.
        """
        offsets = self._spans.reminder_offsets
        request = ConfirmBooking(
            **self._ref(),
            new_reservation_id=workflow.uuid4(),
            reminder_offsets=offsets,
            offering=self._spans.offering,
        )
        reminders = plan_reminders(terms.start, offsets, workflow.now()) if terms.start else []
        summary = "create the session and confirm"
        confirmation = await local(names.CONFIRM_BOOKING, request, Confirmation, self._spans.database_activity, summary)
        if confirmation.session_id is None:
            return confirmation.terms
        return confirmation.terms or confirmed_by_0_1(terms, reminders)

    async def _apply(self, asked: _Asked, paid: bool | None = None) -> ChangeOutcome:
        """Decides on the change. Whoever has cancelled is answered when Stripe has been asked for the refund once."""
        change = ApplyChange(**self._ref(), **self._course(), change_id=asked.change.change_id, paid=paid)
        summary = asked.change.kind.replace("_", " ")
        try:
            outcome = await local(names.APPLY_CHANGE, change, ChangeOutcome, self._spans.database_activity, summary)
        except (asyncio.CancelledError, FailureError):
            # An operator stops the run: it is decided on once more, when all is undone.
            self._asked.append(asked)
            raise
        answer = ChangeAnswer(refusal=outcome.refusal, reason=outcome.reason, why=outcome.why)
        terms = outcome.terms
        if terms is not None and not self._is_over and self._waits_for_stripe(terms):
            self._to_answer.append((asked, answer))
        else:
            asked.answer = answer
        return outcome

    def _waits_for_stripe(self, terms: Terms) -> bool:
        """Whoever has asked gets an answer when Stripe has been asked once."""
        return (terms.status.is_end and terms.refund_due) or self._supplements.are_unasked(terms)

    async def _ask_for_difference(self, terms: Terms) -> Terms:
        after = await self._supplements.request(terms)
        self._answer(None if after.supplement is not None else ChangeRefusal.PAYMENT_UNAVAILABLE)
        return after

    def _answer(self, refusal: ChangeRefusal | None = None) -> None:
        for asked, answer in self._to_answer:
            asked.answer = answer if refusal is None else ChangeAnswer(refusal=refusal)
        self._to_answer.clear()

    async def _news(self) -> Terms | None:
        """The booking with the notices that somebody has put on record; what was sent before may be sent again."""
        self._has_news = False
        under_way = self._letters.keys_under_way()
        limit = self._spans.database_activity
        terms = await local_or_none(names.READ_TERMS, self._here(), Terms, limit, "read the booking")
        self._letters.forget_all_but(under_way)
        return terms

    def _pay_back(self, terms: Terms) -> None:
        """Money that is owed while the booking stands goes back beside everything else. Whoever has asked for a change
        is answered when Stripe has been asked once; a later change does not wait for that."""
        if not terms.refund_due:
            return
        if self._paying is None or self._paying.done():
            self._paying = asyncio.create_task(self._pay_difference())
        else:
            self._answer()

    async def _pay_difference(self) -> None:
        await self._refund(None)
        self._has_news = True

    async def _refund(self, reason: str | None) -> None:
        self._show(AWAITING_REFUND, f"Money goes back: {reason or 'the booking has ended'}.")
        request = RefundPayment(**self._ref(), reason=reason)
        limit = self._spans.stripe_activity
        await persistent(
            names.REFUND_PAYMENT, request, type(None), limit, "refund the payment", when_delayed=self._answer
        )
        self._answer()

    def _post(self, notices: Sequence[NoticeDue], terms: Terms) -> None:
        now = workflow.now()
        self._letters.post(notices, max(useful_until(terms, now) - now, SHORTEST_PATIENCE))

    async def _step(self, activity: str, argument: BookingRef, summary: str) -> None:
        await local(activity, argument, type(None), self._spans.database_activity, summary)

    # Small change

    def _ref(self) -> dict[str, Any]:
        return {"booking_id": self._order.booking_id, "now": workflow.now()}

    def _here(self) -> BookingRef:
        return BookingRef(**self._ref())

    def _course(self) -> dict[str, Any]:
        return {
            "reminder_offsets": self._spans.reminder_offsets,
            "waiting_room": self._spans.waiting_room,
            "offering": self._spans.offering,
            "to_pay_difference": self._spans.to_pay_difference or self._spans.hold,
            "hold_grace": self._spans.hold_grace,
        }

    def _take(self, terms: Terms) -> None:
        """The booking is as these terms have it, and operators see it so."""
        before, self._terms = self._terms, terms
        if before is not None and terms.start is not None:
            if before.start != terms.start:
                workflow.upsert_search_attributes([names.SCHEDULED_FOR.value_set(terms.start)])
            # 0.1.0 had no mechanic in its terms; an immediate session has none until one takes it.
            if before.mechanic_id != terms.mechanic_id and (before.mechanic_id or before.start is None):
                workflow.upsert_search_attributes([names.MECHANIC_ID.value_set(str(terms.mechanic_id))])
        self._show(AWAITING_REFUND if terms.refund_due else terms.status, course_of(terms))

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
        self._held = self._held or HoldAnswer(refusal=refusal)
        self._is_over = True
        self._answer()
        await workflow.wait_condition(workflow.all_handlers_finished)


def _summary(coming: NoticeDue) -> str:
    """What a timer is for, as an operator reads it."""
    if coming.offset is None:
        return coming.kind.replace("_", " ")
    return f"{coming.kind} {readable(coming.offset)} before the session"
