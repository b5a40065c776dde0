"""A client of the public API, as a browser's back end would be: holds, pays, and sees what becomes of the bookings."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from bench.seed import Offer, Slot
from pitstop.devstack.stackfile import Stack

MOST_CALLERS = 64
ANSWER_SECONDS = 60.0
LOOK_SECONDS = 0.05


class Unexpected(Exception):
    """An answer that would make the measurement meaningless."""


@dataclass(frozen=True, slots=True)
class Held:
    booking_id: UUID
    payment_intent_id: str
    client_secret: str


class Shop:
    """Speaks HTTP to the API and, to pay, to the Stripe server: as a service that books for its customers."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient) -> None:
        self._stack = stack
        self._http = http
        self._headers = {"Authorization": f"Bearer {stack.tokens.service}"}

    async def hold(self, offer: Offer, slot: Slot) -> Held:
        """`POST /v1/bookings`; anything but 201 is `Unexpected`."""
        headers = self._headers | {"Idempotency-Key": str(uuid.uuid4())}
        body = order(offer, slot, uuid.uuid4())
        answer = await self._http.post(f"{self._stack.api_url}/v1/bookings", json=body, headers=headers)
        if answer.status_code != httpx.codes.CREATED:
            raise Unexpected(f"POST /v1/bookings: {answer.status_code} {answer.text}")
        booking = answer.json()
        payment = booking["payment"]
        return Held(UUID(booking["id"]), payment["payment_intent_id"], payment["client_secret"])

    async def pay(self, held: Held) -> None:
        """Confirms the PaymentIntent with a card that works, as the customer's browser does."""
        form = {
            "key": self._stack.stripe_publishable_key,
            "client_secret": held.client_secret,
            "payment_method": "pm_card_visa",
        }
        url = f"{self._stack.stripe_api_url}/v1/payment_intents/{held.payment_intent_id}/confirm"
        answer = await self._http.post(url, data=form)
        if answer.status_code != httpx.codes.OK or answer.json()["status"] != "succeeded":
            raise Unexpected(f"confirming {held.payment_intent_id}: {answer.status_code} {answer.text}")


@asynccontextmanager
async def open_shop(stack: Stack) -> AsyncIterator[Shop]:
    limits = httpx.Limits(max_connections=MOST_CALLERS * 2, max_keepalive_connections=MOST_CALLERS * 2)
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS, limits=limits) as http:
        yield Shop(stack, http)


def order(offer: Offer, slot: Slot, customer: UUID) -> dict[str, Any]:
    return {
        "service_id": str(offer.service_id),
        "plan_id": str(offer.plan_id),
        "mechanic_id": str(slot.mechanic_id),
        "start": slot.start.isoformat(),
        "timezone": "America/Toronto",
        "customer": {"id": str(customer), "name": "Camille Roy", "email": f"{customer}@example.com"},
        "location": {"country": "CA", "city": "Toronto", "postal_code": "M5V 2T6"},
        "intake": {"vehicle": "2019 Civic", "problem": "Squeals when braking"},
    }


class Watch:
    """Sees in the database when bookings reach a status; one look for all, so that watching costs next to nothing."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", status: str) -> None:
        self._pool = pool
        self._status = status
        self._awaited: dict[UUID, asyncio.Future[None]] = {}

    async def reached(self, booking_id: UUID, patience_seconds: float = ANSWER_SECONDS) -> None:
        """Returns at most `LOOK_SECONDS` after the fact. TimeoutError when it does not come."""
        future = self._awaited[booking_id] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(future, patience_seconds)
        finally:
            del self._awaited[booking_id]

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._awaited:
                rows = await self._pool.fetch(
                    "SELECT id FROM bookings WHERE id = ANY($1) AND status = $2", list(self._awaited), self._status
                )
                for row in rows:
                    self._answer(row["id"])

    def _answer(self, booking_id: UUID) -> None:
        future = self._awaited.get(booking_id)
        if future and not future.done():
            future.set_result(None)

    @classmethod
    @asynccontextmanager
    async def opened(cls, pool: "asyncpg.Pool[asyncpg.Record]", status: str) -> AsyncIterator["Watch"]:
        watch = cls(pool, status)
        looking = asyncio.create_task(watch._look())
        try:
            yield watch
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
