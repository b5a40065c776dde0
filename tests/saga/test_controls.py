"""Controls: a guard of the saga is taken away, and what it guards against is seen to happen."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

import worker
from pitstop.contracts import names
from pitstop.contracts.booking import Withdrawal
from pitstop.devstack.stackfile import Stack
from pitstop.domain.saga import IntentState
from tests.support.people import Customer, events
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock


class _Instead(Interceptor):
    """Activities that are not run: their answer is given at once."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        answers = self._answers

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                name = activity.info().activity_type
                return answers[name] if name in answers else await super().execute_activity(input)

        return Inbound(next)


@pytest.fixture
async def without(
    request: pytest.FixtureRequest, stack: Stack, temporal: Client, customer: Customer
) -> AsyncIterator[None]:
    """The customer's bookings run on a worker that does without the activities of the parameter."""
    changed = settings(stack, task_queue=f"without-{uuid4()}")
    async with worker.at_work(temporal, changed, [_Instead(request.param)]), serving(changed) as url:
        customer.api_url = url
        yield


@pytest.mark.parametrize("without", [{names.CANCEL_PAYMENT: IntentState.CANCELED}], indirect=True)
@pytest.mark.usefixtures("without")
async def test_unless_stripe_is_asked_first_a_paid_booking_expires(
    customer: Customer, shop: Shop, clock: Clock, stripe: StripeControl
) -> None:
    """With the guard, the same customer is confirmed: test_lost_webhook_is_found_out_when_the_hold_ends."""
    await stripe.webhooks("drop", times=None)
    booking = await customer.book(shop, shop.start())
    assert (await customer.pay(booking)).json()["status"] == "succeeded"
    await clock.forward(booking, timedelta(minutes=16))
    lost = await customer.sees(booking, "expired")
    assert lost["amount_refunded"] == 0


@pytest.mark.parametrize("without", [{names.WITHDRAW_BOOKING: Withdrawal(gone=True)}], indirect=True)
@pytest.mark.usefixtures("without")
async def test_unless_a_refused_booking_is_withdrawn_it_blocks_the_slot(
    customer: Customer, rival: Customer, shop: Shop, stripe: StripeControl
) -> None:
    """With the guard, nothing is left behind: test_stripe_away_while_booking."""
    await stripe.fault("create", "error_500", times=3)
    assert (await customer.post(customer.request(shop, shop.start()))).status_code == 503
    assert (await rival.post(rival.request(shop, shop.start()))).status_code == 409


@pytest.mark.parametrize("without", [{names.CLOSE_UNPAID: None}], indirect=True)
@pytest.mark.usefixtures("without")
async def test_unless_an_unpaid_booking_is_closed_only_the_lapse_frees_its_slot(
    customer: Customer, rival: Customer, shop: Shop, clock: Clock, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """With the guard, the slot is free when the time to pay is over: test_not_paid_in_time."""
    booking = await customer.book(shop, shop.start())
    await clock.forward(booking, timedelta(minutes=16))
    assert (await rival.post(rival.request(shop, shop.start()))).status_code == 409
    await database.execute("UPDATE slot_reservations SET expires_at = now() WHERE booking_id = $1", booking["id"])
    await rival.book(shop, shop.start())
    assert "expired" not in events(await customer.read(booking))
