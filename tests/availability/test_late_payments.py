"""A payment that comes when the hold has gone: the slot is taken again whole, bay and all, or not at all."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

from pitstop.domain.course import Course
from pitstop.postgres.saga import PostgresSaga
from tests.availability import product
from tests.availability.conftest import Desk
from tests.availability.reference import Bay, Mechanic, Reservation, Service, Span, World

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
TEN = datetime(2026, 6, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORKSHOP = UUID(int=4)
BAY = Bay(UUID(int=5), WORKSHOP)
ALWAYS = {weekday: [Span(time(0), time(0))] for weekday in range(7)}
ZOE, MAX = (Mechanic(UUID(int=number), "UTC", ALWAYS, workshop_id=WORKSHOP) for number in (7, 8))


def _rival(start: datetime) -> Reservation:
    """In the one bay, with the other mechanic, for an hour."""
    end = start + HOUR
    return Reservation(UUID(int=3), MAX.id, start, end, start, end, "confirmed", AT, BAY.id)


async def _pay_late(connection: Any, rival: Reservation) -> list[Any]:
    """Agreed with an hour around it after the session, which the service asks for no more when the money comes."""
    service = Service(UUID(int=1), HOUR, HOUR, after=HOUR, in_person=True)
    world = World(service, [ZOE, MAX], [BAY], [rival])
    async with product.undone(connection):
        await product.write(connection, world)
        booking = await product.open_booking(connection, world, ZOE, TEN)
        held = "UPDATE bookings SET status = 'awaiting_payment', hold_expires_at = $2 WHERE id = $1"
        await connection.execute(held, booking, AT)
        await connection.execute(
            "INSERT INTO payments (payment_intent_id, booking_id, amount, currency, client_secret, status)"
            " VALUES ('pi_late', $1, 8900, 'cad', 'secret', 'processing')",
            booking,
        )
        await connection.execute("UPDATE services SET buffer_after_minutes = 0")
        await product.become(connection, "pitstop_worker")
        pool: Any = product.OneConnection(connection)
        await PostgresSaga(pool).confirm(booking, uuid4(), Course([], timedelta(0)), AT)
        rows = await connection.fetch("SELECT bay_id FROM slot_reservations WHERE booking_id = $1", booking)
        return [row["bay_id"] for row in rows]


def test_it_has_its_bay_again(desk: Desk) -> None:
    assert desk.run(_pay_late(desk.connection, _rival(TEN + 2 * HOUR))) == [BAY.id]


def test_without_a_bay_it_is_refunded(desk: Desk) -> None:
    """The bay is taken for the hour after the session, which this booking was promised."""
    assert desk.run(_pay_late(desk.connection, _rival(TEN + HOUR))) == []
