"""What a workshop's own people look at: one reading, of one instant."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.caller import Caller, Role
from pitstop.postgres import queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.pool import Pool

_SQL = queries.load("dashboards")
MOST_BOOKINGS = 2000
_MOST_WAITING = 500


class Dashboards:
    """Reads as the role `pitstop_api`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of(
        self, caller: Caller, workshop_id: UUID, first: date | None, last: date | None, now: datetime
    ) -> dict[str, Any] | None:
        """These days, both included, in the workshop's zone; None: today. None for a workshop that the caller does not
        keep."""
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            await connection.execute(_SQL["become"], caller.role, caller.subject)
            asked = await connection.fetchrow(_SQL["workshop"], workshop_id, first, last, now)
            if asked is None:
                return None
            if caller.role is Role.OPERATOR:
                await note(connection, caller, Entry(Action.READ_WORKSHOP, "workshop", str(workshop_id)))
            span = (workshop_id, asked["since"], asked["until"])
            days = (asked["timezone"], asked["first"], asked["last"])
            booked = await connection.fetch(_SQL["bookings"], *span, MOST_BOOKINGS + 1)
            referrals = await connection.fetchrow(_SQL["referrals"], *span)
            return {
                "first": asked["first"],
                "last": asked["last"],
                "timezone": asked["timezone"],
                "bookings": [dict(row) for row in booked[:MOST_BOOKINGS]],
                "more": len(booked) > MOST_BOOKINGS,
                "waiting": [dict(r) for r in await connection.fetch(_SQL["waiting"], workshop_id, _MOST_WAITING)],
                "bays": [dict(row) for row in await connection.fetch(_SQL["bays"], *span)],
                "days": [dict(row) for row in await connection.fetch(_SQL["days"], *span, *days)],
                "referrals": dict(referrals or {"made": 0, "booked": 0}),
            }
