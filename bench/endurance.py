"""Many clients for minutes, reads and bookings mixed: as fast and as small at the end as at the beginning."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from uuid import UUID, uuid4

import asyncpg
import httpx
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from rich.console import Console
from temporalio.client import Client

from bench import machine, seed
from bench.clients import Clients, clients
from bench.ledger import Lost, found_lost
from bench.load import repeat
from bench.memory import Sample, Spent, by_minute, watched
from bench.shop import open_shop
from bench.tally import Flatness, Line, Tally, flat_latencies
from bench.visitors import Ledger, Site, Visitor
from pitstop.devstack.stackfile import Stack
from worker import CACHED_BOOKINGS

THINK_SECONDS = 5.0
SETTINGS = {
    "PITSTOP_HOLD_SECONDS": "120",  # so that what is left unpaid ends, and is swept up, while it is measured
    "PITSTOP_HOLD_GRACE_SECONDS": "5",
}
# The product's own processes, then those that stand for other people's.
WATCHED = ("api", "worker", "postgres", "temporal", "stripe", "mail", "issuer")
OWN = ("api", "worker")
SERVING = ("api", "worker", "postgres", "temporal")
_FOR_BOOKINGS = ("worker", "temporal")
MOST_LATENCY_GROWTH = 1.5
MOST_MEMORY_GROWTH = 1.15
MOST_CPU_GROWTH = 1.3
# When other programs had more than this of the machine in one of the two minutes, latencies say nothing of ours.
MOST_OF_OTHERS = 0.1
OWN_DELAY = "(this program's own delay)"
_DELAY_LOOK_SECONDS = 0.05
_FEWEST_FOR_P95 = 40
_WARMING_CALLERS = 8


class Storage(BaseModel):
    """MB on disk."""

    postgres: float
    temporal: float


class EnduranceResults(BaseModel):
    machine: machine.Machine
    clients: int
    minutes: int
    think_seconds: float
    lines: list[Line]
    statuses: list[dict[str, int]]
    seen_by_the_api_ms: dict[str, float]
    memory: list[Sample]
    spent: list[Spent]
    storage: tuple[Storage, Storage]
    flatness: list[Flatness]
    acknowledged: int
    paid: int
    lost: list[Lost]
    faults: list[str]

    @property
    def others(self) -> float:
        """The most of the machine that other programs had in the two minutes that are compared."""
        return max(self.spent[minute].others for minute in (1, -1))

    def judged(self, flatness: Flatness) -> bool:
        return self.others <= MOST_OF_OTHERS or not flatness.what.startswith("p95")

    @property
    def passed(self) -> bool:
        flat = all(each.kept for each in self.flatness if self.judged(each))
        return flat and not self.faults and not self.lost


@dataclass(frozen=True, slots=True)
class Crowd:
    clients: int
    minutes: int
    think_seconds: float = THINK_SECONDS


async def measure(stack: Stack, crowd: Crowd, console: Console) -> EnduranceResults:
    client = await Client.connect(stack.temporal_address, namespace=stack.temporal_namespace)
    facts = await machine.describe(stack.database_url, client)
    before = await _storage(stack)
    site = await _site(stack)
    async with clients() as http:
        pids = {name: stack.pids[name] for name in WATCHED}
        visitors = await _visitors(site, http, crowd)
        console.print(f"  {CACHED_BOOKINGS} bookings, so that the worker's cache is full")
        await _warm_up(stack, site)
        async with watched(pids) as memory:
            site.tally.begun = time.monotonic()
            await _all(visitors, site.tally, crowd, console)
        seen = await _seen_by_the_api(await http.another(), stack)
        lost = await found_lost(stack.database_url, site.ledger)
        lines, spent = site.tally.lines(crowd.minutes), by_minute(memory, crowd.minutes)
        return EnduranceResults(
            machine=facts,
            clients=crowd.clients,
            minutes=crowd.minutes,
            think_seconds=crowd.think_seconds,
            lines=lines,
            statuses=[dict(site.tally.statuses[minute]) for minute in sorted(site.tally.statuses)],
            seen_by_the_api_ms=seen,
            memory=memory,
            spent=spent,
            storage=(before, await _storage(stack)),
            flatness=[
                *flat_latencies(
                    [each for each in lines if each.kind != OWN_DELAY],
                    crowd.minutes,
                    MOST_LATENCY_GROWTH,
                    _FEWEST_FOR_P95,
                ),
                *_flat_memory(memory, crowd.minutes),
                *_flat_cpu(spent, site.tally, crowd.minutes),
            ],
            acknowledged=len(site.ledger.acknowledged),
            paid=len(site.ledger.paid),
            lost=lost,
            faults=site.tally.faults[:50],
        )


async def _site(stack: Stack) -> Site:
    async with seed.superuser(stack.database_url) as connection:
        offer = await seed.hours(connection)
    return Site(stack, offer, seed.free_slots(offer), Tally(), Ledger())


async def _warm_up(stack: Stack, site: Site) -> None:
    async with open_shop(stack) as shop:
        await repeat(lambda: shop.hold(site.offer, next(site.slots)), _WARMING_CALLERS, CACHED_BOOKINGS)


async def _visitors(site: Site, http: Clients, crowd: Crowd) -> list[Visitor]:
    visitors = []
    for number in range(crowd.clients):
        identity, own = uuid4(), await http.another()
        token = await _token(site, own, identity)
        visitors.append(Visitor(site, own, identity, token, crowd.think_seconds, number))
    return visitors


async def _token(site: Site, http: httpx.AsyncClient, customer: UUID) -> str:
    wish = {"sub": str(customer), "role": "customer", "ttl_seconds": 7200}
    answer = (await http.post(f"{site.stack.issuer_url}/token", json=wish)).raise_for_status()
    return str(answer.json()["access_token"])


async def _all(visitors: list[Visitor], tally: Tally, crowd: Crowd, console: Console) -> None:
    until = tally.begun + 60 * crowd.minutes
    async with asyncio.TaskGroup() as group:
        group.create_task(_own_delay(tally, until))
        for visitor in visitors:
            group.create_task(visitor.stay(until))
        for minute in range(crowd.minutes):
            await asyncio.sleep(max(0.0, tally.begun + 60 * (minute + 1) - time.monotonic()))
            counted = ", ".join(f"{code}: {count}" for code, count in sorted(tally.statuses[minute].items()))
            console.print(f"  minute {minute + 1}: {counted}")


async def _own_delay(tally: Tally, until: float) -> None:
    """How late this program is itself: what it adds to each latency, at least."""
    while time.monotonic() < until:
        begin = time.perf_counter()
        await asyncio.sleep(_DELAY_LOOK_SECONDS)
        tally.done(OWN_DELAY, time.perf_counter() - begin - _DELAY_LOOK_SECONDS)


async def _seen_by_the_api(http: httpx.AsyncClient, stack: Stack) -> dict[str, float]:
    """The mean time until its answer began, in ms, by method and route, as the API counts."""
    text = (await http.get(f"{stack.api_url}/metrics")).text
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    sums, counts = (
        {
            f"{each.labels['method']} {each.labels['route']}": each.value
            for each in samples
            if each.name == f"pitstop_http_request_seconds_{what}"
        }
        for what in ("sum", "count")
    )
    return {name: 1000 * sums[name] / count for name, count in counts.items() if count}


def _flat_memory(samples: list[Sample], minutes: int) -> list[Flatness]:
    """Means of the second and the last minute."""

    def mean(name: str, minute: int) -> float:
        return fmean(each.mb[name] for each in samples if int(each.at / 60) == minute)

    return [
        Flatness(
            what=f"memory of {name}, MB",
            second=mean(name, min(1, minutes - 1)),
            last=mean(name, minutes - 1),
            most=MOST_MEMORY_GROWTH,
        )
        for name in OWN
    ]


def _flat_cpu(spent: list[Spent], tally: Tally, minutes: int) -> list[Flatness]:
    """What grows with tables and histories shows here, however busy the machine is otherwise.

    API and database work for every answer; worker and engine for bookings.
    """

    def each(name: str, minute: int) -> float:
        answers = tally.statuses[minute]
        count = answers["201"] if name in _FOR_BOOKINGS else answers.total()
        return 1000 * spent[minute].cpu[name] / max(1, count)

    last = minutes - 1
    return [
        Flatness(
            what=f"CPU of {name} for one {'booking' if name in _FOR_BOOKINGS else 'answer'}, ms",
            second=each(name, 1),
            last=each(name, last),
            most=MOST_CPU_GROWTH,
        )
        for name in SERVING
    ]


async def _storage(stack: Stack) -> Storage:
    connection = await asyncpg.connect(stack.database_url)
    try:
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
    finally:
        await connection.close()
    return Storage(postgres=size / 2**20, temporal=_temporal_bytes(stack) / 2**20)


def _temporal_bytes(stack: Stack) -> int:
    """The files that its process has open: the database and its write-ahead log."""
    files = {link.resolve() for link in Path(f"/proc/{stack.pids['temporal']}/fd").iterdir()}
    return sum(path.stat().st_size for path in files if path.name.startswith("temporal.sqlite") and path.exists())
