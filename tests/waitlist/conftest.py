"""A mechanic whose day is full, customers who wait for it, and what they see of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer, Issuer, Json
from tests.support.shop import Shop
from tests.support.sweep import sweep

Pool = Any
HOUR = timedelta(hours=1)
OFFER = timedelta(minutes=30)
# Longer than from one sweep to the next: whoever was overlooked in a rush has its turn then.
_PATIENCE_SECONDS = 100.0


@dataclass(frozen=True, slots=True)
class Day:
    """A span in which the mechanic works for one session only, which is booked."""

    shop: Shop
    start: datetime
    booking: Json
    owner: Customer

    @property
    def end(self) -> datetime:
        return self.start + HOUR


def wish(customer: Customer, day: Day, **changes: Any) -> Json:
    """To wait for any start of that day's session."""
    body = customer.request(day.shop, day.start)
    del body["start"]
    around = {"from": day.start.isoformat(), "to": (day.start + HOUR).isoformat()}
    return body | around | changes


async def ask(customer: Customer, body: Json, key: str | None = None) -> httpx.Response:
    headers = customer.headers | {"Idempotency-Key": key or str(uuid4())}
    return await customer.http.post(f"{customer.api_url}/v1/waitlist", json=body, headers=headers)


async def join(customer: Customer, day: Day, **changes: Any) -> Json:
    answer = await ask(customer, wish(customer, day, **changes))
    assert answer.status_code == 201, answer.text
    entry: Json = answer.json()
    return entry


async def leave(customer: Customer, entry: Json) -> None:
    answer = await customer.http.delete(f"{customer.api_url}/v1/waitlist/{entry['id']}", headers=customer.headers)
    assert answer.status_code == 204, answer.text


async def read(customer: Customer, entry: Json) -> Json:
    answer = await customer.get(f"/v1/waitlist/{entry['id']}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def sees(customer: Customer, entry: Json, status: str) -> Json:
    """Waits until the entry has this status."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (found := await read(customer, entry))["status"] != status:
        assert time.monotonic() < deadline, f"waited for {status}, saw {found}"
        await asyncio.sleep(0.1)
    return found


async def offered(customer: Customer, entry: Json) -> Json:
    """Waits for an offer, and brings it back as a booking that can be paid for."""
    offer = (await sees(customer, entry, "offered"))["offer"]
    booking = {"id": offer["booking_id"], **offer}
    await customer.sees(booking, "awaiting_payment", "mail_sent")
    payment = await customer.get(f"/v1/bookings/{booking['id']}/payment")
    assert payment.status_code == 200, payment.text
    return booking | {"payment": payment.json()}


async def settled(database: Pool, shop: Shop) -> None:
    """Waits until nothing of the shop's that came free is left to look at."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    query = "SELECT count(*) FROM freed_slots WHERE mechanic_id = $1"
    while await database.fetchval(query, shop.mechanic_id):
        assert time.monotonic() < deadline, "what came free is not looked at"
        await asyncio.sleep(0.1)


async def offers_of(database: Pool, shop: Shop) -> list[Json]:
    rows = await database.fetch(
        "SELECT id, status, customer_id, starts_at, waitlist_entry_id FROM bookings"
        " WHERE mechanic_id = $1 AND waitlist_entry_id IS NOT NULL ORDER BY created_at",
        shop.mechanic_id,
    )
    return [dict(row) for row in rows]


Crowd = Callable[[int], Awaitable[list[Customer]]]


@pytest.fixture
def crowd(issuer: Issuer, stack: Stack) -> Crowd:
    async def gather(count: int) -> list[Customer]:
        return [await issuer.customer(stack.api_url) for _ in range(count)]

    return gather


async def only_works(database: Pool, shop: Shop, *spans: tuple[datetime, datetime]) -> None:
    """Whatever the week's hours, the mechanic is away but for these spans, for a month."""
    ends = [shop.start(days=-1), *(moment for span in sorted(spans) for moment in span), shop.start(days=31)]
    away = [(shop.mechanic_id, ends[at], ends[at + 1]) for at in range(0, len(ends), 2)]
    query = "INSERT INTO time_off (mechanic_id, during) VALUES ($1, tstzrange($2, $3))"
    await database.executemany(query, [each for each in away if each[1] < each[2]])


@pytest.fixture
async def full(database: Pool, shop: Shop, rival: Customer) -> Day:
    """The day's only session is the rival's, and paid for."""
    start = shop.start(days=5)
    await only_works(database, shop, (start, start + HOUR))
    booking = await rival.book(shop, start)
    await rival.pay(booking)
    return Day(shop, start, await rival.sees(booking, "confirmed", "mail_sent"), rival)


@pytest.fixture
async def operator(issuer: Issuer, customer: Customer) -> Customer:
    token = await issuer.token(f"operator-{uuid4()}", "operator")
    return Customer(customer.http, customer.stack, customer.api_url, token, uuid4())


@pytest.fixture
def swept(temporal: Client, stack: Stack) -> Callable[[], Awaitable[object]]:
    return lambda: sweep(temporal, stack)
