"""docs/privacy.md, "Changing the key", tried: bookings are under way, and a worker dies in the middle of one."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType

import worker as front_desk
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.payload_codec import ENCODING, KEY_ID
from pitstop.gateways.temporal_engine import connect
from tests.support.forks import Forked, crashing_worker
from tests.support.opened import payloads
from tests.support.people import Customer, Json
from tests.support.processes import dies, environment, serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

_KEYS = {name: base64.b64encode(os.urandom(32)).decode() for name in ("old", "new")}


@dataclass
class House:
    """Workers and an API on a task queue of their own, which know these keys and seal with the first of them."""

    stack: Stack
    queue: str
    customer: Customer
    stripe: StripeControl

    def _settings(self, *keys: str) -> dict[str, object]:
        known = json.dumps({name: _KEYS[name] for name in keys})
        return {
            "task_queue": self.queue,
            "payload_keys": known,
            "payload_key_id": keys[0],
            "workflow_task_seconds": 2,
            "intent_patience_seconds": 40,  # the hold outlasts the death of one worker and the start of another
        }

    @asynccontextmanager
    async def api(self, *keys: str) -> AsyncIterator[None]:
        async with serving(settings(self.stack, **self._settings(*keys))) as url:
            news = await self.stripe.endpoint(f"{url}/webhooks/stripe", self.stack.stripe_webhook_secret)
            self.customer.api_url = url
            yield
            await self.stripe.remove(news)

    @asynccontextmanager
    async def works(self, *keys: str) -> AsyncIterator[None]:
        own = settings(self.stack, **self._settings(*keys))
        async with front_desk.at_work(await connect(own), own):
            yield

    @asynccontextmanager
    async def doomed(self, *keys: str) -> AsyncIterator[Forked]:
        """A worker that dies when it has confirmed a booking, and has told nobody."""
        variables = environment(self.stack, **self._settings(*keys)) | {"CRASH_AT": "confirm_booking:after"}
        async with crashing_worker(variables) as process:
            yield process


@pytest.fixture
def house(stack: Stack, customer: Customer, stripe: StripeControl) -> House:
    return House(stack, f"rotation-{uuid4()}", customer, stripe)


async def _sealed_with(clock: Clock, booking: Json) -> set[str]:
    history = await clock.workflow(booking).fetch_history()
    sealed = [each for event in history.events for each in payloads(event) if each.metadata["encoding"] == ENCODING]
    return {payload.metadata[KEY_ID].decode() for payload in sealed}


async def _cannot_go_on(clock: Clock, booking: Json) -> None:
    """Returns when a worker has failed at the booking's next step."""
    for _ in range(600):
        history = await clock.workflow(booking).fetch_history()
        if any(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED for event in history.events):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it has gone on, or nobody tried")


async def test_bookings_go_on_from_key_to_key_though_a_worker_dies(
    house: House, customer: Customer, shop: Shop, clock: Clock
) -> None:
    async with house.api("old"):
        async with house.doomed("old") as doomed:
            unpaid, paid = [await customer.book(shop, shop.start(hours=4 * n)) for n in range(2)]
            assert await _sealed_with(clock, paid) == {"old"}
            await customer.pay(paid)
            await dies(doomed)
        # Workers are a step ahead of the API: it cannot open their answer, and says that nothing was done.
        async with house.works("new", "old"):
            await customer.sees(paid, "confirmed", "mail_sent")
            refused = await customer.post(customer.request(shop, shop.start(hours=8)), "one key")
            assert (refused.status_code, refused.json()["code"]) == (503, "engine_unavailable")
    assert await _sealed_with(clock, paid) == {"old", "new"}
    async with house.api("new", "old"):
        async with house.works("new", "old"):
            again = await customer.post(customer.request(shop, shop.start(hours=8)), "one key")
            assert again.status_code in (200, 201), again.text
            await customer.pay(again.json())
            await customer.sees(again.json(), "confirmed", "mail_sent")
            await customer.pay(unpaid)
            await customer.sees(unpaid, "confirmed", "mail_sent")
            latest = await customer.book(shop, shop.start(hours=12))
            assert await _sealed_with(clock, latest) == {"new"}
        # The old key goes too soon: what it has sealed stands still until it comes back, all else goes on.
        async with house.works("new"):
            await clock.workflow(paid).cancel()
            await _cannot_go_on(clock, paid)
            await customer.pay(latest)
            await customer.sees(latest, "confirmed", "mail_sent")
        async with house.works("new", "old"):
            cancelled = await customer.sees(paid, "cancelled", "refund_issued")
            assert cancelled["amount_refunded"] == shop.amount
            await clock.forward(unpaid, timedelta(days=4))
            await customer.sees(unpaid, "completed")
