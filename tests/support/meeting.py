"""A confirmed booking in a database of its own, and the stores that change it: for what meets at one moment."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
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


@dataclass
class Meeting:
    """A confirmed booking, the mechanic who has it and another one."""

    database: Any
    rules: MechanicRules
    changes: PostgresChanges
    case: Case
    other: UUID

    async def time_off(self, span: tuple[datetime, datetime] | None = None) -> dict[str, Any]:
        """The booking's own time, if no other is said."""
        me = Caller(Role.MECHANIC, str(self.case.shop.mechanic_id))
        off = span or (self.case.start, self.case.start + HOUR)
        return await self.rules.add_time_off(me, self.case.shop.mechanic_id, off, None, datetime.now(UTC)) or {}

    async def hand_over(self) -> ChangeOutcome:
        return await self.change("hand_over", "operator", mechanic_id=str(self.other))

    async def change(self, kind: str, role: str, now: datetime | None = None, **wanted: Any) -> ChangeOutcome:
        return await (await self.wish(kind, role, now, **wanted))()

    async def wish(
        self, kind: str, role: str, now: datetime | None = None, **wanted: Any
    ) -> Callable[[], Awaitable[ChangeOutcome]]:
        """Somebody puts a change on record, a mechanic as the one who has the booking; what comes back has the run
        decide on it."""
        change, mechanic = uuid4(), self.case.shop.mechanic_id
        await self.database.execute(
            "INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, wanted)"
            " VALUES ($1, $2, $3, $4, $5, $6::text::jsonb)",
            change,
            self.case.booking_id,
            kind,
            role,
            str(mechanic) if role == "mechanic" else "somebody",
            json.dumps(wanted),
        )
        return lambda: self.changes.apply(self.case.booking_id, change, COURSE, now or datetime.now(UTC))

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
                await self.waiting(number)
        return await asyncio.gather(*begun, return_exceptions=True)

    async def waiting(self, number: int) -> None:
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
        )
        for _ in range(500):
            if await self.database.fetchval(query) >= number:
                return
            await asyncio.sleep(0.02)
        raise TimeoutError("nobody waits")


@pytest.fixture(scope="module")
async def urls(stack: Stack) -> AsyncIterator[Urls]:
    """A database of the module's own, where a guard can be taken away."""
    async with fresh_database(stack) as urls:
        yield urls


@pytest.fixture(scope="module")
async def database(urls: Urls) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(urls.superuser, min_size=0, max_size=6) as pool:
        yield pool


@pytest.fixture
async def meeting(urls: Urls, database: Any) -> AsyncIterator[Meeting]:
    async with meeting_of(urls, database) as meeting:
        yield meeting


@asynccontextmanager
async def meeting_of(urls: Urls, database: Any) -> AsyncIterator[Meeting]:
    shop: Shop = await open_shop(database)
    other = await hire(database, shop)
    case = await stands(database, shop)
    async with open_pool(urls.api, 2, "test") as api, open_pool(urls.worker, 3, "test") as worker:
        yield Meeting(database, MechanicRules(api, HolidayLibrary()), PostgresChanges(worker), case, other)


async def stands(database: Any, shop: Shop) -> Case:
    """A booking that is confirmed, with its slot, session and payment."""
    case = await add_booking(database, shop, shop.start(days=3))
    await database.execute("UPDATE bookings SET hold_expires_at = now() WHERE id = $1", case.booking_id)
    await add_session(database, case, reservation=await add_reservation(database, case))
    await database.execute(
        "INSERT INTO payments (payment_intent_id, booking_id, amount, currency, client_secret, status, paid_at)"
        " VALUES ($1, $2, 8900, 'cad', 'secret', 'succeeded', now())",
        f"pi_{case.booking_id.hex}",
        case.booking_id,
    )
    return case
