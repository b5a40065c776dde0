"""Callers of each role, and customers whose every word can be found again."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer, Issuer

Caller = Callable[[str, str], Awaitable[Customer]]


@pytest.fixture
def caller(issuer: Issuer, stack: Stack, http: httpx.AsyncClient) -> Caller:
    """Somebody with a token for this subject and role."""

    async def make(subject: str, role: str) -> Customer:
        return Customer(http, stack, stack.api_url, await issuer.token(subject, role), uuid4())

    return make


@pytest.fixture
async def operator(caller: Caller) -> Customer:
    return await caller(f"operator-{uuid4()}", "operator")


class Words:
    """Personal data that is nowhere else in the world, and so proves what it is found in."""

    def __init__(self) -> None:
        mark = uuid4().hex[:12]
        self.name = f"Xanthippe{mark} Q{mark}quist"
        self.city = f"Ville{mark}"
        self.postal_code = f"P{mark}"
        self.phone = f"+1416{2_000_000 + int(mark, 16) % 7_900_000:07d}"
        self.vehicle = f"vehicle {mark} squeals"

    def body(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request with these words in it."""
        customer = request["customer"] | {"name": self.name, "phone": self.phone}
        location = {"country": "CA", "city": self.city, "postal_code": self.postal_code}
        return request | {"customer": customer, "location": location, "intake": {"vehicle": self.vehicle}}

    @property
    def all(self) -> list[str]:
        return [*self.name.split(), self.city, self.postal_code, self.phone, self.vehicle]


@pytest.fixture
def words() -> Words:
    return Words()
