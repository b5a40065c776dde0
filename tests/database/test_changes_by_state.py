"""What can be asked of a booking in which state: a run refuses all else by one table, and nothing is changed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from pitstop.domain.booking import BookingStatus
from pitstop.domain.changes import LEADS_TO, POSSIBLE_IN, ChangeKind, ChangeOutcome, refusal_in
from pitstop.domain.course import Course
from pitstop.postgres import changes as product
from pitstop.postgres.changes import PostgresChanges
from pitstop.postgres.pool import Pool, open_pool
from tests.support.databases import Urls
from tests.support.rows import Case, add_booking
from tests.support.shop import Shop

COURSE = Course((), timedelta(minutes=15))
_ASK = """
INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by)
VALUES ($1, $2, $3, 'operator', 'an operator')
"""
# Bookings that have got as far as a hold: others have no run that could be asked.
_HELD = [status for status in BookingStatus if status is not BookingStatus.HOLDING]


@pytest.fixture
async def pool(urls: Urls) -> AsyncIterator[Pool]:
    async with open_pool(urls.worker, 1, "test") as pool:
        yield pool


async def _booking(database: Any, shop: Shop, status: BookingStatus) -> Case:
    case = await add_booking(database, shop, shop.start(), status)
    await database.execute("UPDATE bookings SET hold_expires_at = starts_at WHERE id = $1", case.booking_id)
    return case


async def _asked(database: Any, pool: Pool, case: Case, kind: ChangeKind) -> ChangeOutcome:
    change = uuid4()
    await database.execute(_ASK, change, case.booking_id, kind)
    return await PostgresChanges(pool).apply(case.booking_id, change, COURSE, datetime.now(UTC))


async def _version(database: Any, case: Case) -> tuple[int, int]:
    of_it = (
        "SELECT version, (SELECT count(*) FROM booking_events WHERE booking_id = b.id) FROM bookings AS b WHERE id = $1"
    )
    return tuple(await database.fetchrow(of_it, case.booking_id))


@pytest.mark.parametrize("kind", ChangeKind)
async def test_elsewhere_it_is_refused_and_nothing_changes(
    kind: ChangeKind, database: Any, pool: Pool, shop: Shop
) -> None:
    for status in _HELD:
        if status in POSSIBLE_IN[kind]:
            continue
        case = await _booking(database, shop, status)
        before = await _version(database, case)
        outcome = await _asked(database, pool, case, kind)
        done = LEADS_TO.get(kind) is status
        assert outcome.refusal is (None if done else refusal_in(kind)), (status, outcome)
        assert await _version(database, case) == before, status


async def test_the_table_is_what_refuses(
    database: Any, pool: Pool, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it somebody comes to a session that is over."""
    case = await _booking(database, shop, BookingStatus.COMPLETED)
    await database.execute("UPDATE bookings SET starts_at = now() WHERE id = $1", case.booking_id)
    assert (await _asked(database, pool, case, ChangeKind.CHECK_IN)).refusal is refusal_in(ChangeKind.CHECK_IN)
    monkeypatch.setattr(product, "POSSIBLE_IN", dict.fromkeys(ChangeKind, tuple(BookingStatus)))
    assert (await _asked(database, pool, case, ChangeKind.CHECK_IN)).refusal is None
