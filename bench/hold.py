"""`POST /v1/bookings` beside a bare workflow on the same server and beside a bare INSERT, in turns."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

import asyncpg
from pydantic import BaseModel
from rich.console import Console
from temporalio.client import Client

from bench import machine, seed
from bench.bare import BareClient, bare_worker
from bench.cpu import Meter
from bench.figures import Batch, Figures, Ratio, cpu_ratio, latency_ratio, summed_up
from bench.load import Call, press, repeat
from bench.shop import open_shop
from bench.stack import PRODUCT
from pitstop.devstack.stackfile import Stack

SETTINGS = {"PITSTOP_HOLD_SECONDS": "3600"}  # none runs out while others are measured
CALLERS = (1, 8, 32)
HOLD, BARE, INSERT = "hold", "bare workflow", "bare INSERT"
# What each system makes work, besides the client.
PROCESSES = {HOLD: PRODUCT, BARE: ("temporal", "bare worker"), INSERT: ("postgres",)}
INSERTS_A_BATCH = 400
AIM = 1.5


@dataclass(frozen=True, slots=True)
class Extent:
    rounds: int
    seconds: float

    @classmethod
    def of(cls, quick: bool) -> "Extent":
        return cls(rounds=2, seconds=2) if quick else cls(rounds=5, seconds=5)


class Aim(BaseModel):
    text: str
    wanted: float
    measured: float
    met: bool


class HoldResults(BaseModel):
    machine: machine.Machine
    rounds: int
    seconds_a_batch: float
    figures: list[Figures]
    ratios: list[Ratio]
    aim: Aim


Batches = dict[tuple[str, int], list[Batch]]


async def measure(stack: Stack, quick: bool, console: Console) -> HoldResults:
    extent = Extent.of(quick)
    client = await Client.connect(stack.temporal_address, namespace=stack.temporal_namespace)
    facts = await machine.describe(stack.database_url, client)
    with bare_worker(stack.temporal_address, stack.temporal_namespace) as worker:
        meters = {name: _meter(stack, worker, processes) for name, processes in PROCESSES.items()}
        async with _calls(stack, client, _most_inserts(extent)) as calls:
            batches = await _in_turns(calls, meters, extent, console)
    ratios = [ratio for callers in CALLERS for ratio in _ratios(batches, callers)]
    return HoldResults(
        machine=facts,
        rounds=extent.rounds,
        seconds_a_batch=extent.seconds,
        figures=[summed_up(name, callers, found) for (name, callers), found in batches.items()],
        ratios=ratios,
        aim=_aim(ratios),
    )


async def _in_turns(calls: dict[str, Call], meters: dict[str, Meter], extent: Extent, console: Console) -> Batches:
    """Every system once in each round, every other round the other way about: a noisy minute hits all of them."""
    batches: Batches = {(name, callers): [] for callers in CALLERS for name in calls}
    for call in calls.values():
        await repeat(call, callers=8, times=40)
    for turn in range(extent.rounds):
        for callers in CALLERS:
            for name in list(calls) if turn % 2 == 0 else reversed(calls):
                most = INSERTS_A_BATCH if name == INSERT else None
                batch = await press(calls[name], callers, extent.seconds, meters[name], most)
                batches[name, callers].append(batch)
                console.print(f"  round {turn + 1}/{extent.rounds}, {callers:>2} callers, {name}: {_short(batch)}")
    return batches


@asynccontextmanager
async def _calls(stack: Stack, client: Client, inserts: int) -> AsyncIterator[dict[str, Call]]:
    async with open_shop(stack) as shop, _insert(stack, inserts) as insert:
        async with seed.superuser(stack.database_url) as connection:
            offer = await seed.hours(connection)
        slots = seed.free_slots(offer)
        yield {HOLD: lambda: shop.hold(offer, next(slots)), BARE: BareClient(client).hold, INSERT: insert}


@asynccontextmanager
async def _insert(stack: Stack, most: int) -> AsyncIterator[Call]:
    """One row into `slot_reservations`, constraint and indexes and all, each caller on a connection of its own."""
    connections = [await asyncpg.connect(stack.database_url) for _ in range(max(CALLERS))]
    idle: asyncio.LifoQueue[seed.Connection] = asyncio.LifoQueue()
    for connection in connections:
        idle.put_nowait(connection)
    mechanic, bookings = await seed.bookings_without_slots(connections[0], most)
    rows = _rows(mechanic, bookings)

    async def insert() -> None:
        connection = await idle.get()
        await connection.execute(_INSERT, *next(rows))
        idle.put_nowait(connection)

    try:
        yield insert
    finally:
        for connection in connections:
            await connection.close()


_INSERT = """
INSERT INTO slot_reservations (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at)
VALUES ($1, $2, $3, $4, $5, tstzrange($4, $5), 'reserved', $6)
"""


def _rows(mechanic: UUID, bookings: list[UUID]) -> Iterator[tuple[object, ...]]:
    now = datetime.now(UTC)
    for number, booking in zip(count(1), bookings, strict=False):
        start = now + timedelta(hours=number)
        yield uuid4(), booking, mechanic, start, start + timedelta(hours=1), now + timedelta(days=1)


def _most_inserts(extent: Extent) -> int:
    return (extent.rounds * len(CALLERS) + 1) * (INSERTS_A_BATCH + max(CALLERS))


def _meter(stack: Stack, worker: int, processes: tuple[str, ...]) -> Meter:
    pids = stack.pids | {"bare worker": worker}
    return Meter({name: pids[name] for name in processes})


def _ratios(batches: Batches, callers: int) -> list[Ratio]:
    hold, bare, insert = ((name, batches[name, callers]) for name in (HOLD, BARE, INSERT))
    latencies = [latency_ratio(percent, callers, hold, to) for to in (bare, insert) for percent in (50, 95, 99)]
    return [cpu_ratio(callers, hold, bare), *latencies]


def _aim(ratios: list[Ratio]) -> Aim:
    found = next(r.ratio for r in ratios if (r.figure, r.to, r.callers) == ("p95", BARE, 8))
    text = "p95 of a hold at 8 callers, as a multiple of the bare workflow's"
    return Aim(text=text, wanted=AIM, measured=found, met=found <= AIM)


def _short(batch: Batch) -> str:
    return f"{len(batch.latencies_ms)} calls in {batch.seconds:.1f} s"
