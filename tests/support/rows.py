"""Rows written by hand, as the database's superuser: states that the product reaches in many steps, or never."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from tests.support.shop import Shop

_BOOKING = """
INSERT INTO bookings (
    id, status, request_fingerprint, created_by, created_by_role, customer_id, customer_name, customer_email, country,
    city, postal_code,
    timezone, service_id, plan_id, mechanic_id, starts_at, ends_at, buffer_before_minutes, buffer_after_minutes, amount,
    currency
) VALUES ($1, $2, '', $3, $10, $4, 'Camille Roy', 'camille@example.com', 'CA', 'Toronto', 'M5V 2T6', 'UTC', $5, $6, $7,
    $8, $9, 0, 15, 8900, 'cad')
"""
_RESERVATION = """
INSERT INTO slot_reservations (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at)
VALUES ($1, $2, $3, $4, $5, tstzrange($6, $7), $8, $9)
"""
_SESSION = """
INSERT INTO sessions (
    booking_id, kind, status, plan_id, intake, price_paid, currency, slot_reservation_id, customer_id, mechanic_id,
    country, city, postal_code, scheduled_for, scheduled_for_original
) VALUES ($1, 'video', $2, $3, '{}', 8900, 'cad', $4, $5, $6, 'CA', 'Toronto', 'M5V 2T6', $7, $7) RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One customer's booking; `created_by` is the subject of whoever made it: itself, unless a role says otherwise."""

    shop: Shop
    booking_id: UUID
    customer_id: UUID
    created_by: str
    start: datetime


async def add_booking(
    connection: Any, shop: Shop, start: datetime, status: str = "confirmed", by: str = "customer"
) -> Case:
    customer = uuid4()
    case = Case(shop, uuid4(), customer, str(customer if by == "customer" else uuid4()), start)
    ids = (shop.service_id, shop.plan_id, shop.mechanic_id)
    times = (start, start + shop.duration)
    await connection.execute(_BOOKING, case.booking_id, status, case.created_by, customer, *ids, *times, by)
    return case


async def add_reservation(
    connection: Any,
    case: Case,
    status: str = "confirmed",
    *,
    expires_in: timedelta = timedelta(minutes=15),
    now: datetime | None = None,
    buffers: tuple[int, int] = (0, 15),
) -> UUID:
    """Blocks the booking's time with these buffers (minutes). A hold lapses `expires_in` after `now` (the start)."""
    id, end = uuid4(), case.start + case.shop.duration
    before, after = (timedelta(minutes=minutes) for minutes in buffers)
    blocked = (case.start - before, end + after)
    lapses = (now or case.start) + expires_in
    await connection.execute(
        _RESERVATION, id, case.booking_id, case.shop.mechanic_id, case.start, end, *blocked, status, lapses
    )
    return id


async def add_session(connection: Any, case: Case, status: str = "scheduled", reservation: UUID | None = None) -> UUID:
    start = None if status == "pending" else case.start
    ids = (case.shop.plan_id, reservation, case.customer_id, case.shop.mechanic_id)
    session: UUID = await connection.fetchval(_SESSION, case.booking_id, status, *ids, start)
    return session


async def add_everything(connection: Any, shop: Shop, start: datetime, by: str = "customer") -> Case:
    """A booking with a row in each table that belongs to one."""
    case = await add_booking(connection, shop, start, by=by)
    reservation = await add_reservation(connection, case)
    await add_session(connection, case, reservation=reservation)
    id, intent = case.booking_id, f"pi_{case.booking_id.hex}"
    await connection.execute("INSERT INTO booking_events (booking_id, at, event) VALUES ($1, now(), 'confirmed')", id)
    await connection.execute(
        "INSERT INTO payments (payment_intent_id, booking_id, amount, currency, client_secret, status)"
        " VALUES ($1, $2, 8900, 'cad', 'secret', 'succeeded')",
        intent,
        id,
    )
    await connection.execute(
        "INSERT INTO refunds (idempotency_key, booking_id, payment_intent_id, amount, reason, requested_at)"
        " VALUES ($1, $2, $3, 8900, 'called_off', now())",
        f"refund/{intent}",
        id,
        intent,
    )
    await connection.execute(
        "INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by)"
        " VALUES ($1, $2, 'cancel', 'operator', 'an operator')",
        uuid4(),
        id,
    )
    await connection.execute("INSERT INTO check_ins (booking_id, party, at) VALUES ($1, 'customer', now())", id)
    await connection.execute(
        "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by)"
        " VALUES ($1, 'mechanic_away', $2, 'time_off', now(), 'mechanic')",
        id,
        shop.mechanic_id,
    )
    await connection.execute(
        "INSERT INTO proposals (id, booking_id, options, proposed_by, proposed_at, expires_at)"
        " VALUES ($1, $2, '[{}]'::text::jsonb, 'operator', now(), now() + interval '1 day')",
        uuid4(),
        id,
    )
    await add_supplement(connection, case)
    await connection.execute(
        "INSERT INTO notifications (key, booking_id, kind, status) VALUES ($1, $2, 'confirmation', 'sent')",
        f"{id}/confirmation",
        id,
    )
    await add_signature(connection, case)
    return case


async def add_supplement(connection: Any, case: Case, hours: int = 24, *, status: str = "open") -> UUID:
    """What may be paid to have the booking so many hours later."""
    id: UUID = await connection.fetchval(
        "INSERT INTO supplements (id, booking_id, status, amount, currency, service_id, plan_id, price, policy,"
        " mechanic_id, starts_at, ends_at, asked_by_role, percent_at_most, asked_at, expires_at, lapses_at, closed_at)"
        " SELECT $2, id, $4, 1000, currency, service_id, plan_id, amount + 1000, policy, mechanic_id,"
        " starts_at + $3 * interval '1 hour', ends_at + $3 * interval '1 hour', 'customer', 100, now(),"
        " now() + interval '15 minutes', now() + interval '16 minutes', CASE WHEN $4 <> 'open' THEN now() END"
        " FROM bookings WHERE id = $1 RETURNING id",
        case.booking_id,
        uuid4(),
        hours,
        status,
    )
    return id


async def add_signature(connection: Any, case: Case, name: str = "Camille Roy") -> UUID:
    """A signature of the first document, as if given now."""
    id: UUID = await connection.fetchval(
        "INSERT INTO waiver_signatures (booking_id, version, language, sha256, signed_name, address, user_agent,"
        " signer_role, signer, keep_until) SELECT $1, version, language, sha256, $2, '203.0.113.7', 'Browser/1.0',"
        " 'link', $1::uuid::text, now() + interval '1 day' FROM waiver_documents WHERE version = 1 AND language = 'en'"
        " RETURNING id",
        case.booking_id,
        name,
    )
    return id
