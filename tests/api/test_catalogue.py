"""Services and mechanics, as anybody may see them."""

from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.shop import Shop, add_mechanic

SERVICE_FIELDS = {
    "id",
    "slug",
    "name",
    "kind",
    "duration_minutes",
    "buffer_before_minutes",
    "buffer_after_minutes",
    "immediate",
    "plans",
}
MECHANIC_FIELDS = {"id", "name", "timezone", "city", "country", "online", "service_ids"}


async def test_services_with_their_plans(http: httpx.AsyncClient, stack: Stack, shop: Shop) -> None:
    answer = (await http.get(f"{stack.api_url}/v1/services")).json()
    assert all(set(item) == SERVICE_FIELDS and item["plans"] for item in answer["items"])
    [mine] = [item for item in answer["items"] if item["id"] == str(shop.service_id)]
    assert (mine["kind"], mine["duration_minutes"]) == ("video", 60)
    assert (mine["buffer_before_minutes"], mine["buffer_after_minutes"]) == (0, 15)
    plan = {"slug": "standard", "name": "Standard", "amount": shop.amount, "currency": shop.currency}
    assert mine["plans"] == [{"id": str(shop.plan_id), **plan}]
    assert {item["kind"] for item in answer["items"]} == {"video", "chat", "diagnostic", "in_person"}


async def test_what_is_not_on_offer_is_not_listed(
    http: httpx.AsyncClient, stack: Stack, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    await database.execute("UPDATE services SET active = FALSE WHERE id = $1", shop.service_id)
    services = (await http.get(f"{stack.api_url}/v1/services")).json()["items"]
    assert str(shop.service_id) not in {service["id"] for service in services}
    mechanics = (await http.get(f"{stack.api_url}/v1/mechanics")).json()["items"]
    assert str(shop.mechanic_id) not in {mechanic["id"] for mechanic in mechanics}


async def _second_mechanic(database: "asyncpg.Pool[asyncpg.Record]", shop: Shop) -> UUID:
    other = uuid4()
    async with database.acquire() as connection:
        await connection.execute(
            "INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address)"
            " VALUES ($1, 'Ana Lima', 'Europe/Lisbon', 'PT', 'Évora', '7000', '1 Rua')",
            other,
        )
        await add_mechanic(connection, shop, other)
    return other


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["other", "first"]),
        ({"country": "CA"}, ["first"]),
        ({"country": "PT"}, ["other"]),
        ({"city": "toronto"}, ["first"]),
        ({"city": "évora", "country": "PT"}, ["other"]),
        ({"city": "Évora", "country": "CA"}, []),
        ({"city": "%"}, []),
        ({"city": "' OR 1=1 --"}, []),
    ],
)
async def test_mechanics_by_service_country_and_city(
    http: httpx.AsyncClient,
    stack: Stack,
    shop: Shop,
    database: "asyncpg.Pool[asyncpg.Record]",
    query: dict[str, str],
    found: list[str],
) -> None:
    names = {str(shop.mechanic_id): "first", str(await _second_mechanic(database, shop)): "other"}
    asked = query | {"service_id": str(shop.service_id)}
    items = (await http.get(f"{stack.api_url}/v1/mechanics", params=asked)).json()["items"]
    assert [names[item["id"]] for item in items] == found
    assert all(set(item) == MECHANIC_FIELDS and str(shop.service_id) in item["service_ids"] for item in items)


async def test_mechanics_of_an_unknown_service(http: httpx.AsyncClient, stack: Stack) -> None:
    answer = await http.get(f"{stack.api_url}/v1/mechanics", params={"service_id": str(uuid4())})
    assert answer.json() == {"items": [], "next_cursor": None}
