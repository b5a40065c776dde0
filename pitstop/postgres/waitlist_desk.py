"""The waitlist as the API sees it: joined, read and left by whoever waits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.caller import Caller, Role
from pitstop.domain.waitlist import EntryLimits, EntryRequest, FreeSlot, Joining
from pitstop.postgres import queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.pool import Connection, Pool

_SQL, _DESK = queries.load("waitlist_desk"), queries.load("desk")
# What the desk calls at fault when nothing is: it is asked about a booking, which has a start.
_NOTHING = "start"


class WaitlistDesk:
    """Works as the role `pitstop_api`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def join(self, caller: Caller, request: EntryRequest, limits: EntryLimits, now: datetime) -> Joining:
        """Puts the wish on record, once, if nothing that fits can be had at once and the customer may wait for more."""
        async with self._as(caller) as connection:
            await connection.execute(_SQL["one_at_a_time"], request.customer_id)
            if (known := await _known(connection, request)) is not None:
                return known
            if (misnamed := await _misnamed(connection, request)) is not None:
                return Joining(misnamed=misnamed)
            if (free := await _free(connection, request, now)) is not None:
                return Joining(free=free)
            if await connection.fetchval(_SQL["count_waiting"], request.customer_id) >= limits.per_customer:
                return Joining(too_many=True)
            if await _insert(connection, caller, request, limits) is None:
                # One who may not see what is there: the wish is another caller's, for the same customer.
                return Joining(too_many=True)
            await note(connection, caller, Entry(Action.JOIN_WAITLIST, "waitlist", str(request.id)))
            return Joining(entry_id=request.id, new=True)

    async def entry(self, caller: Caller, entry_id: UUID) -> dict[str, Any] | None:
        """None when there is none that this caller may see."""
        async with self._as(caller) as connection:
            row = await connection.fetchrow(_SQL["entry"], entry_id)
            if row is not None:
                await _note_reading(connection, caller, Entry(Action.READ_WAITLIST, "waitlist", str(entry_id)))
        return dict(row) if row else None

    async def entries(self, caller: Caller, after: tuple[datetime, UUID] | None, limit: int) -> list[dict[str, Any]]:
        async with self._as(caller) as connection:
            await connection.execute(_DESK["plan_for_what_is_asked"])
            whose = caller.subject if caller.role is Role.CUSTOMER else None
            rows = await connection.fetch(_SQL["list_entries"], *(after or (None, None)), limit, whose)
            await _note_reading(
                connection, caller, Entry(Action.READ_WAITLIST, "waitlist", detail={"count": len(rows)})
            )
        return [dict(row) for row in rows]

    async def leave(self, caller: Caller, entry_id: UUID) -> UUID | None:
        """Leaving again, or leaving what is over, changes nothing. Brings back the open offer that the caller sees."""
        async with self._as(caller) as connection:
            if await connection.fetchval(_SQL["leave"], entry_id) is not None:
                await note(connection, caller, Entry(Action.LEAVE_WAITLIST, "waitlist", str(entry_id)))
            # Only now: an offer is made with its entry locked, so it is seen here, or there will be none.
            offered: UUID | None = await connection.fetchval(_SQL["open_offer"], entry_id)
        return offered

    @asynccontextmanager
    async def _as(self, caller: Caller) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_DESK["become"], caller.role, caller.subject)
            yield connection


async def _known(connection: Connection, request: EntryRequest) -> Joining | None:
    """The entry of this key, or of this wish."""
    row = await connection.fetchrow(_SQL["known"], request.id)
    if row is not None:
        return Joining(entry_id=row["id"], same_request=row["request_fingerprint"] == request.fingerprint)
    waiting = await connection.fetchval(_SQL["same_wish"], request.customer_id, request.wish)
    return Joining(entry_id=waiting) if waiting else None


async def _misnamed(connection: Connection, request: EntryRequest) -> str | None:
    wanted, place = request.wanted, (request.country, request.city, request.postal_code)
    ids = (wanted.service_id, wanted.plan_id, wanted.mechanic_id)
    misnamed: str = await connection.fetchval(_DESK["misnamed"], *ids, *place)
    return None if misnamed == _NOTHING else misnamed


async def _free(connection: Connection, request: EntryRequest, now: datetime) -> FreeSlot | None:
    wanted, place = request.wanted, (request.country, request.city, request.postal_code)
    when = (*wanted.span, wanted.timezone, wanted.earliest, wanted.latest, now)
    row = await connection.fetchrow(_SQL["free_now"], wanted.service_id, wanted.mechanic_id, *place, *when)
    return FreeSlot(**row) if row else None


async def _insert(connection: Connection, caller: Caller, request: EntryRequest, limits: EntryLimits) -> UUID | None:
    wanted = request.wanted
    id: UUID | None = await connection.fetchval(
        _SQL["join"],
        request.id,
        request.fingerprint,
        request.wish,
        caller.subject,
        request.customer_id,
        request.customer_name,
        request.customer_email,
        request.customer_phone,
        request.sms_consent,
        request.language,
        request.country,
        request.city,
        request.postal_code,
        request.intake,
        wanted.timezone,
        wanted.service_id,
        wanted.plan_id,
        wanted.mechanic_id,
        *wanted.span,
        wanted.earliest,
        wanted.latest,
        limits.missed,
    )
    return id


async def _note_reading(connection: Connection, caller: Caller, entry: Entry) -> None:
    """Operators read what is not theirs: that is on record. The others see their own."""
    if caller.role is Role.OPERATOR:
        await note(connection, caller, entry)
