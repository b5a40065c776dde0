"""What has come free is offered to the first in line: a booking is opened for it, and its workflow holds the slot."""

import asyncio
import logging
from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from pitstop.contracts import names
from pitstop.contracts.waitlist import OfferStep, WaitlistOrder
from pitstop.domain.saga import HoldRefusal
from pitstop.ports import BookingEngine, EngineUnavailable, WaitlistBell, WaitlistStore

_log = logging.getLogger("pitstop.waitlist")
# Somebody may always be quicker than an offer. Who was beaten to it so often in one go waits for the next time.
_REFUSALS = 3
# Steps that may let time of a mechanic's go.
_LETTING_GO = frozenset(
    {
        *(names.CLOSE_UNPAID, names.CALL_OFF, names.APPLY_CHANGE, names.WITHDRAW_BOOKING, names.REFUND_PAYMENT),
        *(names.SETTLE_SUPPLEMENT, names.WITHDRAW_SUPPLEMENT),
    }
)


class WaitlistActivities:
    """Finding an offer and holding its slot are two steps: whoever is stopped in between, the next one goes on."""

    def __init__(self, store: WaitlistStore, engine: BookingEngine) -> None:
        self._store = store
        self._engine = engine

    @activity.defn(name=names.OFFER_FREED_SLOTS)
    async def offer(self, step: OfferStep) -> int:
        """Goes on until nobody has a use for what is free. Raises while engine or payment provider are away."""
        order, refusals, made = step.order, Counter[UUID](), 0
        await self._store.look(order.lasts, step.now, order.looks, only_due=True)
        while True:
            refused = [entry for entry, count in refusals.items() if count >= _REFUSALS]
            offer = await self._store.next_offer(refused, order.lasts, step.now)
            if offer is None:
                return made
            outcome = await self._engine.hold(offer.standing, offer.summary, order.lasts)
            if outcome.refusal is None:
                made += 1
                continue
            await self._store.withdraw(offer.standing.booking_id)
            if outcome.refusal is HoldRefusal.PAYMENT_UNAVAILABLE:
                raise ApplicationError("the payment provider cannot be had", type="PaymentsUnavailable")
            refusals[offer.entry_id] += 1


class WaitlistRounds:
    """The backstop: what nobody has told of, because it was down, or because only time has passed."""

    def __init__(self, store: WaitlistStore, bell: WaitlistBell, order: WaitlistOrder) -> None:
        self._store = store
        self._bell = bell
        self._order = order

    async def go(self, now: datetime) -> None:
        await self._store.lapse(now)
        await self._store.look(self._order.lasts, now, self._order.looks, only_due=False)
        if not await self._store.owes_something():
            return
        try:
            await self._bell.wake_waitlist()
        except EngineUnavailable:
            _log.warning("the waitlist was not told: the engine cannot be reached")


class AfterLettingGo(Interceptor):
    """Wakes the waitlist after each step that has let time go, if anybody waits for it.

    Beside the step, which neither waits for that nor fails with it: the sweep comes by anyway.
    """

    def __init__(self, store: WaitlistStore, bell: WaitlistBell) -> None:
        self._store = store
        self._bell = bell
        self._ringing: set[asyncio.Task[None]] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Ringing(next, self)

    def ring(self) -> None:
        ringing = asyncio.create_task(self._ring())
        self._ringing.add(ringing)
        ringing.add_done_callback(self._ringing.discard)

    async def _ring(self) -> None:
        try:
            if await self._store.owes_something():
                await self._bell.wake_waitlist()
        except Exception as error:  # whatever it was, the step is done
            _log.warning("the waitlist was not told; the sweep will come by: %r", error)


class _Ringing(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, bell: AfterLettingGo) -> None:
        super().__init__(next)
        self._bell = bell

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        done = await super().execute_activity(input)
        if activity.info().activity_type in _LETTING_GO:
            self._bell.ring()
        return done
