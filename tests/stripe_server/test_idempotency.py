"""Idempotency keys, as the page "Idempotent requests" of Stripe's API reference has them."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe

from tests.stripe_server.conftest import SECRET_KEY
from tests.stripe_server.test_payments import create

Mark = dict[str, str]
AUTHORISED = {"Authorization": f"Bearer {SECRET_KEY}"}


async def post(http: httpx.AsyncClient, key: str, mark: Mark, amount: int = 900) -> httpx.Response:
    form = {"amount": str(amount), "currency": "eur", "metadata[booking_id]": mark["booking_id"]}
    return await http.post("/v1/payment_intents", data=form, headers=AUTHORISED | {"Idempotency-Key": key})


async def calls(http: httpx.AsyncClient, mark: Mark) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await http.get("/_control/calls")).json()
    return [call for call in listed if call["params"].get("metadata") == mark]


async def test_the_same_key_brings_the_first_answer_back(http: httpx.AsyncClient, mark: Mark) -> None:
    key = str(uuid4())
    first, second = await post(http, key, mark), await post(http, key, mark)
    assert first.json() == second.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["original-request"] == first.headers["request-id"] != second.headers["request-id"]
    assert [call["replayed"] for call in await calls(http, mark)] == [False, True]


async def test_a_refusal_is_brought_back_too(client: stripe.StripeClient, mark: Mark) -> None:
    intent = await create(client, mark)
    confirmation: Any = {"payment_method": "pm_card_visa_chargeDeclined"}, {"idempotency_key": str(uuid4())}
    charges = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as refused:
            await client.v1.payment_intents.confirm_async(intent.id, *confirmation)
        assert refused.value.error is not None
        charges.append(refused.value.error.charge)
    assert charges[0] == charges[1]
    assert len((await client.v1.charges.list_async({"payment_intent": intent.id})).data) == 1


async def test_the_same_key_with_other_parameters_is_refused(http: httpx.AsyncClient, mark: Mark) -> None:
    key = str(uuid4())
    await post(http, key, mark)
    other = await post(http, key, mark, amount=901)
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")


async def test_a_malformed_call_does_not_use_its_key_up(http: httpx.AsyncClient, mark: Mark) -> None:
    key = str(uuid4())
    assert (await post(http, key, mark, amount=-1)).status_code == 400
    assert (await post(http, key, mark)).status_code == 200


async def test_the_same_key_at_once_has_one_effect(
    http: httpx.AsyncClient, client: stripe.StripeClient, mark: Mark
) -> None:
    key = str(uuid4())
    answers = await asyncio.gather(*(post(http, key, mark) for _ in range(10)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 200}
    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    intents = await client.v1.payment_intents.list_async({"limit": 100})
    assert len([intent for intent in intents.data if intent.metadata.to_dict() == mark]) == 1


async def test_a_key_in_use_is_a_conflict(http: httpx.AsyncClient, mark: Mark) -> None:
    fault = {"match": "create", "kind": "delay", "seconds": 3, "metadata": mark}
    (await http.post("/_control/faults", json=fault)).raise_for_status()
    key = str(uuid4())
    slow = asyncio.create_task(post(http, key, mark))
    await asyncio.sleep(1)
    meanwhile = await post(http, key, mark)
    assert (meanwhile.status_code, meanwhile.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert (await slow).status_code == 200
    assert (await post(http, key, mark)).headers["idempotent-replayed"] == "true"
