"""A proposal is accepted at the moment in which something else happens: in both orders there is one outcome."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from pitstop.domain.changes import ChangeOutcome
from pitstop.postgres import proposals
from tests.support.crossing import in_order
from tests.support.databases import Urls
from tests.support.meeting import Meeting, database, meeting_of, urls

__all__ = ["database", "urls"]
DAY = timedelta(days=1)
Act = Callable[[], Awaitable[Any]]


@pytest.fixture
async def meeting(urls: Urls, database: Any) -> AsyncIterator[Meeting]:
    """A day later is proposed, for an hour from now on."""
    async with meeting_of(urls, database) as meeting:
        option = {"start": (meeting.case.start + DAY).isoformat()}
        made = await meeting.change("propose", "operator", options=[option], expires_in_minutes=60)
        assert made.refusal is None
        yield meeting


async def accepting(meeting: Meeting, now: datetime | None = None) -> Callable[[], Awaitable[ChangeOutcome]]:
    start = (meeting.case.start + DAY).isoformat()
    return await meeting.wish("accept_proposal", "customer", now, start=start)


async def state(meeting: Meeting) -> tuple[Any, ...]:
    """The booking's status, how far it has been moved, and its proposal's status."""
    row = await meeting.database.fetchrow(
        "SELECT b.status, b.starts_at, p.status AS proposal"
        " FROM bookings AS b JOIN proposals AS p ON p.booking_id = b.id WHERE b.id = $1",
        meeting.case.booking_id,
    )
    return row["status"], row["starts_at"] - meeting.case.start, row["proposal"]


async def test_accept_then_cancel(meeting: Meeting, database: Any) -> None:
    cancel = await meeting.wish("cancel", "customer")
    taken, cancelled = await in_order(database, meeting.case.booking_id, await accepting(meeting), cancel)
    assert (taken.refusal, cancelled.refusal) == (None, None)
    assert await state(meeting) == ("cancelled", DAY, "accepted")


async def test_cancel_then_accept(meeting: Meeting, database: Any) -> None:
    cancel = await meeting.wish("cancel", "customer")
    cancelled, taken = await in_order(database, meeting.case.booking_id, cancel, await accepting(meeting))
    assert (cancelled.refusal, taken.refusal) == (None, "no_proposal")
    assert await state(meeting) == ("cancelled", timedelta(0), "closed")


async def test_accept_then_reschedule(meeting: Meeting, database: Any) -> None:
    start = (meeting.case.start + 2 * DAY).isoformat()
    reschedule = await meeting.wish("reschedule", "customer", start=start)
    taken, moved = await in_order(database, meeting.case.booking_id, await accepting(meeting), reschedule)
    assert (taken.refusal, moved.refusal) == (None, None)
    assert await state(meeting) == ("confirmed", 2 * DAY, "accepted")


async def test_reschedule_then_accept(meeting: Meeting, database: Any) -> None:
    start = (meeting.case.start + 2 * DAY).isoformat()
    reschedule = await meeting.wish("reschedule", "customer", start=start)
    moved, taken = await in_order(database, meeting.case.booking_id, reschedule, await accepting(meeting))
    assert (moved.refusal, taken.refusal) == (None, "no_proposal")
    assert await state(meeting) == ("confirmed", 2 * DAY, "closed")


async def test_accept_then_lapse(meeting: Meeting, database: Any) -> None:
    over = datetime.now(UTC) + timedelta(minutes=61)
    lapse: Act = lambda: meeting.changes.terms(meeting.case.booking_id, over)  # noqa: E731
    taken, terms = await in_order(database, meeting.case.booking_id, await accepting(meeting), lapse)
    assert (taken.refusal, terms.lapses) == (None, None)
    assert await state(meeting) == ("confirmed", DAY, "accepted")


async def test_lapse_then_accept(meeting: Meeting, database: Any) -> None:
    over = datetime.now(UTC) + timedelta(minutes=61)
    lapse: Act = lambda: meeting.changes.terms(meeting.case.booking_id, over)  # noqa: E731
    _, taken = await in_order(database, meeting.case.booking_id, lapse, await accepting(meeting, over))
    assert taken.refusal == "no_proposal"
    assert await state(meeting) == ("confirmed", timedelta(0), "lapsed")


async def test_too_late_though_nobody_has_marked_it(meeting: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is open still, and its time is over. The control does not look at the time."""
    over = datetime.now(UTC) + timedelta(minutes=61)
    assert (await (await accepting(meeting, over))()).refusal == "no_proposal"
    assert await state(meeting) == ("confirmed", timedelta(0), "open")
    query = proposals._SQL["open_proposal"].replace("expires_at", "expires_at + interval '1 day' AS expires_at")
    monkeypatch.setitem(proposals._SQL, "open_proposal", query)
    assert (await (await accepting(meeting, over))()).refusal is None


async def test_one_proposal_at_a_time(meeting: Meeting, database: Any) -> None:
    """Without closing the one before, the database refuses the next."""
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.execute(
            "INSERT INTO proposals (id, booking_id, options, proposed_by, proposed_at, expires_at)"
            " SELECT gen_random_uuid(), booking_id, options, proposed_by, proposed_at, expires_at FROM proposals"
            " WHERE booking_id = $1",
            meeting.case.booking_id,
        )
