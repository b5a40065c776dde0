"""A booking's notices for operators, on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Caller
from pitstop.domain.saga import Standing
from pitstop.postgres import queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("resending")


class NoticeBoard:
    """Reads notices and has them sent again, as the role `pitstop_api`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def notices(self, caller: Caller, booking_id: UUID) -> list[dict[str, Any]] | None:
        """None when there is no such booking."""
        async with self._as(caller) as connection:
            if await connection.fetchrow(_SQL["standing"], booking_id) is None:
                return None
            await note(connection, caller, Entry(Action.LIST_NOTICES, "booking", str(booking_id)))
            return [dict(row) for row in await connection.fetch(_SQL["notices"], booking_id)]

    async def resend(self, caller: Caller, booking_id: UUID, key: str) -> tuple[Standing, bool] | None:
        """Puts the notice back among those to be sent. Where its booking stands, and whether that was so: one that has
        not been sent yet stays as it is. None when there is no such notice."""
        async with self._as(caller) as connection:
            row = await connection.fetchrow(_SQL["standing"], booking_id)
            if row is None or key not in [each["key"] for each in await connection.fetch(_SQL["notices"], booking_id)]:
                return None
            again: bool = await connection.fetchval(_SQL["resend"], booking_id, key)
            entry = Entry(Action.RESEND_NOTICE, "booking", str(booking_id), detail={"notice": key, "again": again})
            await note(connection, caller, entry)
        return _standing(row), again

    @asynccontextmanager
    async def _as(self, caller: Caller) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["become"], caller.role, caller.subject)
            yield connection


def _standing(row: asyncpg.Record) -> Standing:
    return Standing(
        booking_id=row["booking_id"],
        fingerprint=row["fingerprint"],
        mechanic_id=row["mechanic_id"],
        customer_id=row["customer_id"],
        start=row["starts_at"],
        status=BookingStatus(row["status"]),
    )
