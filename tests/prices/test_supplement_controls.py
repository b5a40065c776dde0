"""Controls: a guard of the supplements is taken away, and what it guards against is seen to happen."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

import worker
from pitstop.contracts import names
from pitstop.devstack.stackfile import Stack
from pitstop.domain.saga import IntentState
from pitstop.postgres import steps
from tests.life.meeting import Books
from tests.prices.conftest import MORE, ToPay, due
from tests.prices.test_supplements import supplement_is
from tests.saga.test_controls import _Instead
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture
async def without(
    request: pytest.FixtureRequest, stack: Stack, temporal: Client, customer: Customer
) -> AsyncIterator[None]:
    """The customer's bookings run on a worker that does without the activities of the parameter."""
    changed = settings(stack, task_queue=f"without-{uuid4()}", intent_patience_seconds=60)
    instead = [_Instead(getattr(request, "param", {}))]
    async with worker.at_work(temporal, changed, instead), serving(changed) as url:
        customer.api_url = url
        yield


@pytest.mark.parametrize("without", [{names.VOID_SUPPLEMENT: IntentState.CANCELED}], indirect=True)
@pytest.mark.usefixtures("without")
async def test_unless_stripe_is_asked_first_what_was_paid_lapses(
    customer: Customer, shop: Shop, to_pay: ToPay, clock: Clock, stripe: StripeControl, books: Books
) -> None:
    """With the guard, the booking moves: test_the_lapse_meets_the_payment."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    await stripe.webhooks("drop", times=None)
    assert (await customer.pay(due(asked))).status_code == 200
    await clock.forward(asked, 16 * MINUTE)
    lapsed = await customer.waits_for(asked, supplement_is("lapsed"), "the lapse")
    assert (lapsed["moves"], lapsed["amount_refunded"]) == (0, 0)
    with pytest.raises(AssertionError, match="payment_stale"):
        await books.agree(asked)


@pytest.mark.parametrize("without", [{names.VOID_SUPPLEMENT: IntentState.CANCELED}], indirect=True)
@pytest.mark.usefixtures("without")
async def test_unless_it_is_voided_it_can_be_paid_after_the_cancellation(
    customer: Customer, shop: Shop, to_pay: ToPay, clock: Clock
) -> None:
    """With the guard, nobody can pay any more: test_cancelled_while_it_may_be_paid."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    assert (await customer.ask(asked, "cancel")).status_code == 200
    await clock.workflow(asked).result()
    assert (await customer.pay(due(asked))).status_code == 200


@pytest.mark.usefixtures("without")
async def test_unless_other_changes_close_it_a_moved_booking_moves_again(
    customer: Customer,
    operator: Customer,
    shop: Shop,
    to_pay: ToPay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the guard, what was to be paid is closed by the move: test_what_else_is_done_with_it_closes_it."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)

    async def leave_open(*_: Any) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(steps, "close_supplement", leave_open)
        operator.api_url = customer.api_url
        answer = await operator.ask(asked, "reschedule", start=(start + 2 * DAY).isoformat())
        assert (answer.status_code, answer.json()["supplement"]["status"]) == (200, "open"), answer.text
    await customer.pay(due(asked))
    moved = await customer.waits_for(asked, lambda read: read["moves"] == 2, "a second move")
    assert moved["amount"] == shop.amount + MORE


@pytest.mark.parametrize("without", [{names.SETTLE_SUPPLEMENT: None}], indirect=True)
@pytest.mark.usefixtures("without")
async def test_unless_it_is_settled_the_money_is_astray(
    customer: Customer, shop: Shop, to_pay: ToPay, stripe: StripeControl
) -> None:
    """With the guard, what is paid moves the booking: test_paid_and_moved."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    assert (await customer.pay(due(asked))).status_code == 200
    assert await stripe.events(asked["supplement"]["payment_intent_id"], "payment_intent.succeeded")
    read = await customer.read(asked)
    assert (read["moves"], read["supplement"]["status"], read["amount_refunded"]) == (0, "open", 0)
