"""A booking followed by server-sent events (HTML standard, 9.2)."""

import asyncio
import json
from typing import Any

from tests.support.people import DECLINED_CARD, Customer, events
from tests.support.shop import Shop
from tests.support.time import Clock

Event = dict[str, Any]


async def follow(customer: Customer, booking: dict[str, Any], last: str | None = None, until: str = "") -> list[Event]:
    """The events up to the named one, or to the stream's end."""
    headers = customer.headers | ({"Last-Event-ID": last} if last else {})
    url = f"{customer.api_url}/v1/bookings/{booking['id']}/events"
    seen: list[Event] = []
    async with customer.http.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        block: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line and not line.startswith(":"):
                name, value = line.split(": ", 1)
                block[name] = value
            elif block:
                seen.append({**block, "data": json.loads(block["data"])})
                block = {}
                if seen[-1]["event"] == until:
                    break
    return seen


async def test_each_entry_once_while_it_happens_until_the_end(customer: Customer, shop: Shop, clock: Clock) -> None:
    booking = await customer.book(shop, shop.start())
    following = asyncio.create_task(follow(customer, booking))
    await customer.pay(booking, DECLINED_CARD)
    await customer.sees(booking, "awaiting_payment", "payment_declined")
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await clock.to_the_end(booking)
    seen = await asyncio.wait_for(following, 30)
    read = await customer.read(booking)
    assert [event["event"] for event in seen] == events(read)
    assert seen[-1]["event"] == "completed"
    for event, entry in zip(seen, read["timeline"], strict=True):
        assert (event["data"]["event"], event["data"]["detail"]) == (entry["event"], entry["detail"])
    ids = [int(event["id"]) for event in seen]
    assert ids == sorted(set(ids))


async def test_goes_on_after_the_last_that_was_seen(customer: Customer, shop: Shop) -> None:
    booking = await customer.book(shop, shop.start())
    [first, second] = await follow(customer, booking, until="awaiting_payment")
    [again] = await follow(customer, booking, last=first["id"], until="awaiting_payment")
    assert again == second


async def test_what_follows_the_end_is_told_too(customer: Customer, shop: Shop, clock: Clock) -> None:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    following = asyncio.create_task(follow(customer, booking))
    await clock.workflow(booking).cancel()
    seen = [event["event"] for event in await asyncio.wait_for(following, 30)]
    assert seen[-3:] == ["cancelled", "refund_issued", "mail_sent"]
