"""Refunds never exceed what was captured."""

import asyncio
from typing import Any

import pytest
import stripe

from tests.stripe_server.conftest import Receiver
from tests.stripe_server.test_payments import create

Mark = dict[str, str]


async def paid(client: stripe.StripeClient, mark: Mark) -> stripe.PaymentIntent:
    return await create(client, mark, confirm=True, payment_method="pm_card_visa")


async def test_partial_refunds_up_to_the_captured_amount(
    client: stripe.StripeClient, mark: Mark, inbox: Receiver
) -> None:
    intent = await paid(client, mark)
    part: Any = {
        "payment_intent": intent.id,
        "amount": 1500,
        "reason": "requested_by_customer",
        "metadata": {"why": "x"},
    }
    refund = await client.v1.refunds.create_async(part)
    assert (refund.status, refund.amount, refund.charge) == ("succeeded", 1500, intent.latest_charge)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 3001})
    assert (refused.value.http_status, refused.value.param, refused.value.code) == (400, "amount", None)
    rest = await client.v1.refunds.create_async({"charge": str(intent.latest_charge)})
    assert rest.amount == 3000
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.refunds.create_async({"payment_intent": intent.id})
    assert refused.value.code == "charge_already_refunded"
    charge = await client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (4500, True)
    listed = await client.v1.refunds.list_async({"payment_intent": intent.id})
    assert [item.id for item in listed.data] == [rest.id, refund.id]
    assert (await client.v1.refunds.retrieve_async(refund.id)).amount == 1500
    await inbox.until(lambda types: types.count("charge.refunded") == types.count("refund.created") == 2)


async def test_only_a_paid_payment_can_be_refunded(client: stripe.StripeClient, mark: Mark) -> None:
    unpaid = await create(client, mark)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.refunds.create_async({"payment_intent": unpaid.id})
    assert refused.value.http_status == 400
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await client.v1.refunds.create_async({"payment_intent": "pi_none"})
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")


async def test_of_many_full_refunds_at_once_one_succeeds(client: stripe.StripeClient, mark: Mark) -> None:
    intent = await paid(client, mark)
    calls = [client.v1.refunds.create_async({"payment_intent": intent.id}) for _ in range(8)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, stripe.InvalidRequestError)]
    assert [error.code for error in refused] == ["charge_already_refunded"] * 7
