"""Bookings: opened, read, listed. Prices and durations are the catalogue's, whatever is sent."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.api.conftest import Caller, fields_of
from tests.support.people import Customer, events
from tests.support.shop import Shop, add_mechanic

OPENED = {
    "id",
    "status",
    "mechanic_id",
    "start",
    "end",
    "hold_expires_at",
    "amount",
    "currency",
    "payment",
    "manage_url",
}
READ = {
    *("id", "status", "version", "mechanic_id", "start", "end", "hold_expires_at", "session_id", "amount", "currency"),
    *("amount_refunded", "payment", "waiver_status", "timeline"),
}


def _instant(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


async def test_opened_as_the_contract_says(customer: Customer, shop: Shop) -> None:
    answer = await customer.post(customer.request(shop, shop.start()))
    booking = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/bookings/{booking['id']}"
    assert set(booking) >= OPENED
    assert (booking["status"], booking["mechanic_id"]) == ("awaiting_payment", str(shop.mechanic_id))
    assert (booking["amount"], booking["currency"]) == (shop.amount, shop.currency)
    assert (_instant(booking["start"]), _instant(booking["end"])) == (shop.start(), shop.start() + shop.duration)
    assert set(booking["payment"]) == {"payment_intent_id", "client_secret", "publishable_key"}
    assert booking["payment"]["client_secret"].startswith(booking["payment"]["payment_intent_id"])
    assert booking["id"] in booking["manage_url"]
    UUID(booking["id"])


async def test_read_as_the_contract_says(customer: Customer, shop: Shop) -> None:
    booking = await customer.book(shop, shop.start())
    read = await customer.read(booking)
    assert set(read) >= READ
    same = ("id", "status", "mechanic_id", "start", "end", "hold_expires_at", "amount", "currency")
    assert {name: read[name] for name in same} == {name: booking[name] for name in same}
    assert (read["session_id"], read["amount_refunded"], read["waiver_status"]) == (None, 0, "not_required")
    assert set(read["payment"]) == {"payment_intent_id", "status"}
    assert events(read) == ["hold_placed", "awaiting_payment"]
    held = _instant(read["timeline"][0]["at"])
    assert timedelta(minutes=14, seconds=55) < _instant(read["hold_expires_at"]) - held < timedelta(minutes=15.1)
    assert all(set(entry) == {"at", "event", "detail"} for entry in read["timeline"])
    assert "client_secret" not in str(read)


@pytest.mark.parametrize(
    ("level", "name"),
    [((), "amount"), ((), "currency"), ((), "duration_minutes"), ((), "end"), (("customer",), "price"), ((), "status")],
)
@pytest.mark.usefixtures("nothing_held")
async def test_nobody_names_a_price(customer: Customer, shop: Shop, level: tuple[str, ...], name: str) -> None:
    body = customer.request(shop, shop.start())
    place = body
    for part in level:
        place = place[part]
    place[name] = 1
    refused = await customer.post(body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert fields_of(refused) == [".".join(("body", *level, name))]


async def test_a_price_is_that_of_the_bookings_moment(
    customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    booking = await customer.book(shop, shop.start())
    await database.execute("UPDATE plans SET amount = 50 WHERE id = $1", shop.plan_id)
    assert (await customer.read(booking))["amount"] == shop.amount


async def test_any_mechanic(
    customer: Customer, rival: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    other = uuid4()
    async with database.acquire() as connection:
        await connection.execute(
            "INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, minimum_notice_minutes)"
            " VALUES ($1, 'Ana Lima', 'Europe/Lisbon', 'PT', 'Lisboa', '1000', '1 Rua', 0)",
            other,
        )
        await add_mechanic(connection, shop, other)
    first = await customer.book(shop, shop.start(), mechanic_id=None)
    assert first["mechanic_id"] == str(shop.mechanic_id), "the one in the customer's city comes first"
    second = await rival.book(shop, shop.start(), mechanic_id=None)
    assert second["mechanic_id"] == str(other)
    asked = customer.request(shop, shop.start() + timedelta(hours=3))
    del asked["mechanic_id"]
    assert (await customer.post(asked)).status_code == 201


async def test_whatever_a_customer_writes_comes_back_unharmed(
    customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    name = "  د. ليلى abc <b>O'Néill</b> 🚗 '; DROP TABLE bookings; --  "
    intake: dict[str, Any] = {"": "line\r\nline\t\u2028", "ключ": [1, 2.5, None, True, {"a": 2**53}]}
    body = customer.request(shop, shop.start(), intake=intake)
    body["customer"]["name"] = name
    booking = (await customer.post(body)).json()
    row = await database.fetchrow("SELECT customer_name, intake FROM bookings WHERE id = $1", booking["id"])
    assert row is not None
    assert row["customer_name"] == name.strip()
    assert await database.fetchval(
        "SELECT $1::jsonb = intake FROM bookings WHERE id = $2", json.dumps(intake), booking["id"]
    )


@pytest.fixture
async def five(customer: Customer, shop: Shop) -> list[dict[str, Any]]:
    """Five bookings of the customer's, oldest first, two hours apart."""
    return [await customer.book(shop, shop.start() + timedelta(hours=2 * n)) for n in range(5)]


async def test_listed_newest_first_page_by_page(customer: Customer, five: list[dict[str, Any]]) -> None:
    newest_first = [booking["id"] for booking in reversed(five)]
    whole = (await customer.get("/v1/bookings")).json()
    assert [item["id"] for item in whole["items"]] == newest_first
    assert whole["next_cursor"] is None
    for limit in (1, 2, 3, 5):
        seen: list[str] = []
        cursor: dict[str, Any] = {}
        while len(seen) < len(five):
            page = (await customer.get("/v1/bookings", limit=limit, **cursor)).json()
            seen += [item["id"] for item in page["items"]]
            cursor = {"cursor": page["next_cursor"]}
        assert seen == newest_first
        assert page["next_cursor"] is None


async def test_listed_by_status_mechanic_and_span(
    customer: Customer, shop: Shop, five: list[dict[str, Any]], caller: Caller
) -> None:
    async def listed(**query: Any) -> list[str]:
        return [item["id"] for item in (await customer.get("/v1/bookings", **query)).json()["items"]]

    ids = [booking["id"] for booking in five]
    assert await listed(status="awaiting_payment") == ids[::-1]
    assert await listed(status="confirmed") == []
    assert await listed(mechanic_id=str(shop.mechanic_id)) == ids[::-1]
    assert await listed(mechanic_id=str(uuid4())) == []
    assert await listed(**{"from": five[1]["start"], "to": five[3]["start"]}) == [ids[2], ids[1]]
    assert await listed(to=five[1]["start"]) == [ids[0]]
