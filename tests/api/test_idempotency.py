"""One key, one booking: again, at once, with another body, from somebody else, and after a refusal."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tests.api.conftest import Caller, held
from tests.support.people import Customer
from tests.support.shop import Shop

AT_ONCE = 10


async def _created_intents(customer: Customer, booking_id: str) -> int:
    """How often Stripe was asked for a PaymentIntent of this booking."""
    answer = await customer.http.get(f"{customer.stack.stripe_api_url}/_control/calls", params={"limit": 100_000})
    return sum(
        call["path"] == "/v1/payment_intents" and call["method"] == "POST" and booking_id in str(call["params"])
        for call in answer.json()
    )


async def _at_once(customer: Customer, bodies: list[dict[str, Any]], key: str) -> list[httpx.Response]:
    return await asyncio.gather(*(customer.post(body, key) for body in bodies))


async def test_the_same_request_again(customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]") -> None:
    body = customer.request(shop, shop.start())
    first, again = await customer.post(body, "key"), await customer.post(body, "key")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() | {"manage_url": first.json()["manage_url"]}
    assert await held(database, shop) == (1, 1)
    assert await _created_intents(customer, first.json()["id"]) == 1
    await customer.pay(first.json())
    await customer.sees(first.json(), "confirmed")
    later = await customer.post(body, "key")
    assert (later.status_code, later.json()["id"], later.json()["status"]) == (200, first.json()["id"], "confirmed")


async def test_the_same_body_in_other_words(customer: Customer, shop: Shop) -> None:
    body = customer.request(shop, shop.start())
    first = await customer.post(body, "key")
    other_words = dict(reversed(body.items()))
    other_words["start"] = body["start"].replace("+00:00", "Z")
    other_words["customer"] = {"phone": None, **body["customer"]}
    again = await customer.post(other_words, "key")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


@pytest.mark.parametrize("anybody", [False, True])
async def test_the_same_request_at_once(
    customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]", anybody: bool
) -> None:
    body = customer.request(shop, shop.start(), **({"mechanic_id": None} if anybody else {}))
    answers = await _at_once(customer, [body] * AT_ONCE, "key")
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert 201 in {answer.status_code for answer in answers}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len({str(answer.json()["payment"]) for answer in answers}) == 1
    assert await held(database, shop) == (1, 1)
    assert await _created_intents(customer, answers[0].json()["id"]) == 1


def _changed(body: dict[str, Any], change: str) -> dict[str, Any]:
    changes: dict[str, dict[str, Any]] = {
        "intake": {"intake": {"vehicle": "another"}},
        "name": {"customer": body["customer"] | {"name": "Another"}},
        "city": {"location": body["location"] | {"city": "Ottawa"}},
        "zone": {"timezone": "America/Halifax"},
        "any": {"mechanic_id": None},
        "start": {"start": body["start"].replace("T", "T").replace(":00+", ":00.000001+")},
    }
    return body | changes[change]


@pytest.mark.parametrize("change", ["intake", "name", "city", "zone", "any", "start"])
async def test_another_body(
    customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]", change: str
) -> None:
    body = customer.request(shop, shop.start())
    assert (await customer.post(body, "key")).status_code == 201
    refused = await customer.post(_changed(body, change), "key")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert await held(database, shop) == (1, 1)


@pytest.mark.parametrize("turn", range(3))
async def test_two_bodies_at_once(
    customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]", turn: int
) -> None:
    """One of them gets the key; whoever sent the other is told so, and is never given a booking it did not ask for."""
    starts = [shop.start(), shop.start(hours=5)]
    bodies = [customer.request(shop, start) for start in starts] * (AT_ONCE // 2)
    answers = await _at_once(customer, bodies, "key")
    counted = Counter(answer.status_code in (200, 201) for answer in answers)
    assert counted == {True: AT_ONCE // 2, False: AT_ONCE // 2}
    for body, answer in zip(bodies, answers, strict=True):
        if answer.status_code == 422:
            assert answer.json()["code"] == "idempotency_key_reused"
        else:
            assert answer.json()["start"] == body["start"].replace("+00:00", "Z")
    assert await held(database, shop) == (1, 1)


async def test_the_same_key_of_another_caller_is_another_booking(
    customer: Customer, rival: Customer, caller: Caller, shop: Shop
) -> None:
    key = str(uuid4())
    namesake = await caller(str(customer.id), "service")
    everybody = [customer, rival, namesake]
    ids = set()
    for hours, who in enumerate(everybody):
        answer = await who.post(who.request(shop, shop.start(hours=2 * hours)), key)
        assert answer.status_code == 201
        ids.add(answer.json()["id"])
    assert len(ids) == len(everybody)


async def test_refused_then_free_again(
    customer: Customer, rival: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    booking = await rival.book(shop, shop.start())
    body = customer.request(shop, shop.start())
    assert (await customer.post(body, "key")).status_code == 409
    assert await held(database, shop) == (1, 1)
    await database.execute("UPDATE slot_reservations SET status = 'expired' WHERE booking_id = $1", booking["id"])
    again = await customer.post(body, "key")
    assert again.status_code == 201
    assert (await customer.post(body, "key")).json()["id"] == again.json()["id"]


@pytest.mark.parametrize("key", ["x", "~" * 255, "with space", "'; DROP TABLE bookings; --", "☃".encode().hex()])
async def test_keys_of_all_lengths(customer: Customer, shop: Shop, key: str) -> None:
    body = customer.request(shop, shop.start())
    first, again = await customer.post(body, key), await customer.post(body, key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
