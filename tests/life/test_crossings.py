"""What somebody asks at the moment in which the booking gets another time, or its time ends early: one outcome.

In a database of its own, on the steps themselves.
"""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from pitstop.postgres.pool import open_pool
from pitstop.postgres.saga import PostgresSaga
from tests.support.crossing import in_order
from tests.support.databases import Urls
from tests.support.meeting import Meeting, database, meeting, urls
from tests.support.rows import add_booking

__all__ = ["database", "meeting", "urls"]
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.mark.parametrize("who", ["customer", "mechanic"])
@pytest.mark.parametrize("comes_first", [True, False])
async def test_somebody_comes_as_it_moves(meeting: Meeting, database: Any, who: str, comes_first: bool) -> None:
    """In the waiting room of a time that is its own no more: nobody has come to the new one."""
    now = meeting.case.start - 5 * MINUTE
    comes = await meeting.wish("check_in", who, now)
    moves = await meeting.wish("reschedule", "operator", now, start=(meeting.case.start + DAY).isoformat())
    both = (comes, moves) if comes_first else (moves, comes)
    answers = [each.refusal for each in await in_order(database, meeting.case.booking_id, *both)]
    assert answers == [None, None if comes_first else "too_early"]
    assert await database.fetchval("SELECT count(*) FROM check_ins WHERE booking_id = $1", meeting.case.booking_id) == 0


async def test_somebody_wants_what_an_early_end_leaves(meeting: Meeting, urls: Urls, database: Any) -> None:
    """Before the end, in that moment, and after it: had, or not had, and never by both."""
    start, shop = meeting.case.start, meeting.case.shop
    assert (await meeting.change("start", "mechanic", start)).refusal is None
    now = start + 30 * MINUTE
    rival = await add_booking(database, shop, start + 45 * MINUTE, "holding")
    wanted = "UPDATE bookings SET preferred_mechanic_id = mechanic_id WHERE id = $1"
    await database.execute(wanted, rival.booking_id)
    ends = await meeting.wish("complete", "mechanic", now)
    async with open_pool(urls.worker, 2, "test") as pool:
        saga = PostgresSaga(pool)

        async def wants() -> bool:
            until = now + 15 * MINUTE
            held = await saga.place_hold(rival.booking_id, "", uuid4(), now, until, until + MINUTE)
            return held.refusal is None

        assert not await wants(), "it is the session's still"
        done, _ = await asyncio.gather(ends(), wants())
        assert done.refusal is None
        assert await wants(), "what was not to be had in that moment is to be had now"
    overlapping = (
        "SELECT count(*) FROM slot_reservations AS a JOIN slot_reservations AS b ON a.id < b.id"
        " AND a.mechanic_id = b.mechanic_id AND a.blocked && b.blocked"
        " AND a.status IN ('reserved', 'confirmed') AND b.status IN ('reserved', 'confirmed')"
    )
    assert await database.fetchval(overlapping) == 0
