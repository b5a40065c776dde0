"""A hand-over and the mechanic's change of rules at once: each order ends well, and neither waits for ever.

In a database of its own, where a guard can be taken away.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.caller import Caller, Role
from pitstop.domain.changes import ChangeOutcome
from pitstop.domain.course import Course
from pitstop.gateways.holiday_library import HolidayLibrary
from pitstop.postgres.changes import PostgresChanges
from pitstop.postgres.pool import open_pool
from pitstop.postgres.rules import MechanicRules
from tests.support.databases import Urls, fresh_database
from tests.support.rows import Case, add_booking, add_reservation, add_session
from tests.support.shop import Shop, open_shop
from tests.support.shops import hire

HOUR = timedelta(hours=1)
COURSE = Course((), timedelta(minutes=15))


@pytest.fixture(scope="module")
async def urls(stack: Stack) -> AsyncIterator[Urls]:
    async with fresh_database(stack) as urls:
        yield urls


@pytest.fixture(scope="module")
async def database(urls: Urls) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(urls.superuser, min_size=0, max_size=4) as pool:
        yield pool


@dataclass
class Meeting:
    """A confirmed booking, the mechanic who has it and another one."""

    database: Any
    rules: MechanicRules
    changes: PostgresChanges
    case: Case
    other: UUID

    async def time_off(self) -> dict[str, Any]:
        me, start = Caller(Role.MECHANIC, str(self.case.shop.mechanic_id)), self.case.start
        span = (start, start + HOUR)
        return await self.rules.add_time_off(me, self.case.shop.mechanic_id, span, None, datetime.now(UTC)) or {}

    async def hand_over(self) -> ChangeOutcome:
        change = uuid4()
        await self.database.execute(
            "INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, wanted)"
            " VALUES ($1, $2, 'hand_over', 'operator', 'an operator', jsonb_build_object('mechanic_id', $3::text))",
            change,
            self.case.booking_id,
            str(self.other),
        )
        return await self.changes.apply(self.case.booking_id, change, COURSE, datetime.now(UTC))

    async def flag(self) -> Any:
        return await self.database.fetchrow("SELECT * FROM booking_flags WHERE booking_id = $1", self.case.booking_id)

    async def in_order(self, *acts: Any) -> list[Any]:
        """Each has begun, and waits for the mechanic, before the next one begins."""
        begun = []
        async with self.database.acquire() as connection, connection.transaction():
            await connection.execute(
                "SELECT FROM mechanics WHERE id = $1 FOR NO KEY UPDATE", self.case.shop.mechanic_id
            )
            for number, act in enumerate(acts, 1):
                begun.append(asyncio.ensure_future(act()))
                await self._waiting(number)
        return await asyncio.gather(*begun, return_exceptions=True)

    async def _waiting(self, number: int) -> None:
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
        )
        for _ in range(500):
            if await self.database.fetchval(query) >= number:
                return
            await asyncio.sleep(0.02)
        raise TimeoutError("nobody waits")


@pytest.fixture
async def meeting(urls: Urls, database: Any) -> AsyncIterator[Meeting]:
    shop: Shop = await open_shop(database)
    other = await hire(database, shop)
    case = await add_booking(database, shop, shop.start(days=3))
    await database.execute("UPDATE bookings SET hold_expires_at = now() WHERE id = $1", case.booking_id)
    await add_session(database, case, reservation=await add_reservation(database, case))
    async with open_pool(urls.api, 2, "test") as api, open_pool(urls.worker, 2, "test") as worker:
        yield Meeting(database, MechanicRules(api, HolidayLibrary()), PostgresChanges(worker), case, other)


async def test_rules_first(meeting: Meeting) -> None:
    """The flag is raised, and ends with the hand-over."""
    away, handed = await meeting.in_order(meeting.time_off, meeting.hand_over)
    assert [each["booking_id"] for each in away["conflicts"]] == [meeting.case.booking_id]
    assert handed.refusal is None
    assert (await meeting.flag())["resolution"] == "handed_over"


async def test_hand_over_first(meeting: Meeting) -> None:
    """The booking is another mechanic's: nothing is flagged."""
    handed, away = await meeting.in_order(meeting.hand_over, meeting.time_off)
    assert (handed.refusal, away["conflicts"]) == (None, [])
    assert await meeting.flag() is None


@asynccontextmanager
async def _with_foreign_key(database: Any) -> AsyncIterator[None]:
    await database.execute(
        "ALTER TABLE booking_flags ADD CONSTRAINT of_a_booking FOREIGN KEY (booking_id) REFERENCES bookings (id)"
    )
    try:
        yield
    finally:
        await database.execute("ALTER TABLE booking_flags DROP CONSTRAINT of_a_booking")


async def test_with_a_foreign_key_they_would_wait_for_each_other(meeting: Meeting, database: Any) -> None:
    """The control: why `booking_flags` has none."""
    async with _with_foreign_key(database):
        came = await meeting.in_order(meeting.time_off, meeting.hand_over)
    assert any(isinstance(each, asyncpg.DeadlockDetectedError) for each in came), came


@pytest.mark.parametrize("who", ["mechanic", "other", "customer", "operator", "link"])
async def test_nobody_else_flags_or_lowers(meeting: Meeting, urls: Urls, who: str) -> None:
    """By hand-written SQL as the API's role: only the booking's own mechanic."""
    await meeting.time_off()
    case = meeting.case
    subject = {"other": meeting.other, "customer": case.customer_id, "link": case.booking_id}.get(
        who, case.shop.mechanic_id
    )
    connection = await asyncpg.connect(urls.api)
    try:
        async with connection.transaction():
            role = "mechanic" if who == "other" else who
            await connection.execute(
                "SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)",
                role,
                str(subject),
            )
            lowered = await connection.execute(
                "UPDATE booking_flags SET resolved_at = now(), resolution = 'taken_back' WHERE booking_id = $1"
                if who == "mechanic"
                else "UPDATE booking_flags SET resolved_at = now(), resolution = 'taken_back'",
                *([case.booking_id] if who == "mechanic" else []),
            )
            assert lowered == ("UPDATE 1" if who == "mechanic" else "UPDATE 0")
            insert = (
                "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by)"
                " VALUES ($1, 'mechanic_away', $2, 'time_off', now(), 'mechanic')"
            )
            if who == "mechanic":
                await connection.execute(insert, case.booking_id, subject)
            else:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(insert, case.booking_id, case.shop.mechanic_id)
    finally:
        await connection.close()
