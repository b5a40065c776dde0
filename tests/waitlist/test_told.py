"""Who is offered something is told by mail, and with consent by text message, at any hour."""

from collections.abc import AsyncIterator
from datetime import datetime, time

import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.quiet_hours import QuietHours
from pitstop.domain.reminder_plan import TextRules
from pitstop.postgres.pool import open_pool
from pitstop.postgres.saga import PostgresSaga
from tests.waitlist.line import Open, lines, moment

# Every hour is a quiet one.
_ALWAYS = QuietHours(time(0, 0), time(23, 59))


@pytest.fixture
async def make(stack: Stack) -> AsyncIterator[Open]:
    async with lines(stack) as opened:
        yield opened


@pytest.mark.parametrize(("consent", "channels"), [(True, ["email", "sms"]), (False, ["email"])])
async def test_by_mail_and_by_text(make: Open, consent: bool, channels: list[str]) -> None:
    line = await make(1)
    entry = await line.join("only")
    await line.database.execute(
        "UPDATE waitlist_entries SET customer_phone = '+14165550123', sms_consent = $2, language = 'fr' WHERE id = $1",
        entry,
        consent,
    )
    await line.free(0)
    async with open_pool(line.urls.worker, 2, "told-test") as pool:
        line.saga = PostgresSaga(pool, TextRules(_ALWAYS, True))
        assert await line.serve() == [("only", 0)]
    booking = await line.offer_of(entry)
    told = await line.database.fetch(
        "SELECT n.channel, n.status, n.due_at, n.about->>'until' AS until, b.language, b.hold_expires_at"
        " FROM notifications AS n JOIN bookings AS b ON b.id = n.booking_id WHERE b.id = $1 ORDER BY n.channel",
        booking,
    )
    assert [each["channel"] for each in told] == channels
    assert {(each["status"], each["due_at"], each["language"]) for each in told} == {("pending", None, "fr")}
    for each in told:
        assert datetime.fromisoformat(each["until"]) == each["hold_expires_at"] > moment()
