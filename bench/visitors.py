"""People who use the API at once: each looks, thinks, looks again, books, pays or walks away.

A closed model with pauses: a person asks for the next thing when the last one has come and been read. It is what "200
clients" means, and it is kind to a slow server; how the product fares with callers who do not wait is `overload`'s to
show.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from bench.seed import Offer, Slot
from bench.shop import order
from bench.tally import Tally, timed
from pitstop.devstack.stackfile import Stack

# What a person does next, in hundredths.
MIX = {
    "search": 60,
    "look around": 15,
    "own bookings": 10,
    "book and pay": 10,
    "book and leave": 3,
    "follow": 2,
}
FOLLOW_SECONDS = 5.0
CONFIRM_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_MOST_TRIES = 5


class NotDone(Exception):
    """The answer was a refusal, which is counted already: the person does something else."""


@dataclass
class Ledger:
    """What the API has acknowledged, and what was paid: the database must have it at the end."""

    acknowledged: set[UUID] = field(default_factory=set)
    paid: set[UUID] = field(default_factory=set)


@dataclass
class Site:
    """What all visitors share."""

    stack: Stack
    offer: Offer
    slots: Iterator[Slot]
    tally: Tally
    ledger: Ledger


class Visitor:
    """One customer with a token and connections of their own.

    `think_seconds` is the mean of the pauses, which are exponential.
    """

    def __init__(
        self, site: Site, http: httpx.AsyncClient, customer: UUID, token: str, think_seconds: float, seed: int
    ) -> None:
        self._site = site
        self._http = http
        self._customer = customer
        self._headers = {"Authorization": f"Bearer {token}"}
        self._think_seconds = think_seconds
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._last: UUID | None = None
        self._acts = {
            "search": self._search,
            "look around": self._look_around,
            "own bookings": self._own_bookings,
            "book and pay": self._book_and_pay,
            "book and leave": self._book,
            "follow": self._follow,
        }

    async def stay(self, until: float) -> None:
        """Until this moment of the monotonic clock; what is under way then is seen through."""
        await asyncio.sleep(self._random.uniform(0, self._think_seconds))
        while time.monotonic() < until:
            act = self._random.choices(list(MIX), list(MIX.values()))[0]
            try:
                await self._acts[act]()
            except NotDone:
                pass
            except httpx.HTTPError as error:
                self._site.tally.lost(error)
            await asyncio.sleep(self._random.expovariate(1 / self._think_seconds))

    async def _search(self) -> None:
        """Half of them a day of all mechanics, half a week of one."""
        day = next(self._site.slots).start.replace(hour=0)
        query: dict[str, Any] = {"service_id": str(self._site.offer.service_id), "from": day.isoformat(), "limit": 200}
        if self._random.random() < 0.5:
            query["to"] = (day + timedelta(days=1)).isoformat()
        else:
            query["to"] = (day + timedelta(days=7)).isoformat()
            query["mechanic_id"] = str(self._random.choice(self._site.offer.mechanics))
        async with timed(self._site.tally, "search"):
            await self._get("/v1/availability", **query)

    async def _look_around(self) -> None:
        slot, service = next(self._site.slots), str(self._site.offer.service_id)
        async with timed(self._site.tally, "look around"):
            match self._random.randrange(3):
                case 0:
                    await self._get("/v1/services")
                case 1:
                    await self._get("/v1/mechanics", service_id=service)
                case _:
                    check = {
                        "mechanic_id": str(slot.mechanic_id),
                        "service_id": service,
                        "start": slot.start.isoformat(),
                    }
                    await self._send("POST", "/v1/availability/check", 200, json=check)

    async def _own_bookings(self) -> None:
        async with timed(self._site.tally, "own bookings"):
            if self._last and self._random.random() < 0.5:
                await self._get(f"/v1/bookings/{self._last}")
            else:
                await self._get("/v1/bookings", limit=20)

    async def _book(self) -> dict[str, Any]:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        body = order(self._site.offer, next(self._site.slots), self._customer)
        async with timed(self._site.tally, "book"):
            answer = await self._send("POST", "/v1/bookings", 201, json=body, headers=headers)
        booking: dict[str, Any] = answer.json()
        self._last = UUID(booking["id"])
        self._site.ledger.acknowledged.add(self._last)
        return booking

    async def _book_and_pay(self) -> None:
        booking = await self._book()
        await asyncio.sleep(self._random.uniform(0, 2))
        payment = booking["payment"]
        form = {name: payment[name] for name in ("client_secret",)} | {"key": payment["publishable_key"]}
        url = f"{self._site.stack.stripe_api_url}/v1/payment_intents/{payment['payment_intent_id']}/confirm"
        answer = await self._http.post(url, data=form | {"payment_method": "pm_card_visa"})
        if answer.is_success:
            self._site.ledger.paid.add(UUID(booking["id"]))
            async with timed(self._site.tally, "confirmed after payment"):
                await self._until_confirmed(booking["id"])

    async def _until_confirmed(self, booking_id: str) -> None:
        """As a page does that is loaded again."""
        until = time.monotonic() + CONFIRM_SECONDS
        while time.monotonic() < until:
            if (await self._get(f"/v1/bookings/{booking_id}")).json()["status"] == "confirmed":
                return
            await asyncio.sleep(_LOOK_SECONDS)
        raise NotDone

    async def _follow(self) -> None:
        """Counted until the first entry is there."""
        if self._last is None:
            return
        url = f"{self._site.stack.api_url}/v1/bookings/{self._last}/events"
        begin = time.perf_counter()
        async with self._http.stream("GET", url, headers=self._headers) as answer:
            if answer.status_code != httpx.codes.OK:
                await answer.aread()
                self._site.tally.answered(answer)
                raise NotDone
            self._site.tally.answered(answer)
            lines = answer.aiter_lines()
            await anext(lines)
            self._site.tally.done("follow", time.perf_counter() - begin)
            await asyncio.sleep(FOLLOW_SECONDS)

    async def _get(self, path: str, **query: Any) -> httpx.Response:
        return await self._send("GET", path, 200, params=query)

    async def _send(
        self, method: str, path: str, wanted: int, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Comes again when told to, as often as a person would."""
        for _ in range(_MOST_TRIES):
            url = f"{self._site.stack.api_url}{path}"
            answer = await self._http.request(method, url, headers=self._headers | (headers or {}), **more)
            self._site.tally.answered(answer)
            if answer.status_code == wanted:
                return answer
            if answer.status_code not in (429, 503):
                raise NotDone
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")) + self._random.random())
        raise NotDone
