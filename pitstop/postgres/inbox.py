"""The webhook inbox on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pitstop.domain.stripe_events import booking_of, kept, payment_event
from pitstop.ports import StoredEvent
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("inbox")
IGNORED = "ignored"


class PostgresInbox:
    """Implements the port `Inbox`, for the API's role (as the caller `webhook`) and for the worker's."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def store(self, event: dict[str, Any]) -> bool:
        outcome = IGNORED if payment_event(event) is None else None
        arguments = (event["id"], event["type"], booking_of(event), kept(event), outcome)
        async with self._as_webhook() as connection:
            return bool(await connection.fetchval(_SQL["store"], *arguments))

    async def unapplied(self, limit: int) -> list[StoredEvent]:
        async with self._as_webhook() as connection:
            rows = await connection.fetch(_SQL["unapplied"], limit)
        return [StoredEvent(row["event_id"], row["booking_id"], payment_event(row["payload"])) for row in rows]

    async def mark_applied(self, event_id: str, outcome: str) -> None:
        async with self._as_webhook() as connection:
            await connection.execute(_SQL["mark_applied"], event_id, outcome)

    @asynccontextmanager
    async def _as_webhook(self) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["become_webhook"])
            yield connection
