"""Our own client gives money back once: however late it is asked again, and whatever was given back by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from pitstop.domain.saga import OwedRefund
from pitstop.gateways.stripe_payments import StripePayments
from tests.stripe_server.test_refunds import Mark, paid

# Longer than Stripe keeps an idempotency key.
LONG_AGO = timedelta(days=2)


def owed(intent: stripe.PaymentIntent, cause: str, amount: int, since: timedelta = timedelta(0)) -> OwedRefund:
    return OwedRefund(f"refund/{intent.id}/{cause}", intent.id, amount, "price_difference", datetime.now(UTC) - since)


async def _forgotten(client: stripe.StripeClient, debt: OwedRefund) -> str:
    """A refund whose answer was lost, and whose idempotency key Stripe does not know any more."""
    given: Any = {
        "payment_intent": debt.payment_intent_id,
        "amount": debt.amount,
        "metadata": {"refund_key": debt.idempotency_key},
    }
    return (await client.v1.refunds.create_async(given)).id


async def _returned(client: stripe.StripeClient, intent: stripe.PaymentIntent) -> int:
    return (await client.v1.charges.retrieve_async(str(intent.latest_charge))).amount_refunded


@pytest.mark.parametrize("since", [LONG_AGO, timedelta(0)])
async def test_an_answer_lost_for_days_costs_nothing(client: stripe.StripeClient, mark: Mark, since: timedelta) -> None:
    """The control: a debt of just now is not looked up, because its key stands for it; this one has lost that."""
    intent = await paid(client, mark)
    debt = owed(intent, "less", 1500, since)
    first = await _forgotten(client, debt)
    again = await StripePayments(client).refund(debt)
    assert (again == first, await _returned(client, intent)) == ((True, 1500) if since else (False, 3000))


@pytest.mark.parametrize("since", [LONG_AGO, timedelta(0)])
async def test_a_refund_of_an_earlier_release_is_found(
    client: stripe.StripeClient, mark: Mark, since: timedelta
) -> None:
    """It has used the same key, for a refund that does not bear it: another request, to Stripe."""
    intent = await paid(client, mark)
    debt = owed(intent, "less", 1500, since)
    given: Any = {"payment_intent": intent.id, "amount": 1500, "metadata": {"reason": debt.reason}}
    first = await client.v1.refunds.create_async(given, {"idempotency_key": debt.idempotency_key})
    assert await StripePayments(client).refund(debt) == first.id
    other = replace(debt, idempotency_key=f"refund/{intent.id}/other", amount=500)
    assert await StripePayments(client).refund(other) != first.id
    assert await _returned(client, intent) == 2000


async def test_an_old_debt_is_paid_once_for_each_cause(client: stripe.StripeClient, mark: Mark) -> None:
    intent, payments = await paid(client, mark), StripePayments(client)
    debts = [owed(intent, cause, 1500, LONG_AGO) for cause in ("one", "another")]
    made = [await payments.refund(debt) for debt in (*debts, *debts)]
    assert (made[:2] == made[2:], len(set(made))) == (True, 2)
    assert await _returned(client, intent) == 3000


@pytest.mark.parametrize("since", [LONG_AGO, timedelta(0)])
async def test_what_somebody_gave_back_by_hand_settles_what_is_owed(
    client: stripe.StripeClient, mark: Mark, since: timedelta
) -> None:
    """All of the payment has gone back: some by us, for another cause, and the rest in Stripe's dashboard."""
    intent, payments = await paid(client, mark), StripePayments(client)
    ours = await payments.refund(owed(intent, "less", 1500))
    by_hand = (await client.v1.refunds.create_async({"payment_intent": intent.id})).id
    made = await payments.refund(owed(intent, "full", 3000, since))
    assert made == by_hand != ours
    assert await _returned(client, intent) == 4500
