"""Webhooks: signed, retried, and mischief with them."""

import asyncio
from typing import Any

import httpx
import stripe

from tests.stripe_server.conftest import Receiver
from tests.stripe_server.test_payments import create
from tests.stripe_server.test_refunds import paid

Mark = dict[str, str]


async def mischief(http: httpx.AsyncClient, **rule: Any) -> None:
    (await http.post("/_control/webhooks", json=rule)).raise_for_status()


async def deliveries(http: httpx.AsyncClient, intent: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await http.get("/_control/deliveries", params={"payment_intent": intent})).json()
    return listed


async def test_an_event_is_sent_again_until_it_is_accepted(
    client: stripe.StripeClient, mark: Mark, inbox: Receiver, http: httpx.AsyncClient
) -> None:
    inbox.answers = [500, 404, 500]
    intent = await create(client, mark)
    await inbox.until(lambda types: len(types) == 4)
    assert len({event.id for event in inbox.events}) == 1
    pauses = [after - before for before, after in zip(inbox.arrivals, inbox.arrivals[1:], strict=False)]
    assert all(pause >= least for pause, least in zip(pauses, (0.09, 0.19, 0.39), strict=True)), "it grows"
    for _ in range(50):
        (delivery,) = await deliveries(http, intent.id)
        if delivery["state"] == "delivered":
            break
        await asyncio.sleep(0.02)
    assert [attempt["status"] for attempt in delivery["history"]] == [500, 404, 500, 200]


async def test_a_wrong_secret_is_noticed(client: stripe.StripeClient, mark: Mark, inbox: Receiver) -> None:
    right, inbox.secret = inbox.secret, "whsec_another"
    await create(client, mark)
    await inbox.until(lambda _: inbox.forged)
    assert not inbox.events
    inbox.secret = right
    await inbox.until(lambda types: types == ["payment_intent.created"])


async def test_dropped_then_delivered_by_hand(
    client: stripe.StripeClient, mark: Mark, inbox: Receiver, http: httpx.AsyncClient
) -> None:
    await mischief(http, mode="drop", event_type="payment_intent.succeeded", metadata=mark)
    intent = await paid(client, mark)
    await inbox.until(lambda types: len(types) == 2)
    states = {delivery["type"]: delivery["state"] for delivery in await deliveries(http, intent.id)}
    assert states["payment_intent.succeeded"] == "dropped"
    events = (await http.get("/_control/events", params={"payment_intent": intent.id})).json()
    lost = next(event for event in events if event["type"] == "payment_intent.succeeded")
    assert (await client.v1.events.retrieve_async(lost["id"])).type == lost["type"]
    again = await http.post(f"/_control/events/{lost['id']}/deliver", json={"copies": 5, "parallel": True})
    assert again.json()["statuses"] == [200] * 5
    assert inbox.types.count("payment_intent.succeeded") == 5


async def test_duplicated(client: stripe.StripeClient, mark: Mark, inbox: Receiver, http: httpx.AsyncClient) -> None:
    await mischief(http, mode="duplicate", event_type="charge.succeeded", copies=4, metadata=mark)
    await paid(client, mark)
    await inbox.until(lambda types: types.count("charge.succeeded") == 4 and len(types) == 6)


async def test_delayed(client: stripe.StripeClient, mark: Mark, inbox: Receiver, http: httpx.AsyncClient) -> None:
    await mischief(http, mode="delay", event_type="payment_intent.created", seconds=0.6, metadata=mark)
    start = asyncio.get_running_loop().time()
    await paid(client, mark)
    await inbox.until(lambda types: len(types) == 3)
    assert inbox.types[-1] == "payment_intent.created"
    assert inbox.arrivals[-1] - start > 0.59


async def test_reordered(client: stripe.StripeClient, mark: Mark, inbox: Receiver, http: httpx.AsyncClient) -> None:
    await mischief(http, mode="reorder", metadata=mark)
    intent = await create(client, mark)
    await client.v1.payment_intents.cancel_async(intent.id)
    await inbox.until(lambda types: types == ["payment_intent.canceled", "payment_intent.created"])


async def test_a_held_event_goes_out_alone_at_last(
    client: stripe.StripeClient, mark: Mark, inbox: Receiver, http: httpx.AsyncClient
) -> None:
    await mischief(http, mode="reorder", seconds=0.2, metadata=mark)
    await create(client, mark)
    await inbox.until(lambda types: types == ["payment_intent.created"])
