"""The webhook inbox on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from pitstop.domain.saga import AgreedPayment, PaymentEvent
from pitstop.domain.stripe_events import booking_of, kept, objection, payment_event
from pitstop.ports import StoredEvent
from pitstop.postgres import queries
from pitstop.postgres.limits import note_declined_card
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("inbox")
IGNORED = "ignored"


class PostgresInbox:
    """Implements the port `Inbox`, for the API's role (as the caller `webhook`) and for the worker's."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def store(self, event: dict[str, Any], *, foreign: str | None = None, card: bytes | None = None) -> bool:
        outcome = foreign or (IGNORED if payment_event(event) is None else None)
        booking = booking_of(event)
        async with self._as_webhook() as connection:
            to_apply = await connection.fetchval(
                _SQL["store"], event["id"], event["type"], booking, kept(event), outcome
            )
            if to_apply and card and booking:
                await note_declined_card(connection, booking, card)
            return bool(to_apply)

    async def objection(self, booking_id: UUID, payment: PaymentEvent) -> str | None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["become_link"], str(booking_id))
            row = await connection.fetchrow(_SQL["agreed"], booking_id, payment.payment_intent_id)
        return objection(payment, AgreedPayment(**row) if row else None)

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
