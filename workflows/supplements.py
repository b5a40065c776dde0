"""What a dearer plan costs more, as a booking's run sees to it: asked for, heard of, voided beside everything else."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pitstop.contracts import names
    from pitstop.contracts.booking import (
        PaymentRequested,
        RecordDecline,
        SettleSupplement,
        Spans,
        SupplementRef,
        VoidSupplement,
    )
    from pitstop.domain.saga import IntentState, PaymentEvent, Terms
    from workflows.policies import local, local_or_none, local_while_customer_waits, persistent


@dataclass(frozen=True, slots=True)
class _Heard:
    """News of a PaymentIntent, from an event of Stripe's, or (without one) from Stripe when it was asked to void it."""

    intent: str
    kind: str
    event: PaymentEvent | None = None


class Supplements:
    """Those of one booking. What is heard waits here until the run puts it on record: one thing after another."""

    def __init__(self, booking_id: UUID, spans: Spans) -> None:
        self._booking_id = booking_id
        self._spans = spans
        self._known: set[str] = set()
        self._heard: list[_Heard] = []
        self._voiding: dict[str, asyncio.Task[None]] = {}

    @property
    def has_news(self) -> bool:
        return bool(self._heard)

    def concern(self, event: PaymentEvent) -> bool:
        """Of a PaymentIntent that is not the booking's own. One that this run has not heard of may be on record: a task
        of the run was done again, and whoever had asked was gone. A run of an earlier release waits until it has."""
        return event.payment_intent_id in self._known or self._spans.to_pay_difference is not None

    def hear(self, event: PaymentEvent) -> None:
        self._heard.append(_Heard(event.payment_intent_id, event.kind, event))

    def are_unasked(self, terms: Terms) -> bool:
        """Whether Stripe has still to be asked for a PaymentIntent."""
        return terms.supplement is not None and terms.supplement.payment_intent_id is None

    def look_after(self, terms: Terms) -> None:
        """What nobody is to pay any more is voided beside everything else, until Stripe can be asked."""
        if terms.supplement is not None and terms.supplement.payment_intent_id is not None:
            self._known.add(terms.supplement.payment_intent_id)
        self._void(terms.voids)

    def on_the_clock(self, terms: Terms) -> Terms:
        """The terms without one that is being voided: its time is over."""
        due = terms.supplement
        return (
            terms.model_copy(update={"supplement": None}) if due and due.payment_intent_id in self._voiding else terms
        )

    def end(self, terms: Terms) -> None:
        """The time to pay is over. Before anything is let go Stripe is asked: a webhook that was lost costs nothing."""
        if terms.supplement is not None and terms.supplement.payment_intent_id is not None:
            self._void([terms.supplement.payment_intent_id])

    async def request(self, terms: Terms) -> Terms:
        """Asks Stripe while the customer waits. What was to be paid before is voided first.

        The terms after that: without a supplement when Stripe cannot be had.
        """
        assert terms.supplement is not None  # noqa: S101 - the run has looked
        request = SupplementRef(booking_id=self._booking_id, now=workflow.now(), supplement_id=terms.supplement.id)
        requested = await self._requested(request, terms.voids)
        if requested is None:
            limit = self._spans.database_activity
            after = await local_or_none(names.WITHDRAW_SUPPLEMENT, request, Terms, limit, "give the new slot back")
            return after or terms.model_copy(update={"supplement": None})
        due = terms.supplement.model_copy(update={"payment_intent_id": requested.payment_intent_id})
        return terms.model_copy(update={"supplement": due})

    async def _requested(self, request: SupplementRef, voids: Iterable[str]) -> PaymentRequested | None:
        try:
            for intent in voids:
                if intent not in self._voiding:
                    await self._void_at_once(intent)
            return await local_while_customer_waits(
                names.REQUEST_SUPPLEMENT,
                request,
                cast("type[PaymentRequested | None]", PaymentRequested | None),
                self._spans.intent_patience,
                "create the PaymentIntent of the difference",
            )
        except FailureError as failure:
            if is_cancelled_exception(failure):
                raise
            return None

    async def _void_at_once(self, intent: str) -> None:
        summary = "void the PaymentIntent of the difference"
        patience = self._spans.intent_patience
        state = await local_while_customer_waits(
            names.VOID_SUPPLEMENT, self._to_void(intent), IntentState, patience, summary
        )
        self._heard.append(_Heard(intent, state))

    def _void(self, intents: Iterable[str]) -> None:
        self._forget_the_stopped()
        known = {each.intent for each in self._heard} | self._voiding.keys()
        for intent in intents:
            if intent not in known:
                self._voiding[intent] = asyncio.create_task(self._until_voided(intent))

    def _forget_the_stopped(self) -> None:
        """An operator who cancels the run stops the voidings that `see_off` waits for: they are still to be done."""
        stopped = [intent for intent, voiding in self._voiding.items() if _is_stopped(voiding)]
        if stopped and workflow.patched("stopped-voiding-is-done-again"):
            for intent in stopped:
                del self._voiding[intent]

    async def _until_voided(self, intent: str) -> None:
        summary = "void the PaymentIntent of the difference"
        limit = self._spans.stripe_activity
        state = await persistent(names.VOID_SUPPLEMENT, self._to_void(intent), IntentState, limit, summary)
        self._heard.append(_Heard(intent, state))

    def _to_void(self, intent: str) -> VoidSupplement:
        return VoidSupplement(booking_id=self._booking_id, now=workflow.now(), payment_intent_id=intent)

    async def settle(self, course: dict[str, Any]) -> Terms | None:
        """Puts on record what was heard first; a payment goes before everything else."""
        heard = next((each for each in self._heard if each.kind == "succeeded"), self._heard[0])
        self._heard.remove(heard)
        self._voiding = {intent: task for intent, task in self._voiding.items() if not task.done()}
        if heard.kind == "failed":
            await self._record_decline(heard)
            return None
        told = SettleSupplement(
            booking_id=self._booking_id,
            now=workflow.now(),
            payment_intent_id=heard.intent,
            paid=heard.kind == "succeeded",
            amount=heard.event.amount if heard.event else None,
            currency=heard.event.currency if heard.event else None,
            **course,
        )
        limit = self._spans.database_activity
        return await local_or_none(names.SETTLE_SUPPLEMENT, told, Terms, limit, "settle the difference")

    async def _record_decline(self, heard: _Heard) -> None:
        """A declined card leaves the customer the rest of the time."""
        decline = RecordDecline(
            booking_id=self._booking_id,
            now=workflow.now(),
            failure_code=(heard.event.failure_code if heard.event else None) or "unknown",
            payment_intent_id=heard.intent,
            event_id=heard.event.event_id if heard.event else None,
        )
        limit = self._spans.database_activity
        await local(names.RECORD_DECLINE, decline, type(None), limit, "record the declined card")

    async def see_off(self, voids: Iterable[str], course: dict[str, Any]) -> Terms | None:
        """For the end of the booking: afterwards nobody can pay any more, and what came in is owed back."""
        terms = None
        self._void(voids)
        await asyncio.gather(*self._voiding.values())
        while self._heard:
            terms = await self.settle(course) or terms
        return terms


def _is_stopped(voiding: asyncio.Task[None]) -> bool:
    """The failure of an activity that was cancelled is not always an `asyncio.CancelledError`."""
    return voiding.done() and (voiding.cancelled() or voiding.exception() is not None)
