"""Holds and whole paid bookings, beside the best existing system that was measured on such a machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from pydantic import BaseModel
from rich.console import Console
from temporalio.client import Client

from bench import machine, seed
from bench.cpu import Meter
from bench.figures import Figures, summed_up
from bench.load import Call, press, repeat
from bench.shop import Watch, open_shop
from bench.stack import PRODUCT
from pitstop.devstack.stackfile import Stack

SETTINGS = {"PITSTOP_HOLD_SECONDS": "3600"}
CALLERS = 16
HOLD, PAID = "hold", "hold, paid, confirmed"


class Scale(BaseModel):
    """`theirs` is pretix 2026.8 with 2 workers on two cores, measured once: an order of magnitude, no more."""

    figure: str
    unit: str
    ours: float
    theirs: float


class FlowResults(BaseModel):
    machine: machine.Machine
    figures: list[Figures]
    scale: list[Scale]


@dataclass(frozen=True, slots=True)
class Run:
    name: str
    callers: int
    seconds: float


async def measure(stack: Stack, quick: bool, console: Console) -> FlowResults:
    seconds = 4.0 if quick else 12.0
    client = await Client.connect(stack.temporal_address, namespace=stack.temporal_namespace)
    facts = await machine.describe(stack.database_url, client)
    meter = Meter({name: stack.pids[name] for name in PRODUCT})
    figures = []
    async with _calls(stack) as calls:
        await repeat(calls[PAID], CALLERS, 32)
        for run in (Run(HOLD, 1, seconds), Run(HOLD, CALLERS, seconds), Run(PAID, CALLERS, seconds * 1.5)):
            console.print(f"  {run.name}, {run.callers} callers")
            batch = await press(calls[run.name], run.callers, run.seconds, meter)
            figures.append(summed_up(run.name, run.callers, [batch]))
    one, many, paid = figures
    return FlowResults(
        machine=facts,
        figures=figures,
        scale=[
            Scale(figure="hold, p50 of one caller", unit="ms", ours=one.p50_ms, theirs=68),
            Scale(figure=f"holds, {CALLERS} callers", unit="a second", ours=many.per_second, theirs=28),
            Scale(figure=f"paid bookings, {CALLERS} callers", unit="a second", ours=paid.per_second, theirs=2.8),
        ],
    )


@asynccontextmanager
async def _calls(stack: Stack) -> AsyncIterator[dict[str, Call]]:
    async with (
        open_shop(stack) as shop,
        asyncpg.create_pool(stack.database_url, min_size=1, max_size=2) as pool,
        Watch.opened(pool, "confirmed") as confirmed,
    ):
        async with seed.superuser(stack.database_url) as connection:
            offer = await seed.hours(connection)
        slots = seed.free_slots(offer)

        async def paid() -> None:
            held = await shop.hold(offer, next(slots))
            await shop.pay(held)
            await confirmed.reached(held.booking_id)

        yield {HOLD: lambda: shop.hold(offer, next(slots)), PAID: paid}
