"""Whether the database has what clients were told."""

import asyncio
import time
from collections.abc import Iterable
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from bench.visitors import Ledger

REST_SECONDS = 90.0


class Lost(BaseModel):
    what: str
    booking_ids: list[UUID]


async def found_lost(database_url: str, ledger: Ledger) -> list[Lost]:
    """Waits for rest, then looks: nothing acknowledged is missing, all that is paid is confirmed, once."""
    connection = await asyncpg.connect(database_url)
    try:
        await _rest(connection, ledger.paid)
        found = {query: await connection.fetch(sql, list(ids)) for query, (sql, ids) in _queries(ledger).items()}
    finally:
        await connection.close()
    return [Lost(what=what, booking_ids=[row["id"] for row in rows]) for what, rows in found.items() if rows]


async def _rest(connection: "asyncpg.Connection[asyncpg.Record]", paid: Iterable[UUID]) -> None:
    until = time.monotonic() + REST_SECONDS
    while await connection.fetch(_NOT_CONFIRMED, list(paid)):
        if time.monotonic() > until:
            return
        await asyncio.sleep(0.5)


def _queries(ledger: Ledger) -> dict[str, tuple[str, set[UUID]]]:
    return {
        "acknowledged, and not in the database": (_MISSING, ledger.acknowledged),
        "paid, and not confirmed": (_NOT_CONFIRMED, ledger.paid),
        "paid, without just one session and one reservation": (_NOT_ONCE, ledger.paid),
        "overlapping another booking of the mechanic": (_OVERLAPPING, ledger.acknowledged),
    }


_MISSING = """
SELECT wanted.id FROM unnest($1::uuid[]) AS wanted (id) WHERE NOT EXISTS (SELECT FROM bookings WHERE id = wanted.id)
"""
_NOT_CONFIRMED = """
SELECT wanted.id FROM unnest($1::uuid[]) AS wanted (id)
LEFT JOIN bookings AS b ON b.id = wanted.id
WHERE b.status IS NULL OR b.status NOT IN ('confirmed', 'in_progress', 'completed')
"""
_NOT_ONCE = """
SELECT wanted.id FROM unnest($1::uuid[]) AS wanted (id)
WHERE (SELECT count(*) FROM sessions WHERE booking_id = wanted.id) <> 1
    OR (SELECT count(*) FROM slot_reservations WHERE booking_id = wanted.id AND status = 'confirmed') <> 1
"""
_OVERLAPPING = """
SELECT DISTINCT one.booking_id AS id
FROM slot_reservations AS one
JOIN slot_reservations AS other
    ON other.mechanic_id = one.mechanic_id AND other.blocked && one.blocked AND other.id <> one.id
WHERE one.booking_id = ANY($1::uuid[]) AND one.status = 'confirmed' AND other.status = 'confirmed'
"""
