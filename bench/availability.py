"""Searches, checks and "first free" through HTTP and as bare statements, by the table's size, beside `SELECT 1`."""

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pydantic import BaseModel
from rich.console import Console
from temporalio.client import Client

from bench import machine
from bench.availability_site import Site, Size, open_site
from bench.figures import Batch, Figures, Ratio, cpu_ratio, latency_ratio, summed_up
from bench.hold import Aim
from bench.load import press, repeat
from bench.plans import explained
from bench.population import CROWDS
from bench.searches import SELECT_ONE, TWO_WEEKS, searches
from pitstop.devstack.stackfile import Stack

SETTINGS: dict[str, str] = {}
CALLERS = (1, 16)
GROWTH_AIM, SELECT_ONE_AIM = 1.2, 2.0


@dataclass(frozen=True, slots=True)
class Extent:
    """`sizes` are numbers of reservations, the smallest first."""

    sizes: tuple[int, ...]
    rounds: int
    seconds: float
    crowds: tuple[int, ...] = CROWDS
    # Before anything counts: every connection of an API has its plans after that.
    warm: int = 96

    @classmethod
    def of(cls, quick: bool, most: int) -> "Extent":
        sizes = tuple(size for size in (10_000, 1_000_000, 10_000_000) if size <= most)
        return cls(sizes, rounds=2, seconds=0.7) if quick else cls(sizes, rounds=4, seconds=1)


class AvailabilityResults(BaseModel):
    """`figures` are through HTTP, `alone` are the statements on one connection; a system is a case and a table's size.
    `plans` by case, of the largest table."""

    machine: machine.Machine
    load_after: float
    rounds: int
    seconds_a_batch: float
    sizes: list[Size]
    figures: list[Figures]
    alone: list[Figures]
    ratios: list[Ratio]
    aims: list[Aim]
    plans: dict[str, list[str]]


Batches = dict[tuple[str, int, int], list[Batch]]


async def measure(stack: Stack, extent: Extent, console: Console) -> AvailabilityResults:
    client = await Client.connect(stack.temporal_address, namespace=stack.temporal_namespace)
    facts = await machine.describe(stack.database_url, client)
    async with AsyncExitStack() as open_sites:
        sites = {}
        for size in extent.sizes:
            console.print(f"  a table of {size:,} reservations …")
            sites[size] = await open_sites.enter_async_context(open_site(stack, size, extent.crowds))
        batches, alone = await _in_turns(sites, extent, console)
        largest = sites[extent.sizes[-1]]
        plans = {
            search.name: await explained(largest.database_url, search.statement)
            for search in searches(largest.population)
        }
    ratios = _ratios(batches, extent.sizes)
    return AvailabilityResults(
        machine=facts,
        load_after=os.getloadavg()[0],
        rounds=extent.rounds,
        seconds_a_batch=extent.seconds,
        sizes=[site.size for site in sites.values()],
        figures=_figures(batches),
        alone=_figures(alone),
        ratios=ratios,
        aims=_aims(ratios, extent.sizes),
        plans=plans,
    )


async def _in_turns(sites: dict[int, Site], extent: Extent, console: Console) -> tuple[Batches, Batches]:
    """Every case on every table once in each round, tables side by side: a noisy minute hits all of them."""
    through_http: Batches = {}
    alone: Batches = {}
    for turn in range(-1, extent.rounds):
        order = list(sites) if turn % 2 == 0 else list(reversed(sites))
        for cases in zip(*(sites[size].calls() for size in order), strict=True):
            for size, (name, request, statement) in zip(order, cases, strict=True):
                site = sites[size]
                if turn < 0:
                    await repeat(request, max(CALLERS), extent.warm)
                    await repeat(statement, 1, 10)
                    continue
                for callers in CALLERS:
                    batch = await press(request, callers, extent.seconds, site.meter)
                    through_http.setdefault((name, size, callers), []).append(batch)
                batch = await press(statement, 1, extent.seconds, site.backend)
                alone.setdefault((name, size, 1), []).append(batch)
        if turn >= 0:
            console.print(f"  round {turn + 1}/{extent.rounds}")
    return through_http, alone


def _system(name: str, size: int) -> str:
    return f"{name}; {size:,}"


def _figures(batches: Batches) -> list[Figures]:
    return [summed_up(_system(name, size), callers, found) for (name, size, callers), found in batches.items()]


def _ratios(batches: Batches, sizes: tuple[int, ...]) -> list[Ratio]:
    """Of each case to `SELECT 1` on the same table, and to the same case on the smallest table."""
    found = []
    for (name, size, callers), of in batches.items():
        pairs = [(name, sizes[0])] if size != sizes[0] else []
        pairs += [(SELECT_ONE, size)] if name != SELECT_ONE else []
        for other in pairs:
            ours, theirs = (_system(name, size), of), (_system(*other), batches[*other, callers])
            found += [cpu_ratio(callers, ours, theirs), latency_ratio(50, callers, ours, theirs)]
    return found


def _aims(ratios: list[Ratio], sizes: tuple[int, ...]) -> list[Aim]:
    small, large = (_system(TWO_WEEKS, size) for size in (sizes[0], sizes[min(1, len(sizes) - 1)]))
    one = _system(SELECT_ONE, sizes[min(1, len(sizes) - 1)])
    wanted = [(large, one, SELECT_ONE_AIM), (large, small, GROWTH_AIM)]
    return [
        Aim(
            text=f"{each.figure} of `{of}` with {each.callers} at once, as a multiple of `{to}`",
            wanted=aim,
            measured=each.ratio,
            met=each.ratio <= aim,
        )
        for of, to, aim in wanted
        for each in ratios
        if (each.of, each.to) == (of, to)
    ]
