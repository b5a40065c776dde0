"""Callers of each role, and a watch over every answer: none is a 5xx, none has a status that is not documented."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer, Issuer
from tests.support.shop import Shop

Caller = Callable[[str, str], Awaitable[Customer]]


@pytest.fixture(scope="session")
async def document(stack: Stack, http: httpx.AsyncClient) -> dict[str, Any]:
    """The API's own OpenAPI document."""
    answer = await http.get(f"{stack.api_url}/openapi.json")
    read: dict[str, Any] = answer.json()
    return read


@pytest.fixture(scope="package", autouse=True)
async def watch(http: httpx.AsyncClient, stack: Stack, document: dict[str, Any]) -> AsyncIterator[None]:
    templates = {re.compile(re.sub(r"{\w+}", "[^/]+", path)): item for path, item in document["paths"].items()}

    async def look(response: httpx.Response) -> None:
        if not str(response.request.url).startswith(stack.api_url):
            return
        assert response.status_code < 500, response.request.url
        for template, item in templates.items():
            if template.fullmatch(response.request.url.path):
                documented = item.get(response.request.method.lower(), {"responses": {"405": {}}})["responses"]
                assert str(response.status_code) in documented, (response.request.url, response.status_code)
        if response.status_code >= 400 and response.request.method != "HEAD":
            await response.aread()
            problem_of(response)

    http.event_hooks["response"].append(look)
    yield
    http.event_hooks["response"].remove(look)


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """The answer's problem, which has all that RFC 9457 and the contract promise."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert all(isinstance(problem[name], str) and problem[name] for name in ("type", "title", "detail", "code"))
    return problem


def fields_of(answer: httpx.Response) -> list[str]:
    """The fields that the problem names; each with a remedy."""
    errors = problem_of(answer).get("errors", [])
    assert all(error["message"] for error in errors)
    return [error["field"] for error in errors]


@pytest.fixture
def caller(issuer: Issuer, stack: Stack, http: httpx.AsyncClient) -> Caller:
    """Somebody with a token for this subject and role."""

    async def make(subject: str, role: str) -> Customer:
        return Customer(http, stack, stack.api_url, await issuer.token(subject, role), uuid4())

    return make


@pytest.fixture
async def mechanic(caller: Caller, shop: Shop) -> Customer:
    return await caller(str(shop.mechanic_id), "mechanic")


@pytest.fixture
async def operator(caller: Caller) -> Customer:
    return await caller("operator-1", "operator")


@pytest.fixture
async def backend(caller: Caller) -> Customer:
    """A trusted back end, role `service`."""
    return await caller(f"backend-{uuid4()}", "service")


async def held(database: "asyncpg.Pool[asyncpg.Record]", shop: Shop) -> tuple[int, int]:
    """How many bookings and reservations there are at this shop, in whatever state."""
    row = await database.fetchrow(
        "SELECT (SELECT count(*) FROM bookings WHERE service_id = $1), (SELECT count(*) FROM slot_reservations AS r"
        " JOIN mechanic_services AS m ON m.mechanic_id = r.mechanic_id WHERE m.service_id = $1)",
        shop.service_id,
    )
    assert row is not None
    return row[0], row[1]


@pytest.fixture
async def nothing_held(database: "asyncpg.Pool[asyncpg.Record]", shop: Shop) -> AsyncIterator[None]:
    """What was refused left nothing behind."""
    yield
    assert await held(database, shop) == (0, 0)
