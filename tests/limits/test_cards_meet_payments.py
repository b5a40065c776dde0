"""The last declined card stops a payment in the moment in which another card pays: the first one at Stripe has it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

import worker
from activities import booking as steps
from pitstop.devstack.stackfile import Stack
from pitstop.domain.saga import IntentState
from pitstop.gateways.stripe_payments import StripePayments
from tests.limits.conftest import Changed
from tests.support.people import DECLINED_CARD, Customer, events
from tests.support.processes import serving
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

_LONG_SECONDS = 25


@dataclass
class Stop:
    """The call that stops a payment, and what Stripe has answered. `begun`: it is about to be made."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    answers: list[IntentState] = field(default_factory=list)


@pytest.fixture
async def stop(
    stack: Stack,
    temporal: Client,
    customer: Customer,
    stripe: StripeControl,
    changed: Changed,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stop]:
    """On API and worker of the test's own the second declined card stops a payment, as soon as the test lets it."""
    stop, cancel = Stop(), StripePayments.cancel_intent

    async def gated(self: StripePayments, intent: str, *, awaited: bool) -> IntentState:
        if awaited:
            return await cancel(self, intent, awaited=awaited)
        stop.begun.set()
        await stop.may_go_on.wait()
        stop.answers.append(await cancel(self, intent, awaited=awaited))
        return stop.answers[-1]

    monkeypatch.setattr(StripePayments, "cancel_intent", gated)
    monkeypatch.setattr(steps, "_PATIENCE_TO_STOP_SECONDS", _LONG_SECONDS)
    own = changed(task_queue=f"cards-{uuid4()}", declines_per_booking=2, database_activity_seconds=_LONG_SECONDS)
    async with worker.at_work(temporal, own), serving(own) as url:
        await stripe.endpoint(f"{url}/webhooks/stripe", stack.stripe_webhook_secret)
        customer.api_url = url
        yield stop


async def _declined_twice(customer: Customer, shop: Shop, stop: Stop) -> dict[str, Any]:
    """The second decline is about to stop the payment."""
    booking = await customer.book(shop, shop.start())
    for _ in range(2):
        assert (await customer.pay(booking, DECLINED_CARD)).status_code == 402
    await asyncio.wait_for(stop.begun.wait(), _LONG_SECONDS)
    return booking


@pytest.mark.parametrize("told", [True, False])
async def test_the_payment_was_faster(
    customer: Customer, shop: Shop, stripe: StripeControl, clock: Clock, stop: Stop, told: bool
) -> None:
    """It counts, whether or not Stripe's event about it ever comes."""
    if not told:
        await stripe.webhooks("drop", event_type="payment_intent.succeeded", times=None)
    booking = await _declined_twice(customer, shop, stop)
    assert (await customer.pay(booking)).status_code == 200
    stop.may_go_on.set()
    if not told:
        await customer.waits_for(booking, lambda read: events(read).count("payment_declined") == 2, "both declines")
        await clock.forward(booking, timedelta(minutes=16))
    confirmed = await customer.sees(booking, "confirmed", "mail_sent")
    assert confirmed["payment"]["status"] == "succeeded"
    assert stop.answers == [IntentState.SUCCEEDED]
    assert await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.canceled") == []


async def test_the_stop_was_faster(
    customer: Customer, rival: Customer, shop: Shop, stripe: StripeControl, stop: Stop
) -> None:
    """Nobody is charged, and the slot is free."""
    booking = await _declined_twice(customer, shop, stop)
    stop.may_go_on.set()
    await customer.sees(booking, "payment_failed")
    assert (await customer.pay(booking)).status_code == 400
    assert stop.answers == [IntentState.CANCELED]
    assert await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.succeeded") == []
    rival.api_url = customer.api_url
    await rival.book(shop, shop.start())


async def test_the_stop_has_no_answer(
    customer: Customer, shop: Shop, stripe: StripeControl, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe has cancelled, and nobody heard it: its event ends the booking."""
    monkeypatch.setattr(steps, "_PATIENCE_TO_STOP_SECONDS", 1)
    booking = await customer.book(shop, shop.start())
    await stripe.fault("cancel", "timeout_after", seconds=8)
    stop.may_go_on.set()
    for _ in range(2):
        assert (await customer.pay(booking, DECLINED_CARD)).status_code == 402
    await customer.sees(booking, "payment_failed")
    assert (await customer.pay(booking)).status_code == 400
    assert stop.answers == []
