"""Two that come to one booking at the same moment, in an order of the test's choosing; and the audit afterwards.

The first is at its step, with the booking's row in sight, while the second has been asked for: so the second was asked
of a booking that stood as it was before the first.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from pitstop.audit.auditor import Auditor, Scope, Tempo
from tests.support.people import Customer, Json

_WAITING = "SELECT count(*) FROM pg_stat_activity AS a WHERE $1 = ANY(pg_blocking_pids(a.pid))"
_ASKED = "SELECT count(*) FROM booking_changes WHERE booking_id = $1 AND outcome IS NULL"
_PATIENCE_SECONDS = 20.0
# From the record to the run's queue.
_ON_ITS_WAY_SECONDS = 0.3

Act = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Ask:
    """A call of the API, which `meets` can see on record before it is decided on."""

    who: Customer
    booking: Json
    what: str
    sent: Json

    async def __call__(self) -> httpx.Response:
        return await self.who.ask(self.booking, self.what, **self.sent)


def ask(who: Customer, booking: Json, what: str, **sent: Any) -> Ask:
    return Ask(who, booking, what, sent)


@asynccontextmanager
async def held_up(database: Any, booking: Json) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """No step on the booking goes on inside the block; what is asked for is put on record all the same.

    Gives a function that returns when so many wait.
    """
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM bookings WHERE id = $1 FOR NO KEY UPDATE", UUID(booking["id"]))
        pid = await connection.fetchval("SELECT pg_backend_pid()")

        async def are_waiting(count: int) -> None:
            await _until(lambda: database.fetchval(_WAITING, pid), count, "somebody at the booking")

        yield are_waiting


async def meet(database: Any, booking: Json, first: Act, second: Act) -> tuple[Any, Any]:
    """The answers of both. The second is not waited for before the first is let go, unless it is an `Ask`."""
    async with held_up(database, booking) as are_waiting:
        one = asyncio.ensure_future(first())
        await are_waiting(1)
        two = asyncio.ensure_future(second())
        if isinstance(second, Ask):
            wanted = 1 + isinstance(first, Ask)
            await _until(lambda: database.fetchval(_ASKED, UUID(booking["id"])), wanted, "the second on record")
        await asyncio.sleep(_ON_ITS_WAY_SECONDS)
    return await one, await two


async def _until(count: Callable[[], Awaitable[int]], wanted: int, what: str) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while await count() < wanted:
        assert time.monotonic() < until, f"waited in vain: {what}"
        await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Books:
    """The product's audit of single bookings."""

    records: Any
    ledger: Any
    runs: Any

    async def agree(self, *bookings: Json) -> None:
        """Nothing is found at them. What is still under way on a slow machine comes to rest first."""
        tempo = Tempo(timedelta(seconds=1), timedelta(seconds=60), timedelta(seconds=30), timedelta(minutes=30))
        scope = Scope(only=frozenset(UUID(booking["id"]) for booking in bookings))
        found = (await Auditor(self.records, self.ledger, self.runs, tempo).run(scope)).findings
        assert found == (), [(each.kind.code, each.found) for each in found]
