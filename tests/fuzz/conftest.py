"""An API process of the fuzzer's own, and what some of its cases are led to: a shop, and a booking of the caller's."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import requests
from schemathesis import Case, GenerationMode

from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer, Issuer
from tests.support.processes import environment, free_port, running, until_live
from tests.support.shop import Shop, open_shop

METRICS_TOKEN = "fuzz"
# None: without a token.
ROLES = ("customer", "mechanic", "operator", "service", None)


def _session() -> requests.Session:
    """Connections that are used again, as clients do; the environment has nothing to say of our own server."""
    session = requests.Session()
    session.trust_env = False
    return session


@dataclass
class Target:
    """Where cases are sent and as whom. `choice` is a number made from the case: the same case goes the same way.

    The mechanic is not the shop's: it changes its rules at random, and the shop is to have free slots.
    """

    url: str
    shop: Shop
    mechanic_id: str
    tokens: dict[str, str]
    booking_id: str
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    session: requests.Session = field(default_factory=_session)

    def headers(self, choice: int) -> dict[str, str]:
        role = ROLES[choice % len(ROLES)]
        return {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}

    def lead(self, case: Case[Any], choice: int) -> None:
        """Every other case that keeps to the document gets ids that name something."""
        if choice % 2 or case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
            return
        if case.path.startswith("/v1/mechanics/"):
            case.path_parameters["id"] = self.mechanic_id
            _make_sense(case.body, self.shop.start())
        elif case.path.endswith(("}", ".ics", "/waiver", "/waiver.pdf")):
            case.path_parameters["id"] = self.booking_id
        if isinstance(case.body, dict) and "service_id" in case.body:
            case.body.update({name: value for name, value in self._slot(choice).items() if name in case.body})

    def _slot(self, choice: int) -> dict[str, Any]:
        """One of a hundred starts: most of them are free when they are first asked for."""
        start = self.shop.start() + timedelta(hours=1.25 * (choice // 10 % 100))
        ids = {name: str(getattr(self.shop, name)) for name in ("service_id", "plan_id", "mechanic_id")}
        return ids | {"start": start.isoformat(), "timezone": "America/Toronto"}


def _make_sense(rules: Any, start: datetime) -> None:
    """Words that name something, spans that contradict no other, and time off that is not over."""
    if not isinstance(rules, dict):
        return
    words = {"timezone": "America/Toronto", "holiday_region": "CA", "services": []}
    words |= {"start": start.isoformat(), "end": (start + timedelta(days=1)).isoformat()}
    rules.update({name: value for name, value in words.items() if name in rules})
    rules.update({name: rules[name][:1] for name in ("weekly", "exceptions") if name in rules})
    for special in rules.get("exceptions", []):
        special["hours"] = special["hours"][:1]


@pytest.fixture(scope="package")
async def target(
    stack: Stack, http: httpx.AsyncClient, database: "asyncpg.Pool[asyncpg.Record]"
) -> AsyncIterator[Target]:
    url, shop, issuer = f"http://127.0.0.1:{free_port()}", await open_shop(database), Issuer(http, stack)
    me, mechanic = uuid4(), str((await open_shop(database)).mechanic_id)
    subjects = {"customer": str(me), "mechanic": mechanic, "operator": "fuzz", "service": f"fuzz-{me}"}
    tokens = {role: await issuer.token(subject, role) for role, subject in subjects.items()}
    customer = Customer(http, stack, stack.api_url, tokens["customer"], me)
    booking = await customer.book(shop, shop.start() - timedelta(days=1))
    await _waits(customer, shop, shop.start() - timedelta(days=1))
    env = environment(stack, public_url=url, metrics_token=METRICS_TOKEN)
    async with running(
        "uvicorn",
        ["api.app:app", "--port", url.rpartition(":")[2], "--no-access-log", "--timeout-keep-alive", "15"],
        env,
    ):
        await until_live(url)
        yield Target(url, shop, mechanic, tokens, booking["id"])


async def _waits(customer: Customer, shop: Shop, start: datetime) -> None:
    """For what somebody has: lists have an entry in which nothing is left out."""
    span = {"from": start.isoformat(), "to": (start + timedelta(hours=1)).isoformat()}
    wish = customer.request(shop, start) | span | {"earliest": "00:00", "latest": "23:45"}
    del wish["start"]
    headers = customer.headers | {"Idempotency-Key": str(uuid4())}
    answer = await customer.http.post(f"{customer.api_url}/v1/waitlist", json=wish, headers=headers)
    assert answer.status_code == 201, answer.text
