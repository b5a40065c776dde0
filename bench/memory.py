"""Memory of processes as the kernel counts it, in MB: each shared page is shared out among those who have it (PSS)."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pydantic import BaseModel

from bench.cpu import descendants

_LOOK_SECONDS = 5.0


class Sample(BaseModel):
    """`at` is seconds since the beginning."""

    at: float
    mb: dict[str, float]


def memory_mb(root: int) -> float:
    """Of a process and all that descend from it; 0 when it is gone."""
    total = 0
    for pid in descendants(root):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


@asynccontextmanager
async def watched(pids: Mapping[str, int]) -> AsyncIterator[list[Sample]]:
    """Samples, one every few seconds, while the block lasts."""
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
        mb = {name: memory_mb(pid) for name, pid in pids.items()}
        samples.append(Sample(at=time.monotonic() - begin, mb=mb))
        await asyncio.sleep(_LOOK_SECONDS)
