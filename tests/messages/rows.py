"""A text message that is owed, as a row."""

from typing import Any
from uuid import uuid4

from pitstop.domain.text_messages import reference
from tests.support.rows import Case, add_booking
from tests.support.shop import Shop

Json = dict[str, Any]


class TextRow:
    """The notice `key` of a booking whose customer has this number and wants text messages."""

    def __init__(self, database: Any, case: Case, key: str) -> None:
        self.database, self.case, self.key = database, case, key

    async def read(self) -> Json:
        return dict(await self.database.fetchrow("SELECT * FROM notifications WHERE key = $1", self.key))

    def reference(self, sending: int = 1) -> str:
        return reference(self.key, sending)


async def add_text(
    database: Any,
    shop: Shop,
    number: str | None,
    *,
    consent: bool = True,
    language: str = "en",
    status: str = "pending",
) -> TextRow:
    case = await add_booking(database, shop, shop.start())
    await database.execute(
        "UPDATE bookings SET customer_phone = $2, sms_consent = $3, language = $4, timezone = 'America/Toronto'"
        " WHERE id = $1",
        *(case.booking_id, number, consent, language),
    )
    return TextRow(database, case, await owe_text(database, case, status))


async def owe_text(database: Any, case: Case, status: str = "pending") -> str:
    """A further reminder of the booking, owed now; its key."""
    key = f"{case.booking_id}/reminder/{uuid4().int % 10**6}s/sms"
    await database.execute(
        "INSERT INTO notifications (key, booking_id, kind, channel, status, due_at)"
        " VALUES ($1, $2, 'reminder', 'sms', $3, now())",
        *(key, case.booking_id, status),
    )
    return key
