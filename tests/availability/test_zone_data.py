"""A zone whose rules change: an update of the zone data under an installation, with a real server and real files.

The state decides to stay on summer time. Until then 09:00 on a winter's day in Los Angeles is 17:00Z, from then on
16:00Z: the file of America/Los_Angeles is exchanged for that of America/Phoenix, seven hours behind UTC all year.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pitstop.postgres.pool import open_pool
from tests.availability import product, reference
from tests.availability.reference import DAY, Mechanic, Service, Span, World
from tests.availability.zone_server import ZoneServer, zone_server

ZONE, NEW_RULES = "America/Los_Angeles", "America/Phoenix"
HOUR = timedelta(hours=1)
AT = datetime(2027, 1, 8, 12, tzinfo=UTC)
# A Tuesday in winter; the evening of its local day is on the next one in UTC.
DAY_BEFORE = datetime(2027, 1, 12, 6, tzinfo=UTC)
BOOKED = datetime(2027, 1, 12, 19, tzinfo=UTC)
ZOE = UUID(int=7)


def _world(zone: str) -> World:
    mechanic = Mechanic(ZOE, zone, {1: [Span(time(9), time(17))]})
    return World(Service(UUID(int=1), HOUR, HOUR), [mechanic])


def _hours(first: int, count: int) -> list[datetime]:
    return [datetime(2027, 1, 12, first, tzinfo=UTC) + HOUR * number for number in range(count)]


@pytest.fixture
async def server() -> AsyncIterator[ZoneServer]:
    """In a folder that the server's own account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="pitstop-zones-"))
    folder.chmod(0o755)  # noqa: ASYNC240 - nothing else runs
    try:
        async with zone_server(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


async def _answers(connection: Any, world: World) -> list[datetime]:
    """What is shown; and the check and the hold say the same of every half hour of the day."""
    until = DAY_BEFORE + DAY + 2 * HOUR
    shown = [start for start, _ in await product.search(connection, world, DAY_BEFORE, until, AT)]
    slots = [(DAY_BEFORE + HOUR / 2 * number, ZOE) for number in range(52)]
    refusals = await product.checks(connection, world, slots, AT)
    assert [start for (start, _), refusal in zip(slots, refusals, strict=True) if refusal is None] == shown
    async with product.undone(connection):
        held = [
            start
            for start, _ in slots
            if (await product.try_hold(connection, world, world.mechanics[0], start, AT)).terms is not None
        ]
    assert held == shown
    return shown


async def _reservations(connection: Any) -> list[tuple[Any, ...]]:
    rows = await connection.fetch("SELECT id, starts_at, ends_at, blocked, status FROM slot_reservations")
    return [tuple(row) for row in rows]


async def _book(connection: Any, world: World, start: datetime) -> None:
    booking = await product.open_booking(connection, world, world.mechanics[0], start)
    assert (await product.hold(product.OneConnection(connection), booking, AT)).terms is not None


async def test_everything_follows_the_new_rules_and_reservations_stay(server: ZoneServer) -> None:
    world = _world(ZONE)
    async with open_pool(server.url, 1, "availability-test") as pool, pool.acquire() as connection:
        async with connection.transaction():
            await product.write(connection, world)
            await _book(connection, world, BOOKED)
        booked = await _reservations(connection)
        free = [start for start in _hours(17, 8) if start != BOOKED]
        assert await _answers(connection, world) == free
        server.exchange(ZONE, NEW_RULES)
        # A connection keeps the rules that it has read: without a restart, two would contradict each other.
        assert await _answers(connection, world) == free
        async with open_pool(server.url, 1, "availability-test") as others, others.acquire() as newcomer:
            assert (await _answers(newcomer, world))[0] == datetime(2027, 1, 12, 16, tzinfo=UTC)
        await server.stop()
    await server.start()
    async with open_pool(server.url, 1, "availability-test") as pool, pool.acquire() as connection:
        assert await _reservations(connection) == booked
        assert await _answers(connection, world) == [start for start in _hours(16, 8) if start != BOOKED]
        await _is_as_the_reference_has_it(connection, world)


async def _is_as_the_reference_has_it(connection: Any, world: World) -> None:
    """To Python the new rules are those of the other zone. In winter, and where the clocks used to change."""
    reservation = reference.Reservation(
        UUID(int=3), ZOE, BOOKED, BOOKED + HOUR, BOOKED, BOOKED + HOUR, "confirmed", BOOKED
    )
    told = replace(_world(NEW_RULES), reservations=[reservation])
    far = replace(told, mechanics=[replace(told.mechanics[0], horizon=365 * DAY)])
    await connection.execute("UPDATE mechanics SET horizon_days = 365")
    # The hold would have lapsed on the way.
    await connection.execute("UPDATE slot_reservations SET status = 'confirmed'")
    for since in (AT, datetime(2027, 3, 12, tzinfo=UTC), datetime(2027, 11, 5, tzinfo=UTC)):
        span = (since, since + 7 * DAY)
        found = await product.search(connection, world, *span, AT)
        assert found
        assert found == reference.bookable(far, *span, AT)
