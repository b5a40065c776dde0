"""A mechanic at its desk: a client of the public API that sets its own rules."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer, Issuer
from tests.support.shop import Shop

Json = dict[str, Any]
AROUND_THE_CLOCK: list[Json] = [{"weekday": day, "start": "00:00", "end": "24:00"} for day in range(7)]


@dataclass(slots=True)
class Desk:
    """Whoever has this token, at one mechanic's addresses."""

    who: Customer
    mechanic_id: UUID

    async def call(self, method: str, path: str, body: Json | None = None, /, **query: Any) -> httpx.Response:
        url = f"{self.who.api_url}/v1/mechanics/{self.mechanic_id}{path}"
        return await self.who.http.request(method, url, json=body, params=query, headers=self.who.headers)

    async def schedule(self) -> Json:
        return _ok(await self.call("GET", "/schedule"))

    async def set(self, **changes: Any) -> Json:
        """The schedule as it is with these changes."""
        return _ok(await self.put(**changes))

    async def put(self, **changes: Any) -> httpx.Response:
        return await self.call("PUT", "/schedule", await self.schedule() | changes)

    async def away(self, start: datetime, end: datetime, reason: str | None = None) -> Json:
        body = {"start": start.isoformat(), "end": end.isoformat(), "reason": reason}
        return _ok(await self.call("POST", "/time-off", body), 201)

    async def go_online(self, online: bool) -> Json:
        return _ok(await self.call("PUT", "/online", {"online": online}))


def _ok(answer: httpx.Response, status: int = 200) -> Json:
    assert answer.status_code == status, answer.text
    read: Json = answer.json()
    return read


@dataclass(slots=True)
class Search:
    """What customers are shown of the shop's slots."""

    http: httpx.AsyncClient
    stack: Stack
    shop: Shop

    async def starts(self, since: datetime, span: timedelta = timedelta(days=1)) -> list[datetime]:
        asked = {"service_id": str(self.shop.service_id), "mechanic_id": str(self.shop.mechanic_id)}
        asked |= {"from": since.isoformat(), "to": (since + span).isoformat()}
        answer = await self.http.get(f"{self.stack.api_url}/v1/availability", params=asked)
        return [datetime.fromisoformat(slot["start"]) for slot in _ok(answer)["slots"]]

    async def reason(self, start: datetime) -> str | None:
        """Why this slot cannot be had; None when it can."""
        body = {"mechanic_id": str(self.shop.mechanic_id), "service_id": str(self.shop.service_id)}
        answer = await self.http.post(
            f"{self.stack.api_url}/v1/availability/check", json=body | {"start": start.isoformat()}
        )
        reason: str | None = _ok(answer)["reason"]
        return reason


@pytest.fixture
async def desk(issuer: Issuer, stack: Stack, http: httpx.AsyncClient, shop: Shop) -> Desk:
    """The shop's mechanic, who works around the clock; the shop's hours are UTC's from here on."""
    desk = await seat(issuer, stack, http, shop, str(shop.mechanic_id), "mechanic")
    await desk.set(timezone="UTC")
    return desk


@pytest.fixture
async def operator(issuer: Issuer, stack: Stack, http: httpx.AsyncClient, shop: Shop) -> Desk:
    return await seat(issuer, stack, http, shop, f"operator-{uuid4()}", "operator")


@pytest.fixture
def search(http: httpx.AsyncClient, stack: Stack, shop: Shop) -> Search:
    return Search(http, stack, shop)


@pytest.fixture(autouse=True)
async def watch(http: httpx.AsyncClient, stack: Stack) -> AsyncIterator[None]:
    """No answer is a mistake of ours."""

    async def look(response: httpx.Response) -> None:
        assert response.status_code != 500, response.request.url

    http.event_hooks["response"].append(look)
    yield
    http.event_hooks["response"].remove(look)


async def seat(issuer: Issuer, stack: Stack, http: httpx.AsyncClient, shop: Shop, subject: str, role: str) -> Desk:
    """Somebody else's token at the shop's mechanic."""
    token = await issuer.token(subject, role)
    return Desk(Customer(http, stack, stack.api_url, token, uuid4()), shop.mechanic_id)


def noon(days: int) -> datetime:
    """Noon in so many days, UTC."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=days)


def conflicts(answer: Json) -> list[tuple[Any, str]]:
    return [(each["booking_id"], each["reason"]) for each in answer["conflicts"]]
