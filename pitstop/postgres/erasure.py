"""A customer's personal data, removed from PostgreSQL."""

from datetime import datetime
from uuid import UUID

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.caller import Caller
from pitstop.domain.erasure import MOST_NAMED, ErasedRecords
from pitstop.postgres import queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("erasure")
# Each takes the ids of the bookings.
_ERASE = (
    "erase_sessions",
    "erase_events",
    "erase_reasons",
    "erase_referrals",
    "erase_notices",
    "erase_webhooks",
    "erase_client_secrets",
)


class PostgresErasure:
    """Implements the port `ErasureStore` as the role `pitstop_worker`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def erase(self, customer_id: UUID, by: Caller, now: datetime) -> ErasedRecords:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["lock_bookings"], customer_id)
            # An offer is made with its entry locked: it is seen below, or there will be none.
            await connection.execute(_SQL["lock_entries"], customer_id)
            found = await connection.fetch(_SQL["bookings_to_erase"], customer_id)
            still_open = tuple(row["id"] for row in found if row["open"])
            if still_open:
                return ErasedRecords(open_bookings=still_open[:MOST_NAMED])
            await _erase(connection, [row["id"] for row in found], now)
            await connection.execute(_SQL["erase_waivers"], now)
            await connection.execute(_SQL["erase_entries"], customer_id, now)
            await connection.execute(_SQL["note_erasure"], customer_id, now, by.role, by.subject, len(found))
            entry = Entry(Action.ERASE_CUSTOMER, "customer", str(customer_id), detail={"bookings": len(found)})
            await note(connection, by, entry)
        return ErasedRecords(bookings=len(found))

    async def intents_to_forget(self, customer_id: UUID) -> list[str]:
        rows = await self._pool.fetch(_SQL["intents_to_forget"], customer_id)
        return [row["payment_intent_id"] for row in rows]

    async def intent_forgotten(self, payment_intent_id: str, now: datetime) -> None:
        await self._pool.execute(_SQL["intent_forgotten"], payment_intent_id, now)

    async def complete(self, customer_id: UUID, left_at_stripe: int, now: datetime, asked_until: datetime) -> None:
        await self._pool.execute(_SQL["complete_erasure"], customer_id, now, left_at_stripe, asked_until)


async def _erase(connection: Connection, bookings: list[UUID], now: datetime) -> None:
    await connection.execute(_SQL["erase_bookings"], bookings, now)
    for block in _ERASE:
        await connection.execute(_SQL[block], bookings)
