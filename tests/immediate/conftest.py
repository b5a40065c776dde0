"""Customers who want a session at once, and the mechanics who are asked to take it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.people import Customer, Issuer, Json
from tests.support.shop import Shop, add_mechanic

MINUTE = timedelta(minutes=1)
# As the settings have it: the preferred mechanic alone, each wave, and the whole search.
ALONE, WAVE, WHOLE = MINUTE, MINUTE, 10 * MINUTE

Wanted = Callable[..., Awaitable[Json]]


def at_once(customer: Customer, shop: Shop, **changes: Any) -> Json:
    """The body of a request for a session at once, with whoever takes it."""
    return customer.request(shop, shop.start()) | {"start": None, "mechanic_id": None} | changes


@dataclass(frozen=True, slots=True)
class Crew:
    """Hires mechanics who offer the shop's service around the clock."""

    database: Any
    issuer: Issuer
    shop: Shop
    somebody: Customer

    async def hire(
        self, postal_code: str = "M5V 1A1", city: str = "Toronto", country: str = "CA", *, online: bool = True
    ) -> Customer:
        """The mechanic, with a token of its own."""
        id = uuid4()
        await self.database.execute(
            "INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, online)"
            " VALUES ($1, 'Ana Silva', 'America/Toronto', $2, $3, $4, '2 King Street', $5)",
            id,
            country,
            city,
            postal_code,
            online,
        )
        await add_mechanic(self.database, self.shop, id)
        return await self.known(id)

    async def known(self, mechanic_id: UUID) -> Customer:
        return replace(self.somebody, token=await self.issuer.token(str(mechanic_id), "mechanic"), id=mechanic_id)


@pytest.fixture
def crew(database: Any, issuer: Issuer, shop: Shop, customer: Customer) -> Crew:
    return Crew(database, issuer, shop, customer)


@pytest.fixture
async def mechanic(crew: Crew, shop: Shop) -> Customer:
    """The shop's own, who is in the customer's postal area and online."""
    return await crew.known(shop.mechanic_id)


@pytest.fixture
async def operator(issuer: Issuer, customer: Customer) -> Customer:
    return replace(customer, token=await issuer.token(f"operator-{uuid4()}", "operator"), id=uuid4())


@pytest.fixture
async def wanted(customer: Customer, shop: Shop) -> Wanted:
    """Asks for a session at once and pays: `await wanted()`, `await wanted(mechanic_id=…)`."""

    async def ask(by: Customer = customer, **changes: Any) -> Json:
        answer = await by.post(at_once(by, shop, **changes))
        assert answer.status_code == 201, answer.text
        booking: Json = answer.json()
        await by.pay(booking)
        await by.sees(booking, "pending")
        return booking

    return ask


async def offers(mechanic: Customer) -> list[Json]:
    """What the mechanic may take."""
    answer = await mechanic.get(f"/v1/mechanics/{mechanic.id}/offers")
    assert answer.status_code == 200, answer.text
    items: list[Json] = answer.json()["items"]
    return items


async def is_offered(booking: Json, *mechanics: Customer) -> list[bool]:
    """To which of them the booking is offered."""
    return [booking["id"] in [offer["booking_id"] for offer in await offers(each)] for each in mechanics]


async def until_offered(booking: Json, mechanics: Sequence[Customer], expected: list[bool]) -> None:
    """Waits until the booking is offered to these mechanics and no others of them."""
    for _ in range(100):
        if (found := await is_offered(booking, *mechanics)) == expected:
            return
        await asyncio.sleep(0.1)
    assert found == expected


async def goes(mechanic: Customer, *, online: bool) -> None:
    path = f"{mechanic.api_url}/v1/mechanics/{mechanic.id}/online"
    answer = await mechanic.http.put(path, json={"online": online}, headers=mechanic.headers)
    assert answer.status_code == 200, answer.text
