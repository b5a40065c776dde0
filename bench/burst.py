"""Hundreds of holds that end at the same moment: each ends once, and who books meanwhile hardly notices.

What a hold costs while it is made is the measure for what it costs while it ends: both are one workflow task with one
call of Stripe and one transaction.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import httpx
from pydantic import BaseModel
from rich.console import Console
from temporalio.client import Client

from bench import machine, seed
from bench.cpu import Meter, descendants
from bench.figures import percentile
from bench.load import repeat
from bench.memory import memory_mb
from bench.promises import Promise, at_most
from bench.seed import Connection, Offer
from bench.shop import Held, Shop, open_shop
from pitstop.devstack.stackfile import Stack

HOLD_SECONDS = 40
SETTINGS = {
    "PITSTOP_HOLD_SECONDS": str(HOLD_SECONDS),
    "PITSTOP_HOLD_GRACE_SECONDS": "5",
    "PITSTOP_SWEEP_INTERVAL_SECONDS": "20",  # so that the backstop looks while they end
}
CALLERS = 8
MOST_TIME = 3.0
MOST_CPU = 1.8
MOST_CALLS = 1.1
MOST_LATENCY = 3.0
MOST_MEMORY = 1.15
_PAUSE_SECONDS = 0.1
_LOOK_SECONDS = 0.5
_REST_SECONDS = 300.0
_OWN = ("worker", "temporal")


class Spell(BaseModel):
    """`cpu_ms` is for one hold, by process. `calls`: how often Stripe was asked for one hold."""

    name: str
    seconds: float
    calls: float
    p50_ms: float
    p95_ms: float
    cpu_ms: dict[str, float]


class BurstResults(BaseModel):
    machine: machine.Machine
    holds: int
    booked_meanwhile: int
    made: Spell
    ended: Spell
    promises: list[Promise]

    @property
    def passed(self) -> bool:
        return all(each.kept for each in self.promises)


class _Booker:
    """Books, and remembers what came of it."""

    def __init__(self, shop: Shop, offer: Offer) -> None:
        self._shop = shop
        self._offer = offer
        self._slots = seed.free_slots(offer)
        self.held: list[Held] = []
        self.latencies: list[float] = []

    async def book(self) -> None:
        begin = time.perf_counter()
        self.held.append(await self._shop.hold(self._offer, next(self._slots)))
        self.latencies.append(1000 * (time.perf_counter() - begin))

    @asynccontextmanager
    async def steadily(self) -> AsyncIterator[list[float]]:
        """One after another while the block lasts; at its end gives the latencies in ms, or raises what went wrong."""
        begun = len(self.latencies)
        told: list[float] = []
        booking = asyncio.create_task(self._go_on())
        try:
            yield told
        finally:
            booking.cancel()
            with suppress(asyncio.CancelledError):
                await booking
            told += self.latencies[begun:]

    async def _go_on(self) -> None:
        while True:
            await asyncio.shield(self.book())
            await asyncio.sleep(_PAUSE_SECONDS)


async def measure(stack: Stack, quick: bool, console: Console) -> BurstResults:
    holds = 100 if quick else 300
    client = await Client.connect(stack.temporal_address, namespace=stack.temporal_namespace)
    facts = await machine.describe(stack.database_url, client)
    async with seed.superuser(stack.database_url) as connection, open_shop(stack) as shop:
        booker = _Booker(shop, await seed.hours(connection))
        await repeat(booker.book, CALLERS, CALLERS)
        burst = Burst(stack, connection, booker)
        console.print(f"  {holds} holds, which nobody pays")
        made = await burst.make(holds)
        console.print("  they end, and somebody books meanwhile")
        ended = await burst.end(made)
        left = await connection.fetchval(_STILL_HELD, burst.ids)
        wrong = await connection.fetchval(_NOT_EXPIRED, burst.ids)
    return BurstResults(
        machine=facts,
        holds=holds,
        booked_meanwhile=burst.booked_meanwhile,
        made=made,
        ended=ended,
        promises=[
            at_most("holds that ended otherwise than unpaid, or not at all", wrong, 0),
            at_most("slots that are held for them still", left, 0),
            at_most(
                "time until all have ended, of the time in which they were made",
                ended.seconds / made.seconds,
                MOST_TIME,
            ),
            at_most("calls of Stripe for one", ended.calls, MOST_CALLS),
            at_most(
                "p95 of a booking meanwhile, of one while they were made", ended.p95_ms / made.p95_ms, MOST_LATENCY
            ),
            *(
                at_most(
                    f"CPU of {name} to end one, of that to make one", ended.cpu_ms[name] / made.cpu_ms[name], MOST_CPU
                )
                for name in _OWN
            ),
            at_most("memory of the worker after, of that before", burst.memory_growth, MOST_MEMORY),
        ],
    )


class Burst:
    """The holds, first while they are made, then while they end."""

    def __init__(self, stack: Stack, connection: Connection, booker: _Booker) -> None:
        self._stack = stack
        self._connection = connection
        self._booker = booker
        self._meter = Meter({name: stack.pids[name] for name in _OWN})
        self.ids: list[UUID] = []
        self.booked_meanwhile = 0
        self.memory_growth = 1.0

    async def make(self, holds: int) -> Spell:
        before, begin, known = self._meter.read(), time.monotonic(), len(self._booker.held)
        await repeat(self._booker.book, CALLERS, holds)
        seconds, used = time.monotonic() - begin, self._meter.since(before)
        self.ids = [held.booking_id for held in self._booker.held[known:]]
        latencies = self._booker.latencies[known:]
        return _spell("made", seconds, 1.0, latencies, used.of_one(len(self.ids)))

    async def end(self, made: Spell) -> Spell:
        await self._until(_ANY_OVER)
        memory, before, begin = self._memory(), self._meter.read(), time.monotonic()
        async with self._booker.steadily() as latencies:
            await self._until(_ALL_ENDED)
            seconds = time.monotonic() - begin
        used = self._meter.since(before)
        self.booked_meanwhile = len(latencies)
        self.memory_growth = self._memory() / memory
        # What was booked meanwhile has cost what it costs to make a hold.
        cpu = {
            name: (1000 * used.used[name] - made.cpu_ms[name] * len(latencies)) / len(self.ids) for name in used.used
        }
        return _spell("ended", seconds, await self._cancelled() / len(self.ids), latencies, cpu)

    def _memory(self) -> float:
        return memory_mb(*descendants(self._stack.pids["worker"]))

    async def _until(self, query: str) -> None:
        """Returns in the end even if it does not come about: then a promise is broken, and says so."""
        until = time.monotonic() + _REST_SECONDS
        while time.monotonic() < until:
            if await self._connection.fetchval(query, self.ids):
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _cancelled(self) -> int:
        """How often Stripe was asked to cancel one of these payments."""
        intents = {held.payment_intent_id for held in self._booker.held if held.booking_id in set(self.ids)}
        url = f"{self._stack.stripe_api_url}/_control/calls"
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            calls = (await http.get(url, params={"limit": 100_000})).raise_for_status().json()
        return sum(call["path"].endswith("/cancel") and call["path"].split("/")[3] in intents for call in calls)


def _spell(name: str, seconds: float, calls: float, latencies: list[float], cpu_ms: dict[str, float]) -> Spell:
    p50, p95 = (percentile(latencies or [0.0], percent) for percent in (50, 95))
    return Spell(name=name, seconds=seconds, calls=calls, p50_ms=p50, p95_ms=p95, cpu_ms=cpu_ms)


_ANY_OVER = "SELECT EXISTS (SELECT FROM bookings WHERE id = ANY($1::uuid[]) AND hold_expires_at < now())"
_ALL_ENDED = """
SELECT NOT EXISTS (SELECT FROM bookings WHERE id = ANY($1::uuid[]) AND status IN ('holding', 'awaiting_payment'))
"""
_NOT_EXPIRED = """
SELECT count(*) FROM unnest($1::uuid[]) AS wanted (id)
LEFT JOIN bookings AS b ON b.id = wanted.id AND b.status = 'expired'
WHERE b.id IS NULL
"""
_STILL_HELD = """
SELECT count(*) FROM slot_reservations WHERE booking_id = ANY($1::uuid[]) AND status IN ('reserved', 'confirmed')
"""
