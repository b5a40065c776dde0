"""A hold that ends cancels its payment at Stripe, whose event about that must not meet the run in its last moment."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from temporalio.client import Client

import worker
from pitstop.devstack.stackfile import Stack
from pitstop.gateways import stripe_payments
from pitstop.postgres.saga import PostgresSaga
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

# Long enough for Stripe's event to come while the booking is being closed; all within one workflow task.
_SLOWLY_SECONDS, _TASK_SECONDS = 3, 20


@pytest.fixture
async def slowly_closed(
    stack: Stack, temporal: Client, customer: Customer, stripe: StripeControl, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """The customer's bookings are closed slowly, on API and worker of the test's own."""
    close = PostgresSaga.close_unpaid

    async def slowly(self: PostgresSaga, *arguments: Any) -> None:
        await asyncio.sleep(_SLOWLY_SECONDS)
        await close(self, *arguments)

    monkeypatch.setattr(PostgresSaga, "close_unpaid", slowly)
    own = settings(stack, task_queue=f"awaited-{uuid4()}", workflow_task_seconds=_TASK_SECONDS)
    async with worker.at_work(temporal, own), serving(own) as url:
        await stripe.endpoint(f"{url}/webhooks/stripe", stack.stripe_webhook_secret)
        customer.api_url = url
        yield


async def _ends_unpaid(customer: Customer, shop: Shop, clock: Clock) -> tuple[dict[str, Any], Counter[str]]:
    """A booking that nobody has paid, and how often each kind of event is in its run's history."""
    booking = await customer.book(shop, shop.start())
    await clock.forward(booking, timedelta(minutes=16))
    assert (await clock.workflow(booking).result())["status"] == "expired"
    history = await clock.workflow(booking).fetch_history()
    return booking, Counter(str(event.WhichOneof("attributes")) for event in history.events)


async def _cancelled_at_stripe(stripe: StripeControl, booking: dict[str, Any]) -> int:
    return len(await stripe.calls("/cancel", booking["payment"]["payment_intent_id"]))


@pytest.mark.usefixtures("slowly_closed")
async def test_the_last_steps_are_done_once(
    customer: Customer, shop: Shop, clock: Clock, stripe: StripeControl, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    booking, history = await _ends_unpaid(customer, shop, clock)
    assert history["workflow_execution_signaled_event_attributes"] == 0
    assert history["workflow_task_failed_event_attributes"] == 0
    assert await _cancelled_at_stripe(stripe, booking) == 1
    [event] = await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.canceled")
    outcome = "SELECT outcome FROM webhook_inbox WHERE event_id = $1"
    assert await database.fetchval(outcome, event["id"]) == "ignored", "stored, and of no concern to the booking"


@pytest.mark.usefixtures("slowly_closed")
async def test_control_news_that_meet_the_end_have_it_done_again(
    customer: Customer, shop: Shop, clock: Clock, stripe: StripeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the mark the event is signalled, the run may not end over it, and Stripe is asked a second time."""
    monkeypatch.setattr(stripe_payments, "AWAITED_CANCELLATION", "requested_by_customer")
    booking, history = await _ends_unpaid(customer, shop, clock)
    assert history["workflow_execution_signaled_event_attributes"] == 1
    assert history["workflow_task_failed_event_attributes"] == 1
    assert await _cancelled_at_stripe(stripe, booking) == 2


async def test_a_payment_that_is_cancelled_at_stripe_ends_the_booking(
    customer: Customer, shop: Shop, stack: Stack
) -> None:
    """By hand, or by Stripe itself: that is news, and the slot is free at once."""
    booking = await customer.book(shop, shop.start())
    intent = booking["payment"]["payment_intent_id"]
    headers = {"Authorization": f"Bearer {stack.stripe_secret_key}"}
    answer = await customer.http.post(f"{stack.stripe_api_url}/v1/payment_intents/{intent}/cancel", headers=headers)
    assert answer.status_code == 200, answer.text
    await customer.sees(booking, "expired")
