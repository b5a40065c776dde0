"""What the waitlist can leave undone, or do twice, is found; and it is clean where nothing is."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.audit import kinds
from pitstop.domain.audit.findings import Finding
from pitstop.postgres.audit import PostgresRecords
from pitstop.postgres.pool import open_pool
from tests.waitlist.line import Line, Open, lines

PATIENCE = timedelta(minutes=5)


@pytest.fixture
async def make(stack: Stack) -> AsyncIterator[Open]:
    async with lines(stack) as opened:
        yield opened


async def _found(line: Line) -> list[Finding]:
    async with open_pool(line.urls.audit, 1, "audit-test") as pool, PostgresRecords(pool).snapshot() as snapshot:
        return await snapshot.waitlist_unsound(PATIENCE)


async def test_time_that_nobody_has_looked_at(make: Open) -> None:
    line = await make(1)
    await line.join()
    await line.free(0)
    assert await _found(line) == [], "it has come free just now"
    await line.database.execute("UPDATE freed_slots SET freed_at = now() - interval '6 minutes'")
    [finding] = await _found(line)
    assert (finding.kind, finding.remedy) == (kinds.FREED_SLOT_FORGOTTEN, kinds.FREED_SLOT_FORGOTTEN.remedy)
    await line.serve()
    assert await _found(line) == []


async def test_two_offers_at_a_time(make: Open) -> None:
    line = await make(1)
    entry = await line.join()
    await line.free(0)
    await line.serve()
    assert await _found(line) == []
    await line.database.execute("DROP INDEX one_open_offer_of_an_entry")
    await line.database.execute(
        "INSERT INTO bookings (SELECT (jsonb_populate_record(b, jsonb_build_object('id', $2::text))).*"
        " FROM bookings AS b WHERE waitlist_entry_id = $1)",
        entry,
        str(uuid4()),
    )
    [finding] = await _found(line)
    assert (finding.kind, finding.subject) == (kinds.TWO_OFFERS, str(entry))


async def test_paid_for_and_still_in_line(make: Open) -> None:
    line = await make(1)
    entry = await line.join()
    await line.free(0)
    await line.serve()
    booking = await line.offer_of(entry)
    assert booking
    await line.database.execute("DROP TRIGGER offer_is_over ON bookings")
    await line.pay(booking)
    [finding] = await _found(line)
    assert (finding.kind, finding.booking_id) == (kinds.OFFER_NOT_SETTLED, booking)


async def test_waiting_for_what_is_over(make: Open) -> None:
    line = await make(1)
    await line.join()
    past = "UPDATE waitlist_entries SET span = tstzrange(now() - interval '1 day', now() - $1::interval)"
    await line.database.execute(past, timedelta(minutes=1))
    assert await _found(line) == []
    await line.database.execute(past, timedelta(minutes=6))
    [finding] = await _found(line)
    assert finding.kind is kinds.ENTRY_OUTLIVED
