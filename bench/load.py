"""Callers in a closed loop: each makes its next call when the last one is answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from bench.cpu import Meter
from bench.figures import Batch

Call = Callable[[], Awaitable[object]]


async def press(call: Call, callers: int, seconds: float, meter: Meter, most: int | None = None) -> Batch:
    """Calls for `seconds`, at most `most` times; what is under way is seen through. The first failure is raised."""
    latencies: list[float] = []
    begun = 0
    before, start = meter.read(), time.perf_counter()

    async def caller() -> None:
        nonlocal begun
        while time.perf_counter() - start < seconds and (most is None or begun < most):
            begun += 1
            asked = time.perf_counter()
            await call()
            latencies.append(1000 * (time.perf_counter() - asked))

    await _all(caller, callers)
    elapsed = time.perf_counter() - start
    return Batch(latencies, elapsed, meter.since(before).used)


async def repeat(call: Call, callers: int, times: int) -> None:
    """Calls `times` times by so many callers."""
    left = times

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call()

    await _all(caller, callers)


async def _all(caller: Callable[[], Awaitable[None]], callers: int) -> None:
    async def awaited() -> None:
        await caller()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(awaited())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
