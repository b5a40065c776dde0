"""Services, mechanics and free slots: what anybody may see."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain.booking import SlotRefusal
from pitstop.domain.free_time import FreeTime
from pitstop.domain.places import Place
from pitstop.domain.wall_clock import WallClock
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

    async def free_time(
        self,
        service_id: UUID,
        mechanic_id: UUID | None,
        span: tuple[datetime, datetime],
        now: datetime,
        after: tuple[datetime, UUID] | None,
        most: int,
    ) -> FreeTime | None:
        """At least the first `most` slots after the one that is named, if there are so many. None: no such service."""
        at, last = after or (None, None)
        row = await self._pool.fetchrow(_SQL["free_time"], service_id, mechanic_id, *span, now, at, last, most)
        return FreeTime(*row) if row else None

    async def next_slot(
        self, service_id: UUID, mechanic_id: UUID | None, near: Place, since: datetime, now: datetime
    ) -> dict[str, Any] | None:
        """The first free slot from `since` on, of this mechanic or of any who would serve a customer from there."""
        place = (near.country, near.city, near.postal_code)
        row = await self._pool.fetchrow(_SQL["next_slot"], service_id, mechanic_id, *place, since, now)
        return dict(row) if row else None

    async def wall_clock(self, timezone: str, span: tuple[datetime, datetime]) -> WallClock:
        """Local time within the span, by the database's zone data. Raises `LookupError` for a zone it does not know."""
        try:
            rows = await self._pool.fetch(_SQL["zone_offsets"], timezone, *span)
        except asyncpg.InvalidParameterValueError:
            raise LookupError(timezone) from None
        return WallClock([(row["since"], row["utc_offset"]) for row in rows])

    async def refusal(self, mechanic_id: UUID, service_id: UUID, start: datetime, now: datetime) -> SlotRefusal | None:
        reason = await self._pool.fetchval(_SQL["slot_refusal"], mechanic_id, service_id, start, now)
        return SlotRefusal(reason) if reason else None

    async def has_service(self, service_id: UUID) -> bool:
        return bool(await self._pool.fetchval(_SQL["service_exists"], service_id))

    async def has_mechanic(self, mechanic_id: UUID) -> bool:
        return bool(await self._pool.fetchval(_SQL["mechanic_exists"], mechanic_id))
