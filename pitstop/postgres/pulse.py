"""What the API watches: whether the database answers, what is open and what is late, which bookings have news."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pitstop.postgres import queries
from pitstop.postgres.pool import Pool

_SQL = queries.load("pulse")
_LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is open and what is late. Ages are seconds, 0 when there is nothing."""

    bookings: dict[str, int]
    holds_live: int
    notices_overdue: int
    refunds_owed: int
    oldest_refund_seconds: float
    webhooks_unapplied: int
    oldest_webhook_seconds: float


class Pulse:
    """Reads as an operator, who sees every booking, and as the webhooks' keeper; hands out numbers and ids."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def is_reachable(self) -> bool:
        return bool(await self._pool.fetchval(_SQL["ping"], timeout=2) == 1)

    async def backlog(self) -> Backlog:
        """Each figure comes from an index that holds what is open and nothing else: it costs what is open."""
        bookings = await self._read("open_bookings")
        [late] = await self._read("late")
        [inbox] = await self._read("unapplied_webhooks")
        return Backlog({row["status"]: row["count"] for row in bookings}, **late, **inbox)

    async def news(self, bookings: Collection[UUID]) -> dict[UUID, int]:
        """How many entries the timeline of each of these bookings has, by booking: it grows with every one."""
        return {row["booking_id"]: row["entries"] for row in await self._read("news", list(bookings))}

    async def _read(self, query: str, *arguments: Any) -> list[Any]:
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(_SQL["become_webhook" if query == "unapplied_webhooks" else "become_operator"])
            return list(await connection.fetch(_SQL[query], *arguments, timeout=_LOOK_SECONDS))
