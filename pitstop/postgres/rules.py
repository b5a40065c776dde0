"""A mechanic's own rules: read, and changed by nobody but the mechanic. A change moves no booking; it names those that
the new rules would not allow.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.caller import Caller, Role
from pitstop.domain.rules import DayHours, Keep, OfferedService, ScheduleChange, UnknownService, UnknownTimezone
from pitstop.ports import HolidayCalendar
from pitstop.postgres import flags, holidays, queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("rules")
Row = dict[str, Any]
IsolationLevel = Literal["read_committed", "repeatable_read"]
# A schedule is read by several queries: all see the database as it was at the first. (A change sees what was committed
# while it waited for its lock.)
_ONE_INSTANT: IsolationLevel = "repeatable_read"
# Going offline flags what starts within this time.
_SOON = timedelta(hours=2)
# The last row of the page before: an instant and an id.
Place = tuple[datetime, UUID] | None


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open; None: without that end."""

    since: datetime | None
    until: datetime | None


class MechanicRules:
    """Reads and changes rules as the role `pitstop_api`. Where there is no such mechanic for this caller: None.

    A change begins with the lock that a hold takes: either the hold sees the change, or the change names the hold.
    """

    def __init__(self, pool: Pool, calendar: HolidayCalendar, soon: timedelta = _SOON) -> None:
        self._pool = pool
        self._calendar = calendar
        self._soon = soon

    async def schedule(self, caller: Caller, mechanic_id: UUID, now: datetime) -> Row | None:
        async with self._as(caller, _ONE_INSTANT) as connection:
            schedule = await _schedule(connection, mechanic_id, now)
            if schedule:
                await _note_reading(connection, caller, Entry(Action.READ_RULES, "mechanic", str(mechanic_id)))
        return schedule

    async def set_schedule(
        self, caller: Caller, mechanic_id: UUID, change: ScheduleChange, now: datetime
    ) -> Row | None:
        """All of it or nothing. Raises `UnknownTimezone`, `UnknownRegion` and `UnknownService`."""
        async with self._changing(caller, mechanic_id) as connection:
            if connection is None:
                return None
            await self._write(connection, mechanic_id, change, now)
            entry = Entry(Action.SET_SCHEDULE, "mechanic", str(mechanic_id))
            judged = await self._judge(connection, caller, mechanic_id, entry, now)
            return {**(await _schedule(connection, mechanic_id, now) or {}), **judged}

    async def set_online(self, caller: Caller, mechanic_id: UUID, online: bool, now: datetime) -> Row | None:
        async with self._changing(caller, mechanic_id) as connection:
            if connection is None:
                return None
            await connection.execute(_SQL["set_online"], mechanic_id, online)
            entry = Entry(Action.SET_ONLINE, "mechanic", str(mechanic_id), detail={"online": online})
            return {"online": online, **await self._judge(connection, caller, mechanic_id, entry, now)}

    async def add_time_off(
        self, caller: Caller, mechanic_id: UUID, span: tuple[datetime, datetime], reason: str | None, now: datetime
    ) -> Row | None:
        """The same span again is the same time off: a request may be repeated."""
        async with self._changing(caller, mechanic_id) as connection:
            if connection is None:
                return None
            there = await connection.fetchrow(_SQL["time_off_of_span"], mechanic_id, *span)
            row = dict(there or await connection.fetchrow(_SQL["add_time_off"], mechanic_id, *span, reason) or {})
            entry = Entry(Action.ADD_TIME_OFF, "mechanic", str(mechanic_id), detail={"time_off_id": str(row["id"])})
            judged = await self._judge(connection, caller, mechanic_id, entry, now)
            return {**row, "start": span[0], "end": span[1], **judged}

    async def remove_time_off(self, caller: Caller, mechanic_id: UUID, time_off_id: UUID, now: datetime) -> Row | None:
        """None also when there is no such time off."""
        async with self._changing(caller, mechanic_id) as connection:
            if connection is None or not await connection.fetchval(_SQL["remove_time_off"], mechanic_id, time_off_id):
                return None
            detail = {"time_off_id": str(time_off_id)}
            entry = Entry(Action.REMOVE_TIME_OFF, "mechanic", str(mechanic_id), detail=detail)
            return await self._judge(connection, caller, mechanic_id, entry, now)

    async def time_off(
        self, caller: Caller, mechanic_id: UUID, period: Period, after: Place, limit: int
    ) -> list[Row] | None:
        asked = (mechanic_id, period.since, period.until, *(after or (None, None)), limit)
        return await self._list(caller, mechanic_id, "list_time_off", asked, Action.READ_RULES)

    async def reservations(
        self,
        caller: Caller,
        mechanic_id: UUID,
        period: Period,
        status: str | None,
        after: Place,
        limit: int,
        now: datetime,
    ) -> list[Row] | None:
        asked = (mechanic_id, period.since, period.until, status, *(after or (None, None)), now, limit)
        return await self._list(caller, mechanic_id, "reservations", asked, Action.LIST_RESERVATIONS)

    async def _judge(
        self, connection: Connection, caller: Caller, mechanic_id: UUID, entry: Entry, now: datetime
    ) -> Row:
        """Which bookings stand against the rules now, and the change's entry in the audit log, which counts them.

        `flags_changed`: bookings that are flagged from now on, or are not any more: their runs have yet to be told.
        """
        found = [dict(row) for row in await connection.fetch(_SQL["conflicts"], mechanic_id, now)]
        changed = await flags.follow_rules(connection, mechanic_id, found, self._soon, now)
        counted = {**entry.detail, "conflicts": len(found)}
        await note(connection, caller, Entry(entry.action, entry.object_kind, entry.object_id, detail=counted))
        return {"conflicts": found, "flags_changed": changed}

    async def offers(self, caller: Caller, mechanic_id: UUID) -> list[Row] | None:
        """The immediate sessions that the mechanic may take, newest first."""
        return await self._list(caller, mechanic_id, "offers", (mechanic_id,), Action.LIST_OFFERS)

    async def _list(
        self, caller: Caller, mechanic_id: UUID, query: str, asked: Sequence[object], reading: Action
    ) -> list[Row] | None:
        async with self._as(caller) as connection:
            if await connection.fetchval(_SQL["mechanic"], mechanic_id) is None:
                return None
            rows = await connection.fetch(_SQL[query], *asked)
            entry = Entry(reading, "mechanic", str(mechanic_id), detail={"count": len(rows)})
            await _note_reading(connection, caller, entry)
        return [dict(row) for row in rows]

    async def _write(self, connection: Connection, mechanic_id: UUID, change: ScheduleChange, now: datetime) -> None:
        with _unknown_timezone():
            await connection.execute(_SQL["set_timezone"], mechanic_id, change.timezone)
        plain = (change.minimum_notice_minutes, change.horizon_days)
        await connection.execute(_SQL["set_rules"], mechanic_id, *plain)
        await _set_weekly(connection, mechanic_id, change)
        if change.exceptions is not None:
            await _set_exceptions(connection, mechanic_id, change.exceptions, now)
        if change.services is not None:
            await _set_services(connection, mechanic_id, change.services)
        if change.max_sessions_per_day is not Keep.AS_IT_IS:
            await connection.execute(_SQL["set_daily_limit"], mechanic_id, change.max_sessions_per_day)
        if change.holiday_region is not Keep.AS_IT_IS:
            if change.holiday_region is not None:
                await holidays.keep(connection, self._calendar, change.holiday_region, now.date())
            await connection.execute(_SQL["set_holiday_region"], mechanic_id, change.holiday_region)

    @asynccontextmanager
    async def _as(self, caller: Caller, isolation: IsolationLevel = "read_committed") -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction(isolation=isolation):
            await connection.execute(_SQL["become"], caller.role, caller.subject)
            yield connection

    @asynccontextmanager
    async def _changing(self, caller: Caller, mechanic_id: UUID) -> AsyncIterator[Connection | None]:
        """With the mechanic locked; None when there is none that this caller may change."""
        async with self._as(caller) as connection:
            locked = await connection.fetchval(_SQL["lock_rules"], mechanic_id)
            yield None if locked is None else connection


async def _schedule(connection: Connection, mechanic_id: UUID, now: datetime) -> Row | None:
    row = await connection.fetchrow(_SQL["schedule"], mechanic_id, now)
    if row is None:
        return None
    parts = {name: await connection.fetch(_SQL[name], mechanic_id) for name in ("weekly", "services")}
    parts["exceptions"] = await connection.fetch(_SQL["exceptions"], mechanic_id, row["today"])
    return {**row, **{name: [dict(each) for each in found] for name, found in parts.items()}}


async def _set_weekly(connection: Connection, mechanic_id: UUID, change: ScheduleChange) -> None:
    await connection.execute(_SQL["clear_weekly"], mechanic_id)
    weekdays = [each.weekday for each in change.weekly]
    opens, closes = [each.span.opens for each in change.weekly], [each.span.closes for each in change.weekly]
    await connection.execute(_SQL["add_weekly"], mechanic_id, weekdays, opens, closes)


async def _set_exceptions(
    connection: Connection, mechanic_id: UUID, exceptions: Sequence[DayHours], now: datetime
) -> None:
    await connection.execute(_SQL["clear_exceptions"], mechanic_id)
    rows = [
        (mechanic_id, each.day, [span.opens for span in each.spans], [span.closes for span in each.spans], now)
        for each in exceptions
    ]
    await connection.executemany(_SQL["add_exception"], rows)


async def _set_services(connection: Connection, mechanic_id: UUID, services: Sequence[OfferedService]) -> None:
    ids = [each.service_id for each in services]
    known = {row["id"] for row in await connection.fetch(_SQL["known_services"], ids)}
    for place, id in enumerate(ids):
        if id not in known:
            raise UnknownService(place)
    before, after = [each.buffer_before_minutes for each in services], [each.buffer_after_minutes for each in services]
    await connection.execute(_SQL["clear_services"], mechanic_id)
    await connection.execute(_SQL["add_services"], mechanic_id, ids, before, after)


@contextmanager
def _unknown_timezone() -> Iterator[None]:
    try:
        yield
    except asyncpg.CheckViolationError as error:
        if error.constraint_name != "known_timezone":
            raise
        raise UnknownTimezone from error


async def _note_reading(connection: Connection, caller: Caller, entry: Entry) -> None:
    """Operators read what is not theirs: that is on record. Mechanics see their own."""
    if caller.role is Role.OPERATOR:
        await note(connection, caller, entry)
