"""Bookings of the audit's tests, in each state, and hands that plant discrepancies and take them away again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import stripe
from temporalio.client import Client

from pitstop.audit.auditor import Auditor, Scope, Tempo
from pitstop.audit.composition import Office
from pitstop.audit.ports import Outcome
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.stripe_ledger import StripeLedger
from pitstop.gateways.temporal_runs import TemporalRuns
from pitstop.postgres import queries
from pitstop.postgres.audit import PostgresRecords
from pitstop.settings import Settings
from tests.support.people import Customer, Issuer, events
from tests.support.shop import Shop
from tests.support.shops import add_plan
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

Json = dict[str, Any]
HOLD = timedelta(minutes=15)
# In an order in which rows can be put back.
_TABLES = {
    "bookings": "id",
    "slot_reservations": "booking_id",
    "sessions": "booking_id",
    "supplements": "booking_id",
    "payments": "booking_id",
    "refunds": "booking_id",
    "webhook_inbox": "booking_id",
    "notifications": "booking_id",
    "booking_flags": "booking_id",
    "proposals": "booking_id",
    "booking_events": "booking_id",
    "booking_changes": "booking_id",
    "check_ins": "booking_id",
    "session_offers": "booking_id",
    "waiver_signatures": "booking_id",
}
# Neither triggers nor foreign keys stand in the way of somebody who plants a discrepancy.
_BY_FORCE = "SET LOCAL session_replication_role = replica"
_AN_HOUR_AGO = ("AN_HOUR_AGO", "now() - interval '1 hour'")


@dataclass
class House:
    """An API and a worker on a database of their own, with the audit of that database."""

    stack: Stack
    temporal: Client
    http: httpx.AsyncClient
    settings: Settings
    database: "asyncpg.Pool[asyncpg.Record]"
    shop: Shop
    url: str
    control: StripeControl
    office: Office
    records: PostgresRecords
    payments: stripe.StripeClient
    _days: "count[int]" = field(default_factory=lambda: count(2))

    @property
    def clock(self) -> Clock:
        return Clock(self.temporal)

    @property
    def ledger(self) -> StripeLedger:
        return StripeLedger(self.payments)

    @property
    def guards_query(self) -> str:
        return queries.load("audit")["guards_missing"]

    async def look(
        self, *bookings: Json | UUID, patience: float = 60, settle: float = 0, scope: Scope | None = None
    ) -> Outcome:
        """The audit of these bookings; no pause lies between its looks unless asked for."""
        tempo = Tempo(timedelta(seconds=settle), timedelta(seconds=patience), timedelta(seconds=30))
        auditor = Auditor(self.records, self.ledger, TemporalRuns(self.temporal), tempo)
        return await auditor.run(scope or Scope(only=frozenset(map(_id, bookings))))

    async def customer(self) -> Customer:
        return await Issuer(self.http, self.stack).customer(self.url)

    async def mechanic(self) -> Customer:
        token = await Issuer(self.http, self.stack).token(str(self.shop.mechanic_id), "mechanic")
        return replace(await self.customer(), token=token, id=self.shop.mechanic_id)

    async def awaiting(self) -> tuple[Customer, Json]:
        customer = await self.customer()
        return customer, await customer.book(self.shop, self.shop.start(days=next(self._days)))

    async def confirmed(self) -> Json:
        return (await self._confirmed())[1]

    async def _confirmed(self) -> tuple[Customer, Json]:
        customer, booking = await self.awaiting()
        await customer.pay(booking)
        return customer, await customer.sees(booking, "confirmed", "mail_sent")

    async def moved(self) -> Json:
        """By its customer, to another day."""
        customer, booking = await self._confirmed()
        start = self.shop.start(days=next(self._days))
        answer = await customer.ask(booking, "reschedule", start=start.isoformat())
        assert answer.status_code == 200, answer.text
        return await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "both mails")

    async def to_pay(self) -> Json:
        """Its customer may pay the difference to a dearer plan."""
        return (await self._to_pay())[1]

    async def _to_pay(self) -> tuple[Customer, Json]:
        customer, booking = await self._confirmed()
        plan = await add_plan(self.database, self.shop, self.shop.amount + 1000)
        start = self.shop.start(days=next(self._days)).isoformat()
        answer = await customer.ask(booking, "reschedule", start=start, plan_id=str(plan))
        assert answer.status_code == 200, answer.text
        return customer, answer.json()

    async def paid_more(self) -> Json:
        """It was paid in two parts, and moved."""
        customer, booking = await self._to_pay()
        await customer.pay({"payment": booking["supplement"]})
        await customer.sees(booking, "confirmed", "rescheduled")
        return await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "both mails")

    async def paid_less(self) -> Json:
        """By its customer it was moved to something cheaper, and the difference has gone back."""
        customer, booking = await self._confirmed()
        plan = await add_plan(self.database, self.shop, self.shop.amount - 1000)
        start = self.shop.start(days=next(self._days)).isoformat()
        answer = await customer.ask(booking, "reschedule", start=start, plan_id=str(plan))
        assert answer.status_code == 200, answer.text
        await customer.sees(booking, "confirmed", "refund_issued")
        return await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "both mails")

    async def moved_late_and_cancelled(self) -> Json:
        """Its customer paid more when half of the price would have gone back, and half of it went back later."""
        customer, booking = await self._confirmed()
        await self.clock.forward_to(booking, datetime.fromisoformat(booking["start"]) - timedelta(hours=5))
        plan = await add_plan(self.database, self.shop, self.shop.amount + 1000)
        start = self.shop.start(days=next(self._days)).isoformat()
        answer = await customer.ask(booking, "reschedule", start=start, plan_id=str(plan))
        await customer.pay({"payment": answer.json()["supplement"]})
        await customer.sees(booking, "confirmed", "rescheduled")
        assert (await customer.ask(booking, "cancel")).status_code == 200
        await self.clock.workflow(booking).result()
        return await customer.read(booking)

    async def cancelled_late(self) -> Json:
        """By its customer, who gets back half of the price."""
        customer, booking = await self._confirmed()
        await self.clock.forward_to(booking, datetime.fromisoformat(booking["start"]) - timedelta(hours=5))
        answer = await customer.ask(booking, "cancel")
        assert answer.status_code == 200, answer.text
        await self.clock.workflow(booking).result()
        return await customer.read(booking)

    async def started(self) -> Json:
        customer, booking = await self._confirmed()
        await self.clock.forward_to(booking, datetime.fromisoformat(booking["start"]))
        answer = await (await self.mechanic()).ask(booking, "start")
        assert answer.status_code == 200, answer.text
        return await customer.read(booking)

    async def missed(self, absent: str = "customer") -> Json:
        """Somebody did not come to it."""
        customer, booking = await self._confirmed()
        await self.clock.forward_to(booking, datetime.fromisoformat(booking["start"]) + timedelta(minutes=12))
        answer = await (await self.mechanic()).ask(booking, "no-show", absent=absent)
        assert answer.status_code == 200, answer.text
        await self.clock.workflow(booking).result()
        return await customer.read(booking)

    async def expired(self) -> Json:
        customer, booking = await self.awaiting()
        await self.clock.forward(booking, HOLD + timedelta(seconds=1))
        return await customer.sees(booking, "expired")

    async def cancelled(self) -> Json:
        """Called off after it was confirmed, its money given back and its mails sent."""
        customer, booking = await self.awaiting()
        await customer.pay(booking)
        await customer.sees(booking, "confirmed", "mail_sent")
        await self.clock.workflow(booking).cancel()
        return await customer.waits_for(
            booking,
            lambda read: read["amount_refunded"] > 0 and events(read).count("mail_sent") == 2,
            "the refund and the cancellation",
        )

    async def completed(self) -> Json:
        booking = await self.confirmed()
        await self.clock.to_the_end(booking)
        return booking

    async def pending(self) -> Json:
        """An immediate session that is offered to the shop's mechanic."""
        customer = await self.customer()
        request = customer.request(self.shop, self.shop.start()) | {"start": None}
        booking: Json = (await customer.post(request)).json()
        await customer.pay(booking)
        return await customer.sees(booking, "pending")

    async def taken(self, booking: Json) -> Json:
        token = await Issuer(self.http, self.stack).token(str(self.shop.mechanic_id), "mechanic")
        mechanic = Customer(self.http, self.stack, self.url, token, self.shop.mechanic_id)
        assert (await mechanic.ask(booking, "accept")).status_code == 200
        return await mechanic.sees(booking, "in_progress", "mail_sent")

    async def plant(self, booking: Json, *statements: str) -> None:
        """By hand, in the database; `$1` is the booking, and AN_HOUR_AGO what it says."""
        async with self.database.acquire() as connection, connection.transaction():
            await connection.execute(_BY_FORCE)
            for statement in statements:
                await connection.execute(statement.replace(*_AN_HOUR_AGO), UUID(booking["id"]))

    @asynccontextmanager
    async def planted(self, booking: Json, *statements: str) -> AsyncIterator[None]:
        """As long as the block lasts; then the booking's rows are as they were."""
        rows = await self._rows(booking)
        await self.plant(booking, *statements)
        try:
            yield
        finally:
            await self._put_back(booking, rows)

    async def _rows(self, booking: Json) -> Json:
        query = "SELECT COALESCE(jsonb_agg(t), '[]')::text FROM {} AS t WHERE {} = $1"
        return {
            table: await self.database.fetchval(query.format(table, column), UUID(booking["id"]))
            for table, column in _TABLES.items()
        }

    async def _put_back(self, booking: Json, rows: Json) -> None:
        put = "INSERT INTO {0} OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_recordset(NULL::{0}, $1::text::jsonb)).*"
        async with self.database.acquire() as connection, connection.transaction():
            await connection.execute(_BY_FORCE)
            for table, column in _TABLES.items():
                remove = f"DELETE FROM {table} WHERE {column} = $1"  # noqa: S608 - our own names
                await connection.execute(remove, UUID(booking["id"]))
                await connection.execute(put.format(table), rows[table])


def _id(booking: Json | UUID) -> UUID:
    return booking if isinstance(booking, UUID) else UUID(booking["id"])


def codes(outcome: Outcome) -> set[str]:
    return {finding.kind.code for finding in outcome.findings}
