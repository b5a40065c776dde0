"""What was acknowledged survives `kill -9`."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from tests.stripe_server.conftest import Receiver, Server, client_of, free_port
from tests.stripe_server.test_payments import create
from tests.stripe_server.test_refunds import paid


@pytest.fixture
async def mortal(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Server]:
    """A server of this test's own, whose default endpoint is the receiver."""
    server = Server(free_port(), tmp_path / "stripe.sqlite", receiver.url)
    server.start()
    await server.ready()
    yield server
    await server.end(signal.SIGKILL)


async def test_what_was_acknowledged_survives_a_kill(mortal: Server, receiver: Receiver) -> None:
    """State, idempotency keys, rules and undelivered events; and of the calls that the kill cut short, each one either
    happened with its event or did not happen."""
    client = client_of(mortal)
    receiver.answers = [500] * 10_000
    once: Any = {"amount": 700, "currency": "eur"}, {"idempotency_key": "once"}
    first = await client.v1.payment_intents.create_async(*once)
    intent = await paid(client, {"booking_id": "b"})
    await refuse_cancellations(mortal)
    answered = await killed_amid_calls(mortal, client)
    receiver.answers.clear()
    receiver.events.clear()
    mortal.start()
    await mortal.ready()
    client = client_of(mortal)
    assert (await client.v1.payment_intents.create_async(*once)).id == first.id
    assert (await client.v1.payment_intents.retrieve_async(intent.id)).status == "succeeded"
    with pytest.raises(stripe.APIError):
        await client.v1.payment_intents.cancel_async(first.id)
    await receiver.until(lambda types: {"charge.succeeded", "payment_intent.succeeded"} <= set(types))
    there = {known.id for known in (await client.v1.payment_intents.list_async({"limit": 100})).data}
    events = (await client.v1.events.list_async({"limit": 100, "type": "payment_intent.created"})).data
    assert answered | {first.id, intent.id} <= there
    assert sorted(event.data.object["id"] for event in events) == sorted(there)
    await receiver.until(lambda _: there <= {event.data.object["id"] for event in receiver.events})


async def refuse_cancellations(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        await http.post("/_control/faults", json={"match": "cancel", "kind": "error_500", "times": None})


async def killed_amid_calls(server: Server, client: stripe.StripeClient) -> set[str]:
    """Kills the server while it takes 50 calls; answers the payments that it acknowledged."""
    calls = [asyncio.create_task(create(client, {"number": str(number)})) for number in range(50)]
    while sum(call.done() for call in calls) < 10:
        await asyncio.wait([call for call in calls if not call.done()], return_when=asyncio.FIRST_COMPLETED)
    server.stop()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    answered = {outcome.id for outcome in outcomes if isinstance(outcome, stripe.PaymentIntent)}
    assert 0 < len(answered) < 50
    return answered
