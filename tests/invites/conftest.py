"""Mechanics with a calendar, in a database of these tests' own: rows written by hand are in no workflow's way there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.invites.reader import Component, read
from tests.support.databases import Urls, fresh_database
from tests.support.people import Issuer
from tests.support.processes import serving, settings
from tests.support.shop import Shop, open_shop

Pool = Any


@dataclass(slots=True)
class Seat:
    """Whoever has this token, at one mechanic's addresses; `role` None: nobody."""

    http: httpx.AsyncClient
    api_url: str
    shop: Shop
    headers: dict[str, str]

    async def call(self, method: str, path: str = "/calendar-token") -> httpx.Response:
        url = f"{self.api_url}/v1/mechanics/{self.shop.mechanic_id}{path}"
        return await self.http.request(method, url, headers=self.headers)

    async def make(self) -> str:
        """The new address, at this API."""
        answer = await self.call("POST")
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["url"].partition("?token=")[2]
        return f"{self.api_url}/v1/mechanics/{self.shop.mechanic_id}/calendar.ics?token={token}"


async def entries(http: httpx.AsyncClient, url: str) -> dict[str, Component]:
    """The feed's entries by their UID."""
    answer = await http.get(url)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    return {event["UID"].value: event for event in read(answer.text).parts}


@pytest.fixture(scope="package")
async def urls(stack: Stack) -> AsyncIterator[Urls]:
    async with fresh_database(stack) as urls:
        yield urls


@pytest.fixture(scope="package")
async def rows(urls: Urls) -> AsyncIterator[Pool]:
    """The superuser, who arranges."""
    async with asyncpg.create_pool(urls.superuser, min_size=0, max_size=3) as pool:
        yield pool


@pytest.fixture(scope="package")
async def api_url(stack: Stack, urls: Urls) -> AsyncIterator[str]:
    async with serving(settings(stack, api_database_url=urls.api)) as url:
        yield url


@pytest.fixture
async def own_shop(rows: Pool) -> Shop:
    return await open_shop(rows)


async def seat(http: httpx.AsyncClient, issuer: Issuer, api_url: str, shop: Shop, role: str) -> Seat:
    """The shop's mechanic, or somebody else of this role."""
    subject = str(shop.mechanic_id if role == "mechanic" else uuid4())
    return Seat(http, api_url, shop, {"Authorization": f"Bearer {await issuer.token(subject, role)}"})


@pytest.fixture
async def mechanic(http: httpx.AsyncClient, issuer: Issuer, api_url: str, own_shop: Shop) -> Seat:
    return await seat(http, issuer, api_url, own_shop, "mechanic")
