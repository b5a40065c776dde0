"""An API on a database of these tests' own: they publish documents, and write bookings by hand."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.gateways.manage_links import ManageLinks
from pitstop.postgres.pool import Pool, open_pool
from pitstop.postgres.waivers import Waivers
from pitstop.settings import Settings
from tests.support.databases import Urls, fresh_database
from tests.support.people import Customer, Issuer
from tests.support.processes import serving, settings
from tests.support.rows import Case, add_booking, add_session
from tests.support.shop import Shop, open_shop

Json = dict[str, Any]
KEPT_FOR = timedelta(days=1095)
Someone = Callable[[str, str], Awaitable[Customer]]
Booked = Callable[..., Awaitable[Case]]


@pytest.fixture(scope="package")
async def urls(stack: Stack) -> AsyncIterator[Urls]:
    async with fresh_database(stack) as urls:
        yield urls


@pytest.fixture(scope="package")
async def database(urls: Urls) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(urls.superuser, min_size=0, max_size=4) as pool:
        yield pool


@pytest.fixture(scope="package")
def own(stack: Stack, urls: Urls) -> Settings:
    return settings(stack, api_database_url=urls.api)


@pytest.fixture(scope="package")
async def url(own: Settings) -> AsyncIterator[str]:
    async with serving(own) as url:
        yield url


@pytest.fixture(scope="package")
async def api_pool(urls: Urls) -> AsyncIterator[Pool]:
    async with open_pool(urls.api, 4, "test") as pool:
        yield pool


@pytest.fixture(scope="package")
def waivers(api_pool: Pool) -> Waivers:
    return Waivers(api_pool, KEPT_FOR)


@pytest.fixture(scope="package")
async def shop(database: Any) -> Shop:
    return await open_shop(database)


@pytest.fixture
def someone(issuer: Issuer, stack: Stack, http: httpx.AsyncClient, url: str) -> Someone:
    """Whoever has a token for this role and subject."""

    async def make(role: str, subject: str) -> Customer:
        token = await issuer.token(subject, role)
        return Customer(http, stack, url, token, UUID(subject) if role == "customer" else UUID(int=0))

    return make


@pytest.fixture
async def operator(someone: Someone) -> Customer:
    return await someone("operator", "operator-1")


@pytest.fixture
def booked(database: Any) -> Booked:
    """A booking of this kind and status, with a mechanic and a service of its own."""

    async def make(kind: str = "in_person", status: str = "confirmed", by: str = "customer", **at: float) -> Case:
        shop = await open_shop(database)
        await database.execute("UPDATE services SET kind = $2 WHERE id = $1", shop.service_id, kind)
        case = await add_booking(database, shop, shop.start(**at), status, by)
        if status in ("confirmed", "in_progress", "completed"):
            await add_session(database, case, {"confirmed": "scheduled"}.get(status, status))
            await database.execute("UPDATE sessions SET kind = $2 WHERE booking_id = $1", case.booking_id, kind)
        return case

    return make


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody who signs for a booking, by token or by link."""

    http: httpx.AsyncClient
    url: str
    case: Case
    link: str
    headers: Json

    @property
    def path(self) -> str:
        return f"{self.url}/v1/bookings/{self.case.booking_id}/waiver"

    async def sign(self, name: str = "Camille Roy", **changes: Any) -> httpx.Response:
        version = changes.pop("document_version", None) or await self.current()
        body = {"signed_name": name, "document_version": version, "accepted": True} | changes
        return await self.http.post(self.path, json=body, headers=self.headers | {"User-Agent": "Browser/1.0"})

    async def by_link(self, name: str = "Camille Roy") -> httpx.Response:
        body = {"signed_name": name, "document_version": await self.current(), "accepted": True}
        return await self.http.post(self.path, json=body, params={"token": self.link})

    async def current(self) -> int:
        answer = await self.http.get(f"{self.url}/v1/waiver-documents/current")
        version: int = answer.json()["version"]
        return version

    async def read(self) -> Json:
        answer = await self.http.get(self.path.removesuffix("/waiver"), headers=self.headers)
        assert answer.status_code == 200, answer.text
        read: Json = answer.json()
        return read


@pytest.fixture
def signer(someone: Someone, http: httpx.AsyncClient, url: str, own: Settings) -> Callable[[Case], Awaitable[Signer]]:
    async def make(case: Case) -> Signer:
        customer = await someone("customer", str(case.customer_id))
        link = ManageLinks(own).token(case.booking_id, case.start + case.shop.duration)
        return Signer(http, url, case, link, customer.headers)

    return make


MakeSigner = Callable[[Case], Awaitable[Signer]]
