"""`GET /v1/availability/next`: the first free slot, for one mechanic or any, near a place."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.api.conftest import fields_of
from tests.support.people import Customer
from tests.support.shop import Shop, add_mechanic

_MECHANIC = """
INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, minimum_notice_minutes)
VALUES ($1, 'Ana Lima', 'America/Toronto', 'CA', $2, 'K1P 1J1', '1 Rua', $3)
"""


async def _next(http: httpx.AsyncClient, stack: Stack, shop: Shop, **query: Any) -> dict[str, Any] | None:
    asked = {"service_id": str(shop.service_id), **query}
    answer = await http.get(f"{stack.api_url}/v1/availability/next", params=asked)
    assert answer.status_code == 200, answer.text
    slot: dict[str, Any] | None = answer.json()["slot"]
    return slot


async def test_the_first_is_the_first_of_the_search_and_can_be_booked(
    http: httpx.AsyncClient, stack: Stack, customer: Customer, shop: Shop
) -> None:
    slot = await _next(http, stack, shop, timezone="America/St_Johns")
    assert slot is not None
    start = datetime.fromisoformat(slot["start"])
    assert datetime.fromisoformat(slot["local_start"]) == start
    assert slot["local_start"].endswith(("-03:30", "-02:30"))
    day = {"service_id": str(shop.service_id), "from": datetime.now(UTC).isoformat()}
    day["to"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    page = (await http.get(f"{stack.api_url}/v1/availability", params=day)).json()
    assert page["slots"][0]["start"] == slot["start"]
    later = start + timedelta(hours=2)
    slot = await _next(http, stack, shop, **{"from": later.isoformat()})
    assert slot is not None
    assert datetime.fromisoformat(slot["start"]) == later
    await customer.book(shop, later)
    slot = await _next(http, stack, shop, **{"from": later.isoformat()})
    assert slot is not None
    assert datetime.fromisoformat(slot["start"]) == later + timedelta(minutes=75)


async def test_of_several_the_one_who_would_get_it(
    http: httpx.AsyncClient, stack: Stack, customer: Customer, shop: Shop, database: Any
) -> None:
    other = uuid4()
    async with database.acquire() as connection:
        await connection.execute(_MECHANIC, other, "Ottawa", 0)
        await add_mechanic(connection, shop, other)
    since = {"from": shop.start().isoformat()}
    near = await _next(http, stack, shop, country="CA", city="ottawa", **since)
    assert near is not None
    assert near["mechanic_id"] == str(other)
    near = await _next(http, stack, shop, country="CA", postal_code="M5V 9Z9", **since)
    assert near is not None
    assert near["mechanic_id"] == str(shop.mechanic_id)
    only = await _next(http, stack, shop, mechanic_id=str(other), country="CA", postal_code="M5V 9Z9", **since)
    assert only is not None
    assert only["mechanic_id"] == str(other)


async def test_nobody_as_far_as_anybody_plans(http: httpx.AsyncClient, stack: Stack, shop: Shop, database: Any) -> None:
    await database.execute("UPDATE mechanics SET horizon_days = 1 WHERE id = $1", shop.mechanic_id)
    assert await _next(http, stack, shop, **{"from": shop.start(days=2).isoformat()}) is None
    await database.execute("UPDATE mechanics SET online = FALSE WHERE id = $1", shop.mechanic_id)
    assert await _next(http, stack, shop) is None


@pytest.mark.parametrize("year", ["0001", "1900", "2999", "9999"])
async def test_years_of_other_ages(http: httpx.AsyncClient, stack: Stack, shop: Shop, year: str) -> None:
    """What has passed counts as now; further ahead than anybody plans there is nothing."""
    past = year < "2000"
    slot = await _next(http, stack, shop, **{"from": f"{year}-12-31T23:00:00Z"})
    assert (slot is not None) == past
    span = {"from": f"{year}-12-31T23:00:00Z", "to": f"{year}-12-31T23:59:59.999999Z"}
    for mechanic in ({}, {"mechanic_id": str(shop.mechanic_id)}):
        asked = {"service_id": str(shop.service_id), **mechanic, **span, "timezone": "America/Toronto"}
        answer = await http.get(f"{stack.api_url}/v1/availability", params=asked)
        assert answer.status_code == (422 if past else 200), answer.text
        assert past or answer.json() == {"slots": [], "next_cursor": None}


async def test_what_it_does_not_understand_it_names(http: httpx.AsyncClient, stack: Stack, shop: Shop) -> None:
    for query, field in (
        ({"service_id": str(uuid4())}, "query.service_id"),
        ({"mechanic_id": str(uuid4())}, "query.mechanic_id"),
        ({"timezone": "Mars/Olympus"}, "query.timezone"),
        ({"from": "yesterday"}, "query.from"),
        ({"country": "Canada"}, "query.country"),
    ):
        asked = {"service_id": str(shop.service_id)} | query
        answer = await http.get(f"{stack.api_url}/v1/availability/next", params=asked)
        assert answer.status_code == 422
        assert fields_of(answer) == [field]
