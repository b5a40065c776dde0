"""CPU of a whole booking, hold to completed, beside a bare saga of five activities and a signal on the same server.

A booking is charged with server, worker, API and PostgreSQL; the bare saga with server and its worker. Stripe's server,
mail sink, issuer and load client stand for other people's machines and are not counted. What the same processes use
doing nothing is measured first and taken off.
"""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
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
    "PITSTOP_CLOSING_SECONDS": "0",
    "PITSTOP_SWEEP_INTERVAL_SECONDS": "3600",  # the backstop's work goes by time, not by booking
}
SESSION = timedelta(minutes=1)
CALLERS = 8
SETTLE_SECONDS = 3.0
# Reminders begin this long before a minute; a minute's work is done this long after it.
LEAD = timedelta(seconds=max(REMINDERS_SECONDS) + 2)
QUIET = timedelta(seconds=7)
BARE_SERVER = ("temporal", "bare worker")
AIM = 1.3


@dataclass(frozen=True, slots=True)
class Extent:
    """`bookings` in all, their sessions in `waves`; `sagas` are run once before and once in each wave's minute."""

    bookings: int
    waves: int
    sagas: int
    idle_seconds: float

    @classmethod
    def of(cls, quick: bool) -> "Extent":
        if quick:
            return cls(bookings=20, waves=1, sagas=20, idle_seconds=10)
        return cls(bookings=75, waves=3, sagas=25, idle_seconds=30)


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
    tasks_timed_out: int
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
        self.last_saga: WorkflowHandle[BareSaga, None]

    async def warm_up(self, offer: seed.Offer) -> None:
        """Fills pools and caches: bookings up to their confirmation mail, and bare sagas."""
        slots = seed.free_slots(offer)

        async def book() -> None:
            await self.shop.pay(await self.shop.hold(offer, next(slots)))

        await repeat(book, CALLERS, 4 * CALLERS)
        await self.bare_sagas(2 * CALLERS)

    async def idle(self, seconds: float) -> Usage:
        before = self.meter.read()
        await asyncio.sleep(seconds)
        return self.meter.since(before)

    async def bare_sagas(self, count: int) -> Usage:
        """All of them to the signal, all of them on from there: as bookings do, which wait for their payment."""
        before, sagas = self.meter.read(), list[WorkflowHandle[BareSaga, None]]()

        async def begin() -> None:
            sagas.append(await self.bare.start_saga())

        await repeat(begin, CALLERS, count)
        await asyncio.sleep(SETTLE_SECONDS)
        waiting = iter(list(sagas))
        await repeat(lambda: self.bare.finish_saga(next(waiting)), CALLERS, count)
        await asyncio.sleep(SETTLE_SECONDS / 2)
        self.last_saga = sagas[-1]
        return self.meter.since(before)

    async def book(self, offer: seed.Offer, first: datetime) -> list[UUID]:
        """Holds and pays all bookings; their sessions are spread over the waves, which begin a minute apart."""
        held = list[Held]()
        starts = [first + wave * SESSION for wave in range(self.extent.waves)] * self.extent.bookings
        slots = iter([seed.Slot(*each) for each in zip(offer.mechanics, starts, strict=False)])

        async def book() -> None:
            booking = await self.shop.hold(offer, next(slots))
            await self.shop.pay(booking)
            held.append(booking)

        await repeat(book, CALLERS, self.extent.bookings)
        await until(first - LEAD, "to book them all")
        return [booking.booking_id for booking in held]

    async def side_by_side(self, offer: seed.Offer) -> tuple[list[UUID], Usage, list[Usage]]:
        """The bookings' usage, and that of each batch of bare sagas.

        The bookings are metered while something happens to them: when they are made, and around each full minute, when
        reminders go out and sessions end. In the quiet of the minutes in between run the bare sagas.
        """
        bare = [await self.bare_sagas(self.extent.sagas)]
        first = _first_start(self.extent.bookings)
        before = self.meter.read()
        ids = await self.book(offer, first)
        await until(first + QUIET)
        usage = self.meter.since(before)
        for wave in range(1, self.extent.waves + 1):
            minute = first + wave * SESSION
            bare.append(await self.bare_sagas(self.extent.sagas))
            await until(minute - LEAD, f"to run {self.extent.sagas} bare sagas")
            before = self.meter.read()
            await until(minute + QUIET)
            usage = usage.plus(self.meter.since(before))
        return ids, usage, bare


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
    console.print("  warming up")
    await bench.warm_up(spare)
    console.print(f"  idle for {bench.extent.idle_seconds:.0f} s")
    await asyncio.sleep(SETTLE_SECONDS)
    idle = await bench.idle(bench.extent.idle_seconds)
    console.print(
        f"  {bench.extent.bookings} bookings, hold to completed, and bare sagas: some {bench.extent.waves + 2} min"
    )
    ids, usage, batches = await bench.side_by_side(offer)
    await _require_completed(pool, ids)
    histories = [await bench.client.get_workflow_handle(booking_workflow_id(id)).fetch_history() for id in ids[:40]]
    bare = [batch.without(idle) for batch in batches]
    sagas = bench.extent.sagas * len(bare)
    booking_cost = _cost("booking", len(ids), usage.without(idle), PRODUCT, histories[0])
    bare_cost = _cost("bare saga", sagas, reduce(Usage.plus, bare), BARE_SERVER, await bench.last_saga.fetch_history())
    return SagaResults(
        machine=facts,
        idle_ms_a_second={name: 1000 * used / idle.seconds for name, used in idle.used.items()},
        booking=booking_cost,
        bare=bare_cost,
        bare_by_batch_ms=[_total(usage.of_one(bench.extent.sagas), BARE_SERVER) for usage in bare],
        mails=await _mails(pool, ids) / len(ids),
        workflow_tasks_of_bookings=sorted(workflow_tasks(history) for history in histories),
        tasks_timed_out=sum(events(history)["WORKFLOW_TASK_TIMED_OUT"] for history in histories),
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


def _first_start(bookings: int) -> datetime:
    """The first whole minute that leaves time to book them all, four a second at least, before the first reminder."""
    earliest = datetime.now(UTC) + timedelta(seconds=bookings / 4) + LEAD
    return earliest.replace(second=0, microsecond=0) + timedelta(minutes=1)


async def until(moment: datetime, what_for: str = "") -> None:
    """Waits. TimeoutError when the moment has passed and `what_for` says what there was too little time for."""
    left = (moment - datetime.now(UTC)).total_seconds()
    if left < 0 and what_for:
        raise TimeoutError(f"the machine is too busy {what_for} in time: the figures would be mixed up")
    await asyncio.sleep(max(0.0, left))


async def _require_completed(pool: "asyncpg.Pool[asyncpg.Record]", ids: list[UUID]) -> None:
    query = "SELECT count(*) FROM bookings WHERE id = ANY($1) AND status = 'completed'"
    done = await pool.fetchval(query, ids)
    if done < len(ids):
        raise TimeoutError(f"{len(ids) - done} of {len(ids)} bookings are not completed in time")


async def _mails(pool: "asyncpg.Pool[asyncpg.Record]", ids: list[UUID]) -> int:
    return int(
        await pool.fetchval("SELECT count(*) FROM notifications WHERE booking_id = ANY($1) AND status = 'sent'", ids)
    )
