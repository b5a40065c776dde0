"""A whole house for the random bookings: API, engine, Stripe and mail of the stack, and the clock of each run."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from pitstop.audit.composition import audit_pool
from pitstop.devstack.stackfile import Stack
from pitstop.gateways import temporal_engine
from pitstop.gateways.stripe_ledger import StripeLedger
from pitstop.gateways.stripe_payments import stripe_client
from pitstop.gateways.temporal_runs import TemporalRuns
from pitstop.postgres.audit import PostgresRecords
from tests.life.meeting import Books
from tests.support.people import Customer, Issuer, Json, events
from tests.support.processes import settings
from tests.support.shop import Shop, open_shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

_PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class LiveHouse:
    """One for all examples; each of them opens a `LiveShop` in it."""

    stack: Stack
    http: httpx.AsyncClient
    database: Any
    clock: Clock
    books: Books

    @classmethod
    @asynccontextmanager
    async def opened(cls, stack: Stack) -> AsyncIterator["LiveHouse"]:
        own = settings(stack)
        temporal = await temporal_engine.connect(own)
        async with (
            httpx.AsyncClient(timeout=60) as http,
            asyncpg.create_pool(stack.database_url, min_size=0, max_size=2) as database,
            audit_pool(own) as pool,
            stripe_client(own) as payments,
        ):
            books = Books(PostgresRecords(pool), StripeLedger(payments), TemporalRuns(temporal))
            yield cls(stack, http, database, Clock(temporal), books)

    async def shop(self) -> "LiveShop":
        shop, issuer = await open_shop(self.database), Issuer(self.http, self.stack)
        customer = await issuer.customer(self.stack.api_url)
        mechanic = replace(customer, token=await issuer.token(str(shop.mechanic_id), "mechanic"), id=shop.mechanic_id)
        operator = replace(customer, token=await issuer.token("an-operator", "operator"))
        control = StripeControl(self.http, self.stack, {"mechanic_id": str(shop.mechanic_id)})
        return LiveShop(self, shop, {"customer": customer, "mechanic": mechanic, "operator": operator}, control)


@dataclass(slots=True)
class LiveShop:
    house: LiveHouse
    shop: Shop
    people: dict[str, Customer]
    control: StripeControl

    async def book(self, start: datetime) -> Json | None:
        customer = self.people["customer"]
        answer = await customer.post(customer.request(self.shop, start))
        assert answer.status_code in (201, 409), answer.text
        booking: Json = answer.json()
        return booking if answer.status_code == 201 else None

    async def pay(self, booking: Json, news: str) -> None:
        """`news` says what becomes of Stripe's events: `come`, `drop` or `duplicate`. Dropped, the hold's end tells."""
        rule = None if news == "come" else await self.control.webhooks(news, times=None)
        await self.people["customer"].pay(booking)
        if news == "drop":
            await self.house.clock.forward(booking, timedelta(minutes=16))
        await self.people["customer"].sees(booking, "confirmed", "mail_sent")
        if rule:
            await self.control.remove(rule)

    async def ask(self, booking: Json, who: str, what: str, sent: Json) -> str | None:
        """Why it was refused; None where it was not."""
        answer = await self.people[who].ask(booking, what.replace("_", "-"), **sent)
        assert answer.status_code in (200, 409, 422), answer.text
        code: str | None = None if answer.status_code == 200 else answer.json()["code"]
        return code

    async def now(self, booking: Json) -> datetime:
        moment: datetime = await self.house.clock._skipper.get_current_time(self.house.clock.workflow(booking))
        return moment

    async def forward_to(self, booking: Json, moment: datetime) -> None:
        await self.house.clock.forward_to(booking, moment)

    async def to_the_end(self, booking: Json) -> None:
        await self.house.clock.to_the_end(booking)

    async def terminate(self, booking: Json) -> None:
        await self.house.clock.workflow(booking).terminate("by a test")

    async def seen(self, booking: Json) -> Json:
        read = await self.people["operator"].read(booking)
        told = events(read)
        return {
            "status": read["status"],
            "start": datetime.fromisoformat(read["start"]),
            "moves": told.count("rescheduled"),
            "back": read["amount_refunded"] + read["amount_awaiting_refund"],
            "refunds": told.count("refund_issued") if read["amount_refunded"] else 0,
        }

    async def has_its_mails(self, booking: Json, wanted: dict[str, str]) -> None:
        """The mails become what they ought to be, and no other comes."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while (there := await self._mails(booking)) != wanted:
            assert time.monotonic() < until, {key: (there.get(key), wanted.get(key)) for key in {*there, *wanted}}
            await asyncio.sleep(0.1)

    async def _mails(self, booking: Json) -> dict[str, str]:
        query = "SELECT jsonb_object_agg(key, status)::text FROM notifications WHERE booking_id = $1"
        found: dict[str, str] = json.loads(await self.house.database.fetchval(query, UUID(booking["id"])) or "{}")
        return found
