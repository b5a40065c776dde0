"""Services, mechanics and free slots: what anybody may see."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pitstop.domain.booking import SlotRefusal
from pitstop.postgres import queries
from pitstop.postgres.pool import Pool

_SQL = queries.load("catalogue")


class Catalogue:
    """Reads the catalogue and asks the availability predicate, as the role `pitstop_api`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def services(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._pool.fetch(_SQL["services"])]

    async def mechanics(self, service_id: UUID | None, country: str | None, city: str | None) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._pool.fetch(_SQL["mechanics"], service_id, country, city)]

    async def free_slots(
        self,
        service_id: UUID,
        mechanic_id: UUID | None,
        span: tuple[datetime, datetime],
        now: datetime,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[dict[str, Any]]:
        at, last = after or (None, None)
        rows = await self._pool.fetch(_SQL["free_slots"], service_id, mechanic_id, *span, now, at, last, limit)
        return [dict(row) for row in rows]

    async def refusal(self, mechanic_id: UUID, service_id: UUID, start: datetime, now: datetime) -> SlotRefusal | None:
        reason = await self._pool.fetchval(_SQL["slot_refusal"], mechanic_id, service_id, start, now)
        return SlotRefusal(reason) if reason else None

    async def has_service(self, service_id: UUID) -> bool:
        return bool(await self._pool.fetchval(_SQL["service_exists"], service_id))

    async def has_mechanic(self, mechanic_id: UUID) -> bool:
        return bool(await self._pool.fetchval(_SQL["mechanic_exists"], mechanic_id))
