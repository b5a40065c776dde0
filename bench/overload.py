"""Three times as many bookings as can be made: what is accepted stays quick, the rest is told to come back.

An open model: callers come when they come, whatever became of those before them. Each asks once.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from uuid import UUID, uuid4

import httpx
from pydantic import BaseModel
from rich.console import Console
from temporalio.client import Client

from bench import machine, seed
from bench.clients import clients
from bench.figures import percentile
from bench.ledger import Lost, found_lost
from bench.promises import Promise, at_least, at_most
from bench.shop import order
from bench.tally import Tally
from bench.visitors import Ledger, Site
from pitstop.devstack.stackfile import Stack
from pitstop.settings import Settings

SETTINGS: dict[str, str] = {"PITSTOP_HOLD_SECONDS": "3600"}
CALLERS = 16
TIMES = 3.0
LEAST_GOODPUT = 0.7
LEAST_AFTER = 0.8
_CLIENTS = 100


class Spell(BaseModel):
    """`held` are the 201s. Latencies are theirs."""

    name: str
    asked_per_second: float
    held_per_second: float
    p50_ms: float
    p95_ms: float
    statuses: dict[str, int]


class OverloadResults(BaseModel):
    machine: machine.Machine
    before: Spell
    under: Spell
    after: Spell
    promises: list[Promise]
    lost: list[Lost]
    faults: list[str]

    @property
    def passed(self) -> bool:
        return not self.faults and not self.lost and all(each.kept for each in self.promises)


@dataclass
class Count:
    """What came of a spell's calls. `unkind`: refusals that do not say when to come back.

    `seconds` is how long they came, `until_done` how long it took until all were answered.
    """

    asked: int = 0
    seconds: float = 0.0
    until_done: float = 0.0
    held_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    unkind: int = 0

    def spell(self, name: str) -> Spell:
        return Spell(
            name=name,
            asked_per_second=self.asked / self.seconds,
            held_per_second=len(self.held_ms) / self.until_done,
            p50_ms=percentile(self.held_ms or [0], 50),
            p95_ms=percentile(self.held_ms or [0], 95),
            statuses=dict(self.statuses),
        )


async def measure(stack: Stack, quick: bool, console: Console) -> OverloadResults:
    seconds = 10.0 if quick else 30.0
    client = await Client.connect(stack.temporal_address, namespace=stack.temporal_namespace)
    facts = await machine.describe(stack.database_url, client)
    async with seed.superuser(stack.database_url) as connection:
        offer = await seed.hours(connection)
    site = Site(stack, offer, seed.free_slots(offer), Tally(), Ledger())
    async with clients() as http:
        asker = Asker(site, [await http.another() for _ in range(_CLIENTS)])
        await asker.closed(5.0)
        console.print(f"  {CALLERS} callers, one after another")
        before = (await asker.closed(seconds)).spell("before")
        rate = TIMES * before.held_per_second
        console.print(f"  {rate:.0f} callers a second")
        count, reads = await _under(asker, rate, seconds)
        under = count.spell("under")
        console.print(f"  {CALLERS} callers, one after another")
        after = (await asker.closed(seconds)).spell("after")
        lost = await found_lost(stack.database_url, site.ledger)
    return OverloadResults(
        machine=facts,
        before=before,
        under=under,
        after=after,
        promises=_promises(before, under, after, count, reads),
        lost=lost,
        faults=site.tally.faults[:50],
    )


def _promises(before: Spell, under: Spell, after: Spell, count: Count, reads: list[float]) -> list[Promise]:
    goodput, again = (each.held_per_second / before.held_per_second for each in (under, after))
    patience = 1000 * Settings.model_fields["bookings_patience_seconds"].default
    limit = round(patience + 3 * before.p95_ms)
    slowest = percentile(reads, 95)
    return [
        at_least("held under overload, of what is held without", goodput, LEAST_GOODPUT),
        at_most("p95 of what is held, ms", under.p95_ms, limit),
        at_most("p95 of the reads meanwhile, ms", slowest, 2000),
        at_most("refusals that do not say when to come back", count.unkind, 0),
        at_least("held right after, of what was held before", again, LEAST_AFTER),
        at_most("refused right after", sum(n for code, n in after.statuses.items() if code != "201"), 0),
    ]


async def _under(asker: "Asker", rate: float, seconds: float) -> tuple[Count, list[float]]:
    """Bookings at this rate, and beside them the reads of one visitor and of whoever looks after the API."""
    reads: list[float] = []
    reading = asyncio.create_task(asker.reads(seconds, reads))
    count = await asker.open(rate, seconds)
    await reading
    return count, reads


class Asker:
    """Asks for holds, as the service that the dev stack has a token for."""

    def __init__(self, site: Site, http: list[httpx.AsyncClient]) -> None:
        self._site = site
        self._http = cycle(http)
        self._headers = {"Authorization": f"Bearer {site.stack.tokens.service}"}

    async def closed(self, seconds: float) -> Count:
        """So many callers, each when the last answer has come."""
        count, begin = Count(seconds=seconds), time.monotonic()

        async def caller() -> None:
            while time.monotonic() < begin + seconds:
                await self._ask(count)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        count.until_done = time.monotonic() - begin
        return count

    async def open(self, rate: float, seconds: float) -> Count:
        """Poisson arrivals."""
        count, due = Count(seconds=seconds), random.Random(1)  # noqa: S311 - no secret
        begin, at = time.monotonic(), 0.0
        async with asyncio.TaskGroup() as group:
            while at < seconds:
                await asyncio.sleep(max(0.0, begin + at - time.monotonic()))
                group.create_task(self._ask(count))
                at += due.expovariate(rate)
        count.until_done = time.monotonic() - begin
        return count

    async def reads(self, seconds: float, latencies: list[float]) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for path in ("/v1/services", "/health/ready"):
                begin = time.perf_counter()
                answer = await next(self._http).get(f"{self._site.stack.api_url}{path}")
                self._site.tally.answered(answer)
                if answer.is_success:
                    latencies.append(1000 * (time.perf_counter() - begin))
                else:
                    self._site.tally.faults.append(f"{path} meanwhile: {answer.status_code}")
            await asyncio.sleep(0.1)

    async def _ask(self, count: Count) -> None:
        count.asked += 1
        headers = self._headers | {"Idempotency-Key": str(uuid4())}
        body = order(self._site.offer, next(self._site.slots), uuid4())
        begin = time.perf_counter()
        try:
            answer = await next(self._http).post(f"{self._site.stack.api_url}/v1/bookings", json=body, headers=headers)
        except httpx.HTTPError as error:
            self._site.tally.lost(error)
            return
        self._site.tally.answered(answer)
        count.statuses[str(answer.status_code)] += 1
        if answer.status_code == httpx.codes.CREATED:
            count.held_ms.append(1000 * (time.perf_counter() - begin))
            self._site.ledger.acknowledged.add(UUID(answer.json()["id"]))
        elif "Retry-After" not in answer.headers:
            count.unkind += 1
