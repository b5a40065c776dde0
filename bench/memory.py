"""Memory and CPU of processes over time, as the kernel counts them.

Memory is in MB, each shared page shared out among those who have it (PSS).
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pydantic import BaseModel

from bench.cpu import cpu_seconds, descendants

_LOOK_SECONDS = 5.0
OWN = "load"


class Sample(BaseModel):
    """`at` is seconds since the beginning. `cpu` is seconds used so far by name, `machine` those of all cores."""

    at: float
    mb: dict[str, float]
    cpu: dict[str, float]
    machine: float


class Spent(BaseModel):
    """A minute's CPU seconds by name, and the share of the whole machine that other programs took."""

    minute: int
    cpu: dict[str, float]
    others: float


def by_minute(samples: list[Sample], minutes: int) -> list[Spent]:
    """From the first sample of each minute to the first of the next."""
    firsts = [next(each for each in samples if each.at >= 60 * minute - 1) for minute in range(minutes)]
    pairs = zip(firsts, [*firsts[1:], samples[-1]], strict=True)
    return [_spent(minute, begin, end) for minute, (begin, end) in enumerate(pairs)]


def _spent(minute: int, begin: Sample, end: Sample) -> Spent:
    cpu = {name: end.cpu[name] - begin.cpu[name] for name in begin.cpu}
    whole = len(os.sched_getaffinity(0)) * (end.at - begin.at)
    return Spent(minute=minute, cpu=cpu, others=max(0.0, end.machine - begin.machine - sum(cpu.values())) / whole)


def _machine_seconds() -> float:
    """Of all cores, but for idling and waiting for disks; see proc_stat(5)."""
    user, nice, system, _idle, _waiting, *rest = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    return sum(int(ticks) for ticks in (user, nice, system, *rest)) / os.sysconf("SC_CLK_TCK")


def memory_mb(*pids: int) -> float:
    """Of these processes; 0 of one that is gone."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


@asynccontextmanager
async def watched(pids: Mapping[str, int]) -> AsyncIterator[list[Sample]]:
    """Samples of these processes and of our own, one every few seconds, while the block lasts."""
    samples: list[Sample] = []
    watching = asyncio.create_task(_watch(pids, samples))
    try:
        yield samples
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(pids: Mapping[str, int], samples: list[Sample]) -> None:
    begin = time.monotonic()
    while True:
        # This process starts all the others: it is counted without them.
        mb = {name: memory_mb(*descendants(pid)) for name, pid in pids.items()} | {OWN: memory_mb(os.getpid())}
        cpu = {name: cpu_seconds(pid) for name, pid in pids.items()} | {OWN: time.process_time()}
        samples.append(Sample(at=time.monotonic() - begin, mb=mb, cpu=cpu, machine=_machine_seconds()))
        await asyncio.sleep(_LOOK_SECONDS)
