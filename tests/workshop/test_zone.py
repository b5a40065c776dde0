"""In person the times are those of the workshop, wherever its mechanic says that it is."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.people import Customer
from tests.workshop.conftest import Booked, Yard

VANCOUVER = ZoneInfo("America/Vancouver")


async def test_time_there_is_the_workshops(customer: Customer, yard: Yard, booked: Booked, database: Any) -> None:
    """The shop's mechanic goes by Toronto."""
    move = "UPDATE workshops SET timezone = 'America/Vancouver', confirms_within_minutes = NULL WHERE id = $1"
    await database.execute(move, yard.id)
    start = datetime.now(VANCOUVER).replace(hour=14, minute=0, second=0, microsecond=0) + timedelta(days=3)
    booking = await booked(start.astimezone(UTC))
    [mail] = await customer.mails()
    assert "(America/Vancouver)" in mail["text"]
    entry = await customer.get(f"/v1/bookings/{booking['id']}/invite.ics")
    for ics in (mail["ics"], entry.text):
        assert "DTSTART;TZID=America/Vancouver:" in ics
    due = "SELECT due_at FROM notifications WHERE booking_id = $1 AND kind = 'waiver_request'"
    asked = await database.fetchval(due, booking["id"])
    assert asked == start.replace(hour=8), "on the day, when it is eight o'clock there"
    audited = "SELECT has_column_privilege('pitstop_audit', 'workshops', 'timezone', 'SELECT')"
    assert await database.fetchval(audited)
