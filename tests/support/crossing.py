"""Two that want the same row at the same moment, in an order of the test's choosing.

The row is locked until both wait for it; PostgreSQL lets them in as they came. So each of them began before the other
was done, and saw the world as it was then.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

# Who waits for the process $1, or for somebody who does.
_WAITING = """
WITH RECURSIVE waits (pid) AS (
    SELECT a.pid FROM pg_stat_activity AS a WHERE $1 = ANY(pg_blocking_pids(a.pid))
    UNION
    SELECT a.pid FROM waits AS w JOIN pg_stat_activity AS a ON w.pid = ANY(pg_blocking_pids(a.pid))
)
SELECT count(*) FROM waits
"""
_PATIENCE_SECONDS = 20.0


class Crossing:
    """Those who wait for the booking's row; `connection` has it locked."""

    def __init__(self, database: Any, connection: Any, pid: int) -> None:
        self.connection = connection
        self._database = database
        self._pid = pid
        self._expected = 0

    async def comes(self) -> None:
        """Returns when one more waits than before."""
        self._expected += 1
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            if await self._database.fetchval(_WAITING, self._pid) >= self._expected:
                return
            await asyncio.sleep(0.02)
        raise TimeoutError("nobody comes")


@asynccontextmanager
async def crossing(database: Any, booking_id: Any) -> AsyncIterator[Crossing]:
    """Nobody changes the booking inside the block; at its end they do, in the order in which they came."""
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM bookings WHERE id = $1 FOR UPDATE", booking_id)
        yield Crossing(database, connection, await connection.fetchval("SELECT pg_backend_pid()"))


async def in_order(database: Any, booking_id: Any, *acts: Callable[[], Awaitable[Any]]) -> list[Any]:
    """What came of the acts, the second of which began when the first waited, and so on."""
    async with crossing(database, booking_id) as meeting:
        begun = []
        for act in acts:
            begun.append(asyncio.ensure_future(act()))
            await meeting.comes()
    return await asyncio.gather(*begun)
