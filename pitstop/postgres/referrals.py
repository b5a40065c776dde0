"""Referrals: made by a session's mechanic, used once by its customer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Caller, Role
from pitstop.domain.catalogue import SessionKind
from pitstop.domain.referrals import Misnamed, NotReferable, Recommendation, Referred, may_refer
from pitstop.postgres import queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("referrals")
_OF_THE_LINK = "referral"


class Referrals:
    """Reads and makes referrals as the role `pitstop_api`; each is good for `good_for`."""

    def __init__(self, pool: Pool, good_for: timedelta) -> None:
        self._pool = pool
        self._good_for = good_for

    async def refer(
        self, caller: Caller, booking_id: UUID, wanted: Recommendation, now: datetime
    ) -> dict[str, Any] | None:
        """The referral, with its mail on record. None where there is no booking that this caller may refer from.

        Raises `NotReferable` and `Misnamed`.
        """
        async with self._as(caller.role, caller.subject) as connection:
            session = await connection.fetchrow(_SQL["session"], booking_id)
            if session is None or not _is_own(caller, session):
                return None
            if not may_refer(SessionKind(session["kind"]), BookingStatus(session["status"])):
                raise NotReferable
            named = (wanted.service_id, wanted.plan_id, wanted.workshop_id, wanted.mechanic_id)
            if (field := await connection.fetchval(_SQL["misnamed"], *named)) is not None:
                raise Misnamed(field)
            made_by = session["mechanic_id"] if caller.role is Role.MECHANIC else None
            row = await connection.fetchrow(
                _SQL["refer"],
                uuid4(),
                booking_id,
                session["customer_id"],
                session["service"],
                made_by,
                *named,
                wanted.start,
                wanted.note,
                now,
                now + self._good_for,
            )
            await note(connection, caller, Entry(Action.REFER, "booking", str(booking_id)))
            return dict(row) if row else None

    async def offer(self, referral_id: UUID) -> dict[str, Any] | None:
        """What the bearer of its link is shown."""
        async with self._as(_OF_THE_LINK, str(referral_id)) as connection:
            row = await connection.fetchrow(_SQL["offer"], referral_id)
        return dict(row) if row else None

    async def referred(self, caller: Caller, referral_id: UUID) -> Referred | None:
        """None when it is not this caller's to book by."""
        async with self._as(caller.role, caller.subject) as connection:
            row = await connection.fetchrow(_SQL["referred"], referral_id)
        return Referred(**row) if row else None

    @asynccontextmanager
    async def _as(self, role: str, subject: str) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["become"], role, subject)
            yield connection


def _is_own(caller: Caller, session: asyncpg.Record) -> bool:
    """Whoever keeps a workshop sees others' sessions, and does not refer from them."""
    return caller.role is Role.OPERATOR or str(session["mechanic_id"]) == caller.subject
