"""Faults on request."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe

from tests.stripe_server.conftest import Server
from tests.stripe_server.test_payments import create
from tests.stripe_server.test_refunds import paid

Mark = dict[str, str]


async def ask(http: httpx.AsyncClient, **fault: Any) -> str:
    answer = (await http.post("/_control/faults", json=fault)).raise_for_status()
    return str(answer.json()["id"])


async def test_error_after_leaves_the_effect_and_its_answer(
    client: stripe.StripeClient, http: httpx.AsyncClient, mark: Mark
) -> None:
    intent = await paid(client, mark)
    await ask(http, match="refund", kind="error_after", payment_intent=intent.id)
    refund: Any = {"payment_intent": intent.id}, {"idempotency_key": f"refund/{uuid4()}"}
    with pytest.raises(stripe.APIError) as broken:
        await client.v1.refunds.create_async(*refund)
    assert broken.value.http_status == 500
    made = (await client.v1.refunds.list_async({"payment_intent": intent.id})).data
    assert len(made) == 1
    assert (await client.v1.refunds.create_async(*refund)).id == made[0].id


@pytest.mark.parametrize(("kind", "status"), [("error_500", 500), ("error_429", 429)])
async def test_errors_before_acting_strike_so_often_and_leave_nothing(
    client: stripe.StripeClient, http: httpx.AsyncClient, mark: Mark, kind: str, status: int
) -> None:
    intent, other = await create(client, mark), await create(client, {"booking_id": "another"})
    await ask(http, match="cancel", kind=kind, times=2, metadata=mark)
    options: Any = {"idempotency_key": f"cancel/{uuid4()}"}
    for _ in range(2):
        with pytest.raises(stripe.StripeError) as broken:
            await client.v1.payment_intents.cancel_async(intent.id, {}, options)
        assert broken.value.http_status == status
    assert (await client.v1.payment_intents.retrieve_async(intent.id)).status == "requires_payment_method"
    assert (await client.v1.payment_intents.cancel_async(other.id)).status == "canceled"
    assert (await client.v1.payment_intents.cancel_async(intent.id, {}, options)).status == "canceled"


async def test_timeout_after_acts_and_keeps_the_client_waiting(
    client: stripe.StripeClient, http: httpx.AsyncClient, mark: Mark, server: Server
) -> None:
    intent = await create(client, mark)
    await ask(http, match="confirm", kind="timeout_after", seconds=20, metadata=mark)
    confirmation: Any = {"payment_method": "pm_card_visa"}, {"idempotency_key": f"confirm/{uuid4()}"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await client.v1.payment_intents.confirm_async(intent.id, *confirmation)
    assert (await client.v1.payment_intents.retrieve_async(intent.id)).status == "succeeded"
    assert (await client.v1.payment_intents.confirm_async(intent.id, *confirmation)).status == "succeeded"
    assert len((await client.v1.charges.list_async({"payment_intent": intent.id})).data) == 1


async def test_faults_are_listed_and_removed(client: stripe.StripeClient, http: httpx.AsyncClient, mark: Mark) -> None:
    fault = await ask(http, match="any", kind="error_500", times=None, metadata=mark)
    for _ in range(3):
        with pytest.raises(stripe.APIError):
            await create(client, mark)
    assert fault in [rule["id"] for rule in (await http.get("/_control/faults")).json()]
    assert (await http.delete(f"/_control/faults/{fault}")).json() == {"removed": 1}
    assert (await http.delete(f"/_control/faults/{fault}")).status_code == 404
    assert (await create(client, mark)).status == "requires_payment_method"
