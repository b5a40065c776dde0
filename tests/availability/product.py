"""A world written into a database, and what the product says about it: its search, its check and its hold.

Everything happens on one connection in one transaction, which is rolled back: hundreds of worlds in one database.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from api import cursors
from api.slot_pages import SlotsOfAPage
from pitstop.domain.places import Place
from pitstop.domain.saga import HoldOutcome
from pitstop.postgres.catalogue import Catalogue
from pitstop.postgres.saga import PostgresSaga
from tests.availability.reference import Mechanic, Reservation, World, blocked_by

EVERYTHING = 1_000_000
_MINUTE = timedelta(minutes=1)
_BOOKING = """
INSERT INTO bookings (
    id, status, service_id, plan_id, mechanic_id, preferred_mechanic_id, starts_at, ends_at, buffer_before_minutes,
    buffer_after_minutes, request_fingerprint, created_by, customer_id, customer_name, customer_email, country, city,
    postal_code, timezone, amount, currency
) VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, '', 'test', $1, 'Camille Roy', 'camille@example.com', 'CA', 'Toronto',
    'M5V 2T6', 'UTC', 8900, 'cad')
"""
_RESERVATION = """
INSERT INTO slot_reservations (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at, bay_id)
VALUES ($1, $1, $2, $3, $4, tstzrange($5, $6), $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id
"""


class OneConnection:
    """Stands for a pool: what the product does in a transaction of its own is a savepoint here."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        yield self._connection

    async def fetchrow(self, query: str, *arguments: object) -> Any:
        return await self._connection.fetchrow(query, *arguments)


@asynccontextmanager
async def undone(connection: Any) -> AsyncIterator[None]:
    """Whatever happens inside has not happened afterwards."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def write(connection: Any, world: World) -> World:
    """Gives the world back as the database has taken it: of reservations that overlap only the first can stand.

    Without triggers: that of the zone's name reads every zone there is.
    """
    await connection.execute("SET LOCAL session_replication_role = replica")
    await _write_service(connection, world)
    await _write_bays(connection, world)
    for mechanic in world.mechanics:
        await _write_mechanic(connection, world, mechanic)
    stand = [each for each in world.reservations if await _write_reservation(connection, world, each)]
    await connection.execute("SET LOCAL session_replication_role = origin")
    return replace(world, reservations=stand)


async def _write_service(connection: Any, world: World) -> None:
    service = world.service
    await connection.execute(
        "INSERT INTO services (id, slug, name, kind, duration_minutes, buffer_before_minutes, buffer_after_minutes,"
        " step_minutes, active) VALUES ($1, 'service-' || ($1::uuid)::text, 'Brake check', $2, $3, $4, $5, $6, $7)",
        service.id,
        "in_person" if service.in_person else "video",
        *(span // _MINUTE for span in (service.duration, service.before, service.after, service.step)),
        service.active,
    )
    # The service's id serves as its plan's.
    await connection.execute(
        "INSERT INTO plans (id, service_id, slug, name, amount) VALUES ($1, $1, 'standard', 'Standard', 8900)",
        service.id,
    )


async def _write_bays(connection: Any, world: World) -> None:
    workshops = {bay.workshop_id for bay in world.bays} | {each.workshop_id for each in world.mechanics} - {None}
    await connection.executemany(
        "INSERT INTO workshops (id, name, country, city, postal_code, address)"
        " VALUES ($1, 'Workshop', 'CA', 'Toronto', 'M5V 2T6', '1 Front Street')",
        [(workshop,) for workshop in workshops],
    )
    await connection.executemany(
        "INSERT INTO bays (id, workshop_id, name, active) VALUES ($1, $2, ($1::uuid)::text, $3)",
        [(bay.id, bay.workshop_id, bay.active) for bay in world.bays],
    )


async def _write_mechanic(connection: Any, world: World, mechanic: Mechanic) -> None:
    if mechanic.holiday_region:
        await _write_holidays(connection, mechanic)
    await connection.execute(
        "INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, online,"
        " minimum_notice_minutes, horizon_days, workshop_id, max_sessions_per_day, holiday_region)"
        " VALUES ($1, 'Zoé Bélanger', $2, 'CA', 'Toronto', 'M5V 2T6', '1 Front Street', $3, $4, $5, $6, $7, $8)",
        *(mechanic.id, mechanic.timezone, mechanic.online, mechanic.notice // _MINUTE, mechanic.horizon.days),
        *(mechanic.workshop_id, mechanic.daily_limit, mechanic.holiday_region),
    )
    if mechanic.buffers:
        await connection.execute(
            "INSERT INTO mechanic_services VALUES ($1, $2, $3, $4)",
            *(mechanic.id, world.service.id, *(buffer // _MINUTE for buffer in mechanic.buffers)),
        )
    await _write_hours(connection, mechanic)


async def _write_holidays(connection: Any, mechanic: Mechanic) -> None:
    await connection.execute(
        "INSERT INTO holiday_calendars VALUES ($1, '2020-01-01', '2030-12-31', '2026-01-01')", mechanic.holiday_region
    )
    await connection.executemany(
        "INSERT INTO public_holidays VALUES ($1, $2, 'Holiday')",
        [(mechanic.holiday_region, day) for day in mechanic.holidays],
    )


async def _write_hours(connection: Any, mechanic: Mechanic) -> None:
    await connection.executemany(
        "INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time) VALUES ($1, $2, $3, $4)",
        [(mechanic.id, day, span.opens, span.closes) for day, spans in mechanic.weekly.items() for span in spans],
    )
    await connection.executemany(
        "INSERT INTO date_exceptions VALUES ($1, $2, $3, $4)",
        [
            (mechanic.id, day, [span.opens for span in spans], [span.closes for span in spans])
            for day, spans in mechanic.exceptions.items()
        ],
    )
    await connection.executemany(
        "INSERT INTO time_off (mechanic_id, during) VALUES ($1, tstzrange($2, $3))",
        [(mechanic.id, absence.start, absence.end) for absence in mechanic.time_off],
    )


async def _write_reservation(connection: Any, world: World, it: Reservation) -> bool:
    await connection.execute(
        *(_BOOKING, it.booking_id, "awaiting_payment", world.service.id, it.mechanic_id, it.mechanic_id),
        *(it.start, it.end, 0, 0),
    )
    blocked = (it.blocked_from, it.blocked_to)
    written = await connection.fetchval(
        _RESERVATION,
        *(it.booking_id, it.mechanic_id, it.start, it.end, *blocked, it.status, it.lapses_at, it.bay_id),
    )
    return written is not None


async def become(connection: Any, role: str) -> None:
    """As a process of the product, with its rights and under its row-level security; until the transaction ends."""
    await connection.execute(f"SET LOCAL ROLE {role}")


async def search(
    connection: Any,
    world: World,
    since: datetime,
    until: datetime,
    at: datetime,
    page: int = EVERYTHING,
    mechanic: UUID | None = None,
) -> list[tuple[datetime, UUID]]:
    """All pages of this size, one after the other, as a client gets them from `GET /v1/availability`."""
    catalogue = Catalogue(OneConnection(connection))  # type: ignore[arg-type]
    found: list[tuple[datetime, UUID]] = []
    cursor: str | None = None
    while True:
        after = cursors.decode(cursor)
        free = await catalogue.free_time(world.service.id, mechanic, (since, until), at, after, page + 1)
        if free is None:
            assert not world.service.active
            return []
        written = json.loads(SlotsOfAPage(free, page).written(None))
        assert len(written["slots"]) <= page
        for slot in written["slots"]:
            start, end = datetime.fromisoformat(slot["start"]), datetime.fromisoformat(slot["end"])
            assert end - start == world.service.duration
            found.append((start, UUID(slot["mechanic_id"])))
        cursor = written["next_cursor"]
        if cursor is None:
            return found


async def first_free(connection: Any, world: World, since: datetime, at: datetime) -> tuple[datetime, UUID] | None:
    """As `GET /v1/availability/next` answers a customer of the mechanics' city."""
    catalogue = Catalogue(OneConnection(connection))  # type: ignore[arg-type]
    slot = await catalogue.next_slot(world.service.id, None, Place("CA", "Toronto", "M5V 2T6"), since, at)
    return (slot["start"], slot["mechanic_id"]) if slot else None


async def search_of_0_1_0(
    connection: Any, world: World, since: datetime, until: datetime, at: datetime
) -> list[tuple[datetime, UUID]]:
    """As an API of that version asks while an installation moves to this one."""
    rows = await connection.fetch(
        "SELECT mechanic_id, starts_at FROM free_slots($1, NULL::uuid, tstzrange($2, $3), $4) ORDER BY 2, 1",
        *(world.service.id, since, until, at),
    )
    return [(row["starts_at"], row["mechanic_id"]) for row in rows]


async def checks(
    connection: Any, world: World, slots: list[tuple[datetime, UUID]], at: datetime, moving: UUID | None = None
) -> list[str | None]:
    rows = await connection.fetch(
        "SELECT slot_refusal(mechanic, $3, start, $4, $5) AS reason"
        " FROM unnest($1::timestamptz[], $2::uuid[]) WITH ORDINALITY AS slot (start, mechanic, number) ORDER BY number",
        *([start for start, _ in slots], [mechanic for _, mechanic in slots], world.service.id, at, moving),
    )
    return [row["reason"] for row in rows]


async def own_time(connection: Any, world: World, slots: list[tuple[datetime, UUID]], at: datetime) -> list[bool]:
    starts = [start for start, _ in slots]
    # Not added up in SQL: there a day is as long as it is in the connection's zone.
    ends = [start + world.service.duration for start in starts]
    rows = await connection.fetch(
        "SELECT is_slot_available(mechanic, start, finish, $4) AS free"
        " FROM unnest($1::timestamptz[], $2::timestamptz[], $3::uuid[])"
        " WITH ORDINALITY AS slot (start, finish, mechanic, number) ORDER BY number",
        *(starts, ends, [mechanic for _, mechanic in slots], at),
    )
    return [row["free"] for row in rows]


async def late_payments(connection: Any, world: World, slots: list[tuple[datetime, UUID]], at: datetime) -> list[bool]:
    """Whether each slot, once held, could be taken again for a payment that comes at this moment."""
    rows = await connection.fetch(
        "SELECT EXISTS (SELECT FROM bookable_starts("
        "   $3, ARRAY[mechanic], tstzrange(start, start, '[]'), $4, notice => FALSE"
        " ) AS b WHERE b.starts @> start) AS free"
        " FROM unnest($1::timestamptz[], $2::uuid[]) WITH ORDINALITY AS slot (start, mechanic, number) ORDER BY number",
        *([start for start, _ in slots], [mechanic for _, mechanic in slots], world.service.id, at),
    )
    return [row["free"] for row in rows]


async def open_booking(connection: Any, world: World, mechanic: Mechanic, start: datetime, any: bool = False) -> UUID:
    """A booking as the API puts it on record before it asks for the hold. `any`: anybody else would do as well."""
    id, end = uuid4(), start + world.service.duration
    blocked_from, blocked_to = blocked_by(mechanic, world.service, start)
    buffers = ((start - blocked_from) // _MINUTE, (blocked_to - end) // _MINUTE)
    who = (mechanic.id, None if any else mechanic.id)
    await connection.execute(_BOOKING, id, "holding", world.service.id, *who, start, end, *buffers)
    return id


async def hold(pool: Any, booking_id: UUID, at: datetime) -> HoldOutcome:
    expires = at + timedelta(minutes=15)
    return await PostgresSaga(pool).place_hold(booking_id, "", uuid4(), at, expires, expires + timedelta(seconds=30))


async def try_hold(
    connection: Any, world: World, mechanic: Mechanic, start: datetime, at: datetime, any: bool = False
) -> HoldOutcome:
    """What a customer would be told now; nothing of it remains."""
    async with undone(connection):
        booking = await open_booking(connection, world, mechanic, start, any)
        await become(connection, "pitstop_worker")
        return await hold(OneConnection(connection), booking, at)
