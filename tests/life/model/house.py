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
from tests.life.model.prices import PLANS
from tests.support.people import Customer, Issuer, Json, events
from tests.support.processes import settings
from tests.support.shop import Shop, open_shop
from tests.support.shops import add_plan, hire
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
        """Of two mechanics, and the plans of prices.py."""
        shop, issuer = await open_shop(self.database), Issuer(self.http, self.stack)
        mechanics = (shop.mechanic_id, await hire(self.database, shop))
        plans = {plan: await add_plan(self.database, shop, price) for plan, price in PLANS.items()}
        customer = await issuer.customer(self.stack.api_url)
        people: dict[str | UUID, Customer] = {
            id: replace(customer, token=await issuer.token(str(id), "mechanic"), id=id) for id in mechanics
        }
        operator = replace(customer, token=await issuer.token("an-operator", "operator"))
        people |= {"customer": customer, "operator": operator}
        return LiveShop(self, shop, people, mechanics, plans | {"standard": shop.plan_id})


@dataclass(slots=True)
class LiveShop:
    """`people`: the customer, an operator, and each mechanic by its id."""

    house: LiveHouse
    shop: Shop
    people: dict[str | UUID, Customer]
    mechanics: tuple[UUID, UUID]
    plans: dict[str, UUID]

    async def book(self, start: datetime, mechanic: UUID) -> Json | None:
        customer = self.people["customer"]
        answer = await customer.post(customer.request(self.shop, start, mechanic_id=str(mechanic)))
        assert answer.status_code in (201, 409), answer.text
        booking: Json = answer.json()
        return booking if answer.status_code == 201 else None

    async def pay(self, booking: Json, news: str) -> None:
        """`news` says what becomes of Stripe's events: `come`, `drop` or `duplicate`. Dropped, the hold's end tells."""
        await self._pay(booking, booking["payment"], news)
        await self.people["customer"].sees(booking, "confirmed", "mail_sent")

    async def pay_difference(self, booking: Json, due: Json, news: str) -> None:
        await self._pay(booking, due, news)
        await self.difference_is(booking, due, "applied")

    async def _pay(self, booking: Json, payment: Json, news: str) -> None:
        control = StripeControl(self.house.http, self.house.stack, {"booking_id": booking["id"]})
        rule = None if news == "come" else await control.webhooks(news, times=None)
        paid = await self.people["customer"].pay({"payment": payment})
        assert paid.status_code == 200, paid.text
        if news == "drop":
            await self.house.clock.forward(booking, timedelta(minutes=16))
        if rule:
            await control.remove(rule)

    async def difference(self, booking: Json) -> Json:
        """What is to be paid for the dearer plan that was asked for last."""
        due: Json = (await self.people["customer"].read(booking))["supplement"]
        return due

    async def difference_is(self, booking: Json, due: Json, status: str) -> None:
        def there(read: Json) -> bool:
            now: Json = read["supplement"]
            return bool(now["id"] == due["id"] and now["status"] == status)

        await self.people["customer"].waits_for(booking, there, f"the difference to be {status}")

    async def let_lapse(self, booking: Json, due: Json) -> None:
        await self.house.clock.forward(booking, timedelta(minutes=16))
        await self.difference_is(booking, due, "lapsed")

    async def is_voided(self, booking: Json, due: Json) -> None:
        """Stripe is told beside everything else that nobody is to pay it; then nobody can."""

        def there(read: Json) -> bool:
            now: Json = read["supplement"]
            return bool(now["id"] != due["id"] or now["payment_status"] == "canceled")

        await self.people["customer"].waits_for(booking, there, "Stripe to be told")
        assert (await self.people["customer"].pay({"payment": due})).status_code == 400

    async def ask(self, booking: Json, who: str | UUID, what: str, sent: Json) -> str | None:
        """Why it was refused; None where it was not."""
        answer = await self.people[who].ask(booking, what.replace("_", "-"), **sent)
        assert answer.status_code in (200, 404, 409, 422), answer.text
        code: str | None = None if answer.status_code == 200 else answer.json()["code"]
        return code

    async def last_change(self, booking: Json) -> UUID:
        query = "SELECT id FROM booking_changes WHERE booking_id = $1 ORDER BY asked_at DESC LIMIT 1"
        change: UUID = await self.house.database.fetchval(query, UUID(booking["id"]))
        return change

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
            "mechanic": UUID(read["mechanic_id"]),
            "plan": UUID(read["plan_id"]),
            "amount": read["amount"],
            "moves": told.count("rescheduled"),
            "back": read["amount_refunded"] + read["amount_awaiting_refund"],
            "refunded": (read["amount_refunded"], _refunded(read)),
            "confirmed": told.count("confirmed"),
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


def _refunded(read: Json) -> int:
    """By its timeline, which has an entry for each refund."""
    return sum(entry["detail"]["amount"] for entry in read["timeline"] if entry["event"] == "refund_issued")
