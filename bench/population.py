"""What `availability` searches in: a thousand mechanics or more, and a table of reservations of the size asked for.

The same people, rules and future at every size; what grows is the past, and from a million reservations on the number
of other mechanics. Bookings themselves are left out, as no search reads them: the table is filled without its foreign
keys.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from bench.seed import Connection
from pitstop.postgres import queries

_SQL = queries.load("population", Path(__file__).with_name("sql"))
CROWDS = (10, 100, 1000)
# A mechanic who has worked on a thousand days, nearly three years, has a thousand reservations behind them.
_MOST_DAYS = 1000
_FUTURE_OF_EACH, _FUTURE_OF_THE_BUSY = 4, 200
_WEEKDAYS, _ALL_DAYS = 4, 6


@dataclass(frozen=True, slots=True)
class Population:
    """Services by how many mechanics offer them, one who has 200 bookings in 62 days, and one who has four."""

    reservations: int
    begins: datetime
    service_of_one: UUID
    busy: UUID
    quiet: UUID
    services: dict[int, UUID]


async def settle(connection: Connection, reservations: int, crowds: tuple[int, ...] = CROWDS) -> Population:
    """About so many reservations, in a database that has only the schema."""
    begins = _first_day()
    busy, *others = (uuid4() for _ in range(1 + max(*crowds, reservations // _MOST_DAYS)))
    services = {count: uuid4() for count in (1, *crowds)}
    names = [f"by-{count}" for count in services]
    async with connection.transaction():
        # Nothing is checked that the blocks get right by themselves, such as each zone's name.
        await connection.execute("SET LOCAL session_replication_role = 'replica'")
        await connection.execute(_SQL["services"], list(services.values()), names)
        await connection.execute(_SQL["calendar"], begins)
        await connection.execute(_SQL["holidays"], begins)
        await _hire(connection, [busy, *others], begins)
        await connection.execute(_SQL["hours"], [busy], _ALL_DAYS)
        await connection.execute(_SQL["hours"], others, _WEEKDAYS)
        for count, service in services.items():
            await connection.execute(_SQL["offered"], [busy, others[0]] if count == 1 else others[:count], service)
    await _book(connection, busy, others, begins, reservations)
    total = await connection.fetchval("SELECT count(*) FROM slot_reservations")
    return Population(total, begins, services.pop(1), busy, others[0], services)


async def _hire(connection: Connection, mechanics: list[UUID], begins: datetime) -> None:
    await connection.execute(_SQL["mechanics"], mechanics, "CA-ON")
    await connection.execute(_SQL["exceptions"], mechanics, begins)
    await connection.execute(_SQL["time_off"], mechanics, begins)


async def _book(connection: Connection, busy: UUID, others: list[UUID], begins: datetime, reservations: int) -> None:
    """Indexes and constraints are made when the table is full, which takes a fraction of the time."""
    past = reservations - _FUTURE_OF_EACH * len(others) - _FUTURE_OF_THE_BUSY
    guards = await connection.fetch(_SQL["guards"])
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = 'replica'")
        await connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        for guard in guards:
            await connection.execute(guard["dropped"])
        days = max(1, past // (1 + len(others)))
        await connection.execute(_SQL["past"], [busy, *others], begins, days, timeout=None)
        await connection.execute(_SQL["future"], others, begins)
        await connection.execute(_SQL["busy"], busy, begins)
        for guard in guards:
            await connection.execute(guard["made"], timeout=None)
    await connection.execute("VACUUM ANALYZE", timeout=None)


def _first_day() -> datetime:
    """The first midnight (UTC) that is at least two hours away."""
    later = datetime.now(UTC) + timedelta(hours=26)
    return later.replace(hour=0, minute=0, second=0, microsecond=0)
