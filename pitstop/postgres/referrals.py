"""Referrals: made by a session's mechanic, used once by its customer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Caller, Role
from pitstop.domain.catalogue import SessionKind
from pitstop.domain.notices import Language
from pitstop.domain.referrals import (
    FURTHEST,
    Misnamed,
    NotReferable,
    OutOfReach,
    Recommendation,
    Referred,
    may_refer,
)
from pitstop.ports import IdempotencyKeyReused
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
    ) -> tuple[dict[str, Any], bool] | None:
        """The referral, with its mail on record, and whether it is new: a request that is repeated finds its own.

        None where there is no booking that this caller may refer from. Raises `NotReferable`, `Misnamed`, `OutOfReach`,
        and `IdempotencyKeyReused` when the key belongs to another request.
        """
        async with self._as(caller.role, caller.subject) as connection:
            session = await connection.fetchrow(_SQL["session"], booking_id)
            if session is None or not _is_own(caller, session):
                return None
            if (known := await _known(connection, wanted)) is not None:
                return known, False
            await _require_referable(connection, session, wanted, now)
            row = await self._insert(connection, caller, session, wanted, now)
            if row is None:
                # The same request, at the same time.
                return await _known(connection, wanted) or {}, False
            if await connection.fetchval(_SQL["is_erased"], booking_id):
                # There is nobody to write to. What was just written goes with the transaction.
                raise NotReferable
            await note(connection, caller, Entry(Action.REFER, "booking", str(booking_id)))
            return dict(row), True

    async def _insert(
        self, connection: Connection, caller: Caller, session: asyncpg.Record, wanted: Recommendation, now: datetime
    ) -> asyncpg.Record | None:
        """None when there is one under this key."""
        return await connection.fetchrow(
            _SQL["refer"],
            wanted.id,
            session["booking_id"],
            session["customer_id"],
            session["service"],
            session["mechanic_id"] if caller.role is Role.MECHANIC else None,
            *wanted.named,
            wanted.start,
            wanted.note,
            now,
            now + self._good_for,
            wanted.fingerprint,
        )

    async def offer(self, referral_id: UUID) -> dict[str, Any] | None:
        """What the bearer of its link is shown, with the language and zone to show it in, and whether it is `used`."""
        async with self._as(_OF_THE_LINK, str(referral_id)) as connection:
            row = await connection.fetchrow(_SQL["offer"], referral_id)
            if row is None:
                return None
            # Whoever has this link has got it by mail, as the link of the booking.
            await connection.execute(_SQL["become"], Role.LINK, str(row["booking_id"]))
            reader = await connection.fetchrow(_SQL["reader"], row["booking_id"])
            # Of the booking that was made by it no more is read than that there is one.
            await connection.execute(_SQL["become"], Role.CUSTOMER, str(row["customer_id"]))
            used = await connection.fetchval(_SQL["is_used"], referral_id)
        return {**row, "used": used, **(reader or {"language": Language.EN, "timezone": "UTC"})}

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


async def _known(connection: Connection, wanted: Recommendation) -> dict[str, Any] | None:
    row = await connection.fetchrow(_SQL["known"], wanted.id)
    if row is not None and row["request_fingerprint"] != wanted.fingerprint:
        raise IdempotencyKeyReused
    return dict(row) if row else None


async def _require_referable(
    connection: Connection, session: asyncpg.Record, wanted: Recommendation, now: datetime
) -> None:
    if not may_refer(SessionKind(session["kind"]), BookingStatus(session["status"])):
        raise NotReferable
    if wanted.start is not None and not now < wanted.start < now + FURTHEST:
        raise OutOfReach
    if (field := await connection.fetchval(_SQL["misnamed"], *wanted.named)) is not None:
        raise Misnamed(field)


def _is_own(caller: Caller, session: asyncpg.Record) -> bool:
    """Whoever keeps a workshop sees others' sessions, and does not refer from them."""
    return caller.role is Role.OPERATOR or str(session["mechanic_id"]) == caller.subject
