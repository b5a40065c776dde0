"""A booking followed by server-sent events (HTML standard, 9.2)."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import httpx
import pytest

from api import streams
from api.streams import Settling
from pitstop.devstack.stackfile import Stack
from pitstop.domain.booking import BookingStatus
from pitstop.postgres.desk import News
from tests.support.people import DECLINED_CARD, Customer, events
from tests.support.processes import serving, settings
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


async def test_what_follows_the_end_is_told_too(
    customer: Customer, shop: Shop, clock: Clock, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the refund may take longer than the stream waits for it.
    monkeypatch.setattr(streams, "_LAST_WORDS_SECONDS", 10)
    async with serving(settings(stack)) as customer.api_url:
        await _sees_all_of_its_end(customer, shop, clock)


async def _sees_all_of_its_end(customer: Customer, shop: Shop, clock: Clock) -> None:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    following = asyncio.create_task(follow(customer, booking))
    await clock.workflow(booking).cancel()
    seen = [event["event"] for event in await asyncio.wait_for(following, 30)]
    assert seen[-3:] == ["cancelled", "refund_issued", "mail_sent"]


async def test_an_end_that_was_told_is_not_told_again(customer: Customer, shop: Shop, clock: Clock) -> None:
    """204 makes an EventSource stop; any other end of a stream makes it connect again (HTML standard, 9.2.3)."""
    booking = await customer.book(shop, shop.start())
    await clock.workflow(booking).cancel()
    await customer.sees(booking, "cancelled")
    seen = await asyncio.wait_for(follow(customer, booking), 30)
    url = f"{customer.api_url}/v1/bookings/{booking['id']}/events"
    again = await customer.http.get(url, headers=customer.headers | {"Last-Event-ID": seen[-1]["id"]})
    assert again.status_code == 204


async def test_an_entry_that_is_committed_late_is_not_missed(
    customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """Its id is lower than that of an entry which was there before it: what comes after it waits for it."""
    booking = await customer.book(shop, shop.start())
    following = asyncio.create_task(follow(customer, booking, until="last"))
    insert = "INSERT INTO booking_events (booking_id, at, event) VALUES ($1, now(), $2)"
    async with database.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(insert, booking["id"], "late")
        await database.execute(insert, booking["id"], "early")
        await customer.sees(booking, "awaiting_payment", "early")
        await asyncio.sleep(1.5)  # three looks at the database, in which a stream could be misled
        await transaction.commit()
    await database.execute(insert, booking["id"], "last")
    seen = [event["event"] for event in await asyncio.wait_for(following, 30)]
    assert seen == ["hold_placed", "awaiting_payment", "late", "early", "last"]


async def test_open_streams_are_counted(stack: Stack, customer: Customer, rival: Customer, shop: Shop) -> None:
    """So many for one person and so many in all; who closes one may open another."""
    booking = await customer.book(shop, shop.start())
    others = await rival.book(shop, shop.start(days=4))
    async with serving(settings(stack, streams_at_once=3, streams_per_caller=2)) as url, AsyncExitStack() as open_now:

        async def opened(who: Customer, which: dict[str, Any]) -> httpx.Response:
            path = f"{url}/v1/bookings/{which['id']}/events"
            return await open_now.enter_async_context(who.http.stream("GET", path, headers=who.headers))

        mine = [await opened(customer, booking) for _ in range(3)]
        assert [answer.status_code for answer in mine] == [200, 200, 429]
        theirs = [await opened(rival, others) for _ in range(2)]
        assert [answer.status_code for answer in theirs] == [200, 503]
        assert all(answer.headers["Retry-After"] for answer in (mine[-1], theirs[-1]))
        await mine[0].aclose()
        for _ in range(100):
            if (answer := await opened(rival, others)).status_code == 200:
                break
            await asyncio.sleep(0.05)
        assert answer.status_code == 200


def _news(ids: list[int], running: int, following: int) -> News:
    return News(BookingStatus.CONFIRMED, [{"id": each} for each in ids], running, following)


def test_entries_settle_when_what_ran_beside_them_is_over() -> None:
    settling = Settling(4)
    assert settling.settled(_news([], 10, 10)) == []
    assert settling.settled(_news([6], 10, 12)) == []
    assert settling.waits
    assert settling.settled(_news([6, 9], 11, 15)) == []
    assert settling.settled(_news([5, 6, 9], 12, 15)) == [{"id": 5}, {"id": 6}]
    assert (settling.after, settling.waits) == (6, True)
    assert settling.settled(_news([9], 15, 15)) == [{"id": 9}]
    assert (settling.after, settling.waits) == (9, False)


def test_a_transaction_that_does_not_end_does_not_hold_them_for_ever() -> None:
    settling = Settling(0)
    looks = iter(lambda: settling.settled(_news([1], 10, 12)), [{"id": 1}])
    assert 10 < len(list(looks)) < 1000
