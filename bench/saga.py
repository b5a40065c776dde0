"""CPU of a whole booking, hold to completed, beside a bare saga of five activities and a signal on the same server.

A booking is charged with server, worker, API and PostgreSQL; the bare saga with server and its worker. Stripe's server,
mail sink, issuer and load client stand for other people's machines and are not counted. What the same processes use
doing nothing is measured first and taken off.
"""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from pydantic import BaseModel
from rich.console import Console
from temporalio.client import Client, WorkflowHandle, WorkflowHistory

from bench import machine, seed
from bench.bare import BareClient, BareSaga, bare_worker
from bench.cpu import Meter, Usage
from bench.history import events, workflow_tasks
from bench.hold import Aim
from bench.load import repeat
from bench.shop import Held, Shop, open_shop
from bench.stack import PRODUCT
from pitstop.contracts.names import booking_workflow_id
from pitstop.devstack.stackfile import Stack

REMINDERS_SECONDS = (20, 10)
SETTINGS = {
    "PITSTOP_REMINDER_OFFSETS_SECONDS": str(list(REMINDERS_SECONDS)),
    "PITSTOP_SWEEP_INTERVAL_SECONDS": "3600",  # the backstop's work goes by time, not by booking
}
SESSION = timedelta(minutes=1)
CALLERS = 8
SETTLE_SECONDS = 3.0
BARE_SERVER = ("temporal", "bare worker")
AIM = 1.3


@dataclass(frozen=True, slots=True)
class Extent:
    bookings: int
    sagas: int
    idle_seconds: float

    @classmethod
    def of(cls, quick: bool) -> "Extent":
        return cls(bookings=20, sagas=15, idle_seconds=8) if quick else cls(bookings=80, sagas=50, idle_seconds=20)


class Cost(BaseModel):
    """CPU milliseconds for one, by process."""

    system: str
    count: int
    cpu_ms: dict[str, float]
    total_ms: float
    workflow_tasks: int
    history_events: int
    events: dict[str, int]


class SagaResults(BaseModel):
    """`idle_ms_a_second`: what was taken off. `mails`: how many were sent for one booking (confirmation, reminders)."""

    machine: machine.Machine
    idle_ms_a_second: dict[str, float]
    booking: Cost
    bare: Cost
    bare_by_batch_ms: list[float]
    mails: float
    workflow_tasks_of_bookings: list[int]
    aim: Aim


class Bench:
    """One run: the processes that are metered, and the clients that make them work."""

    def __init__(self, stack: Stack, worker: int, client: Client, shop: Shop, extent: Extent) -> None:
        self.database_url = stack.database_url
        self.meter = Meter({name: stack.pids[name] for name in PRODUCT} | {"bare worker": worker})
        self.client = client
        self.shop = shop
        self.extent = extent
        self.bare = BareClient(client)

    async def idle(self, seconds: float) -> Usage:
        before = self.meter.read()
        await asyncio.sleep(seconds)
        return self.meter.since(before)

    async def bare_sagas(self) -> tuple[Usage, WorkflowHistory]:
        """All of them to the signal, all of them on from there: as bookings do, which wait for their payment."""
        before, sagas = self.meter.read(), list[WorkflowHandle[BareSaga, None]]()

        async def begin() -> None:
            sagas.append(await self.bare.start_saga())

        await repeat(begin, CALLERS, self.extent.sagas)
        await asyncio.sleep(SETTLE_SECONDS)
        waiting = iter(list(sagas))
        await repeat(lambda: self.bare.finish_saga(next(waiting)), CALLERS, len(sagas))
        await asyncio.sleep(SETTLE_SECONDS / 2)
        return self.meter.since(before), await sagas[0].fetch_history()

    async def bookings(self, offer: seed.Offer, pool: "asyncpg.Pool[asyncpg.Record]") -> tuple[Usage, list[UUID]]:
        """Held, paid, reminded; then, when their session is over, completed. The minute in between is not metered."""
        start, held = _start(self.extent.bookings), list[Held]()
        slots = iter([seed.Slot(mechanic, start) for mechanic in offer.mechanics])

        async def book() -> None:
            booking = await self.shop.hold(offer, next(slots))
            await self.shop.pay(booking)
            held.append(booking)

        before = self.meter.read()
        await repeat(book, CALLERS, self.extent.bookings)
        await _until(start + timedelta(seconds=SETTLE_SECONDS))
        first = self.meter.since(before)
        await _until(start + SESSION - timedelta(seconds=SETTLE_SECONDS))
        before = self.meter.read()
        ids = [booking.booking_id for booking in held]
        await _completed(pool, ids, start + SESSION + timedelta(seconds=60))
        await asyncio.sleep(SETTLE_SECONDS)
        return first.plus(self.meter.since(before)), ids


async def measure(stack: Stack, quick: bool, console: Console) -> SagaResults:
    extent = Extent.of(quick)
    client = await Client.connect(stack.temporal_address, namespace=stack.temporal_namespace)
    facts = await machine.describe(stack.database_url, client)
    with ExitStack() as exits:
        worker = exits.enter_context(bare_worker(stack.temporal_address, stack.temporal_namespace))
        async with open_shop(stack) as shop, asyncpg.create_pool(stack.database_url, min_size=1, max_size=2) as pool:
            bench = Bench(stack, worker, client, shop, extent)
            return await _measured(bench, pool, facts, console)


async def _measured(
    bench: Bench, pool: "asyncpg.Pool[asyncpg.Record]", facts: machine.Machine, console: Console
) -> SagaResults:
    async with seed.superuser(bench.database_url) as connection:
        offer, spare = await seed.minutes(connection, bench.extent.bookings), await seed.hours(connection)
    slots = seed.free_slots(spare)
    await repeat(lambda: bench.shop.hold(spare, next(slots)), CALLERS, 16)
    await repeat(bench.bare.hold, CALLERS, 16)
    console.print(f"  idle for {bench.extent.idle_seconds:.0f} s")
    await asyncio.sleep(SETTLE_SECONDS)
    idle = await bench.idle(bench.extent.idle_seconds)
    console.print(f"  {bench.extent.sagas} bare sagas")
    before, bare_history = await bench.bare_sagas()
    console.print(f"  {bench.extent.bookings} bookings, hold to completed: some two minutes")
    whole, ids = await bench.bookings(offer, pool)
    console.print(f"  {bench.extent.sagas} bare sagas")
    after, _ = await bench.bare_sagas()
    histories = [await bench.client.get_workflow_handle(booking_workflow_id(id)).fetch_history() for id in ids[:20]]
    bare = [usage.without(idle) for usage in (before, after)]
    booking_cost = _cost("booking", len(ids), whole.without(idle), PRODUCT, histories[0])
    bare_cost = _cost("bare saga", 2 * bench.extent.sagas, bare[0].plus(bare[1]), BARE_SERVER, bare_history)
    return SagaResults(
        machine=facts,
        idle_ms_a_second={name: 1000 * used / idle.seconds for name, used in idle.used.items()},
        booking=booking_cost,
        bare=bare_cost,
        bare_by_batch_ms=[_total(usage.of_one(bench.extent.sagas), BARE_SERVER) for usage in bare],
        mails=await _mails(pool, ids) / len(ids),
        workflow_tasks_of_bookings=sorted(workflow_tasks(history) for history in histories),
        aim=_aim(booking_cost, bare_cost),
    )


def _cost(system: str, count: int, usage: Usage, processes: tuple[str, ...], history: WorkflowHistory) -> Cost:
    each = usage.of_one(count)
    found = events(history)
    return Cost(
        system=system,
        count=count,
        cpu_ms={name: each[name] for name in processes},
        total_ms=_total(each, processes),
        workflow_tasks=workflow_tasks(history),
        history_events=found.total(),
        events=dict(found.most_common()),
    )


def _total(each: dict[str, float], processes: tuple[str, ...]) -> float:
    return sum(each[name] for name in processes)


def _aim(booking: Cost, bare: Cost) -> Aim:
    ratio = booking.total_ms / bare.total_ms
    text = "CPU of a booking, hold to completed, as a multiple of the bare saga's"
    return Aim(text=text, wanted=AIM, measured=ratio, met=ratio <= AIM)


def _start(bookings: int) -> datetime:
    """The first whole minute that leaves time to book them all, four a second at least, before the first reminder."""
    earliest = datetime.now(UTC) + timedelta(seconds=bookings / 4 + max(REMINDERS_SECONDS) + SETTLE_SECONDS)
    return earliest.replace(second=0, microsecond=0) + timedelta(minutes=1)


async def _until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


async def _completed(pool: "asyncpg.Pool[asyncpg.Record]", ids: list[UUID], deadline: datetime) -> None:
    query = "SELECT count(*) FROM bookings WHERE id = ANY($1) AND status = 'completed'"
    while (done := await pool.fetchval(query, ids)) < len(ids):
        if datetime.now(UTC) > deadline:
            raise TimeoutError(f"{len(ids) - done} of {len(ids)} bookings are not completed")
        await asyncio.sleep(0.5)


async def _mails(pool: "asyncpg.Pool[asyncpg.Record]", ids: list[UUID]) -> int:
    return int(
        await pool.fetchval("SELECT count(*) FROM notifications WHERE booking_id = ANY($1) AND status = 'sent'", ids)
    )
