"""What the bench books: mechanics of its own with round-the-clock hours, a calendar that is partly full already.

Written as the superuser, before anything is measured.
"""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID, uuid4

import asyncpg

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

DAYS = 56
HOUR_MECHANICS = 60
# Every third hour of the hour mechanics is taken already: 8 bookings a day and mechanic, some 27,000 rows in all.
TAKEN_EVERY = 3
_ZONE = "America/Toronto"


@dataclass(frozen=True, slots=True)
class Offer:
    """A service of the bench's, its plan, and the mechanics who do it."""

    service_id: UUID
    plan_id: UUID
    mechanics: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    mechanic_id: UUID
    start: datetime


@asynccontextmanager
async def superuser(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def hours(connection: Connection) -> Offer:
    """45 minutes and a buffer of 15: a slot starts at every hour, the constraint works on the buffered interval."""
    offer = await _offer(connection, "bench-hour", HOUR_MECHANICS, duration=45, buffer=15, step=15)
    await connection.execute(_TAKEN, list(offer.mechanics), offer.service_id, offer.plan_id, _tomorrow(), DAYS)
    await connection.execute("ANALYZE")
    return offer


async def minutes(connection: Connection, mechanics: int, buffer: int = 0, slug: str = "bench-minute") -> Offer:
    """One minute at every minute, and `buffer` minutes after it: a session that is over soon."""
    offer = await _offer(connection, slug, mechanics, duration=1, buffer=buffer, step=1)
    await connection.execute("ANALYZE")
    return offer


async def visits(connection: Connection, mechanics: int, bays: int, buffer: int, slug: str) -> Offer:
    """As `minutes`, in person: mechanics of one workshop, who share its bays."""
    offer = await minutes(connection, mechanics, buffer, slug)
    await connection.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", offer.service_id)
    await connection.execute(_WORKSHOP, list(offer.mechanics), bays)
    return offer


def free_slots(offer: Offer) -> Iterator[Slot]:
    """Those of `hours` that are free, in an order that spreads over mechanics and days, the same in every run."""
    slots = [
        Slot(mechanic, _tomorrow() + timedelta(hours=hour))
        for mechanic in offer.mechanics
        for hour in range(24 * DAYS)
        if hour % TAKEN_EVERY
    ]
    random.Random(1).shuffle(slots)  # noqa: S311 - no secret
    return iter(slots)


async def bookings_without_slots(connection: Connection, count: int) -> tuple[UUID, list[UUID]]:
    """A mechanic, and ended bookings of theirs to which rows of the constrained table can belong."""
    offer = await _offer(connection, "bench-insert", 1, duration=45, buffer=15, step=15)
    bookings = [uuid4() for _ in range(count)]
    mechanic = offer.mechanics[0]
    await connection.execute(_ENDED, bookings, mechanic, offer.service_id, offer.plan_id, _tomorrow())
    return mechanic, bookings


async def _offer(connection: Connection, slug: str, mechanics: int, duration: int, buffer: int, step: int) -> Offer:
    offer = Offer(uuid4(), uuid4(), tuple(uuid4() for _ in range(mechanics)))
    async with connection.transaction():
        await connection.execute(_SERVICE, offer.service_id, slug, duration, buffer, step)
        await connection.execute(_PLAN, offer.plan_id, offer.service_id)
        await connection.execute(_MECHANICS, list(offer.mechanics), _ZONE)
        await connection.execute(_OFFERED, list(offer.mechanics), offer.service_id)
        await connection.execute(_HOURS, list(offer.mechanics))
    return offer


def _tomorrow() -> datetime:
    """The first midnight (UTC) that is at least two hours away."""
    later = datetime.now(UTC) + timedelta(hours=26)
    return later.replace(hour=0, minute=0, second=0, microsecond=0)


_SERVICE = """
INSERT INTO services (id, slug, name, kind, duration_minutes, buffer_after_minutes, step_minutes)
VALUES ($1, $2, $2, 'video', $3, $4, $5)
"""
_PLAN = "INSERT INTO plans (id, service_id, slug, name, amount) VALUES ($1, $2, 'standard', 'Standard', 8900)"
_MECHANICS = """
INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, minimum_notice_minutes)
SELECT id, 'Bench', $2, 'CA', 'Toronto', 'M5V 2T6', '310 Front Street West, Toronto', 0 FROM unnest($1::uuid[]) AS id
"""
_OFFERED = "INSERT INTO mechanic_services (mechanic_id, service_id) SELECT id, $2 FROM unnest($1::uuid[]) AS id"
_HOURS = """
INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time)
SELECT id, weekday, time '00:00', time '00:00' FROM unnest($1::uuid[]) AS id, generate_series(0, 6) AS weekday
"""
_WORKSHOP = """
WITH made AS (
    INSERT INTO workshops (name, country, city, postal_code, address)
    VALUES ('Bench', 'CA', 'Toronto', 'M5V 2T6', '310 Front Street West, Toronto') RETURNING id
),
bays AS (
    INSERT INTO bays (workshop_id, name) SELECT id, number::text FROM made, generate_series(1, $2) AS number
)
UPDATE mechanics SET workshop_id = made.id FROM made WHERE mechanics.id = ANY($1::uuid[])
"""
_COLUMNS = """
bookings (
    id, status, request_fingerprint, created_by, customer_id, customer_name, customer_email, country, city, postal_code,
    timezone, service_id, plan_id, mechanic_id, starts_at, ends_at, buffer_before_minutes, buffer_after_minutes,
    amount, currency
)
"""
_TAKEN = f"""
WITH booked AS (
    INSERT INTO {_COLUMNS}
    SELECT
        uuidv4(), 'completed', '', 'bench', uuidv4(), 'Bench', 'bench@example.com', 'CA', 'Toronto', 'M5V 2T6',
        'America/Toronto', $2, $3, mechanic, start, start + interval '45 minutes', 0, 15, 8900, 'cad'
    FROM unnest($1::uuid[]) AS mechanic, generate_series(
        $4::timestamptz, $4 + make_interval(days => $5, hours => -1), interval '{TAKEN_EVERY} hours'
    ) AS start
    RETURNING id, mechanic_id, starts_at, ends_at
)
INSERT INTO slot_reservations (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at)
SELECT
    uuidv4(), id, mechanic_id, starts_at, ends_at, tstzrange(starts_at, ends_at + interval '15 minutes'),
    'confirmed', now()
FROM booked
"""  # noqa: S608 - constants of this module
_ENDED = f"""
INSERT INTO {_COLUMNS}
SELECT
    id, 'completed', '', 'bench', uuidv4(), 'Bench', 'bench@example.com', 'CA', 'Toronto', 'M5V 2T6',
    'America/Toronto', $3, $4, $2, $5::timestamptz, $5 + interval '45 minutes', 0, 15, 8900, 'cad'
FROM unnest($1::uuid[]) AS id
"""  # noqa: S608
