"""Workshops: opened by operators, kept by their own, and what is booked stays where it is."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.caller import Caller, Role
from pitstop.domain.notices import Language
from pitstop.domain.rules import UnknownTimezone
from pitstop.postgres import queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("workshops")
Row = dict[str, Any]


class NameTaken(Exception):
    """There is a bay of this name in the workshop."""


class UnknownWorkshop(Exception):
    """There is no such workshop."""


@dataclass(frozen=True, slots=True)
class WorkshopSheet:
    """`confirms_within_minutes` None: bookings need no word of the workshop."""

    name: str
    country: str
    city: str
    postal_code: str
    address: str
    email: str | None
    language: Language
    timezone: str
    confirms_within_minutes: int | None


class Workshops:
    """Reads and changes as the role `pitstop_api`. None: there is none such that this caller may change.

    A change that holds are judged by begins with the lock that a hold takes.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(self, after: tuple[datetime, UUID] | None, limit: int) -> list[Row]:
        async with self._pool.acquire() as connection:
            return [
                dict(row) for row in await connection.fetch(_SQL["list_workshops"], *(after or (None, None)), limit)
            ]

    async def workshop(self, workshop_id: UUID) -> Row | None:
        row = await self._pool.fetchrow(_SQL["workshop"], workshop_id)
        return dict(row) if row else None

    async def open(self, caller: Caller, sheet: WorkshopSheet) -> Row | None:
        """Raises `UnknownTimezone`."""
        async with self._as(caller) as connection:
            with _refusals():
                id: UUID = await connection.fetchval(_SQL["open_workshop"], *astuple(sheet))
            await note(connection, caller, Entry(Action.OPEN_WORKSHOP, "workshop", str(id)))
            return await _read(connection, id)

    async def set(self, caller: Caller, workshop_id: UUID, sheet: WorkshopSheet) -> Row | None:
        """What is booked keeps the period that it was booked with. Raises `UnknownTimezone`."""
        async with self._changing(caller, workshop_id) as connection:
            if connection is None:
                return None
            with _refusals():
                await connection.execute(_SQL["set_workshop"], workshop_id, *astuple(sheet))
            await note(connection, caller, Entry(Action.SET_WORKSHOP, "workshop", str(workshop_id)))
            return await _read(connection, workshop_id)

    async def add_bay(self, caller: Caller, workshop_id: UUID, name: str) -> Row | None:
        """Raises `NameTaken`."""
        async with self._changing(caller, workshop_id) as connection:
            if connection is None:
                return None
            with _refusals():
                row = await connection.fetchrow(_SQL["add_bay"], workshop_id, name)
            await note(connection, caller, Entry(Action.ADD_BAY, "workshop", str(workshop_id)))
            return {**(row or {}), "conflicts": []}

    async def set_bay(
        self, caller: Caller, workshop_id: UUID, bay_id: UUID, name: str, active: bool, now: datetime
    ) -> Row | None:
        """A bay that is taken out of use keeps what is booked in it, and says what that is. Raises `NameTaken`."""
        async with self._changing(caller, workshop_id) as connection:
            if connection is None:
                return None
            with _refusals():
                row = await connection.fetchrow(_SQL["set_bay"], workshop_id, bay_id, name, active)
            if row is None:
                return None
            conflicts = [dict(each) for each in await connection.fetch(_SQL["bay_conflicts"], bay_id, now)]
            detail = {"bay_id": str(bay_id), "active": active, "conflicts": len(conflicts)}
            await note(connection, caller, Entry(Action.SET_BAY, "workshop", str(workshop_id), detail=detail))
            return {**row, "conflicts": conflicts}

    async def assign(
        self, caller: Caller, mechanic_id: UUID, workshop_id: UUID | None, keeps: bool, now: datetime
    ) -> Row | None:
        """Where a mechanic works, and whether it speaks for the workshop; for operators. What it has elsewhere stays
        there, and is named. Raises `UnknownWorkshop`."""
        async with self._as(caller) as connection:
            with _refusals():
                assigned = await connection.fetchval(_SQL["assign"], mechanic_id, workshop_id, keeps)
            if assigned is None:
                return None
            conflicts = [dict(each) for each in await connection.fetch(_SQL["place_conflicts"], mechanic_id, now)]
            detail = {"workshop_id": str(workshop_id) if workshop_id else None, "keeps": keeps}
            entry = Entry(Action.ASSIGN_MECHANIC, "mechanic", str(mechanic_id), detail=detail)
            await note(connection, caller, entry)
            return {
                "workshop_id": workshop_id,
                "keeps_workshop": keeps and workshop_id is not None,
                "conflicts": conflicts,
            }

    @asynccontextmanager
    async def _as(self, caller: Caller) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["become"], caller.role, caller.subject)
            yield connection

    @asynccontextmanager
    async def _changing(self, caller: Caller, workshop_id: UUID) -> AsyncIterator[Connection | None]:
        """With the workshop locked; None when there is none that this caller may change."""
        async with self._as(caller) as connection:
            mine = caller.role is Role.OPERATOR or await connection.fetchval(_SQL["keeps"], workshop_id)
            locked = await connection.fetchval(_SQL["lock_workshop"], workshop_id) if mine else None
            yield None if locked is None else connection


async def _read(connection: Connection, workshop_id: UUID) -> Row | None:
    row = await connection.fetchrow(_SQL["workshop"], workshop_id)
    return dict(row) if row else None


@contextmanager
def _refusals() -> Iterator[None]:
    """What only the database knows."""
    try:
        yield
    except asyncpg.CheckViolationError as error:
        if error.constraint_name != "known_timezone":
            raise
        raise UnknownTimezone from error
    except asyncpg.UniqueViolationError as error:
        raise NameTaken from error
    except asyncpg.ForeignKeyViolationError as error:
        raise UnknownWorkshop from error
