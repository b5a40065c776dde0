"""What operators are shown of the backlog is what stands in the tables, and is found by index."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.postgres import queries
from pitstop.postgres.pool import open_pool
from pitstop.postgres.pulse import Backlog, Pulse
from tests.support.databases import Urls, fresh_database
from tests.support.rows import add_booking, add_everything
from tests.support.shop import open_shop


@pytest.fixture(scope="module")
async def empty(stack: Stack) -> AsyncIterator[Urls]:
    async with fresh_database(stack) as urls:
        yield urls


async def _fill(rows: Any) -> None:
    """One thing of each kind that is open and late, and one of each that is not."""
    shop, now = await open_shop(rows), datetime.now(UTC)
    old = now - timedelta(hours=2)
    case = await add_everything(rows, shop, shop.start())
    await rows.execute("UPDATE refunds SET requested_at = $1", old)
    ended = await add_everything(rows, await open_shop(rows), shop.start())
    await rows.execute("UPDATE bookings SET status = 'completed' WHERE id = $1", ended.booking_id)
    await rows.execute("UPDATE refunds SET refunded_at = now() WHERE booking_id = $1", ended.booking_id)
    for number, expires in enumerate((now + timedelta(minutes=5), old)):
        hold = await add_booking(rows, shop, shop.start(days=10 + number), "awaiting_payment")
        await rows.execute("UPDATE bookings SET hold_expires_at = $2 WHERE id = $1", hold.booking_id, expires)
    for key, due, status in (
        ("late", old, "pending"),
        ("later", now + timedelta(days=1), "pending"),
        ("was", old, "sent"),
    ):
        insert = "INSERT INTO notifications (key, booking_id, kind, status, due_at) VALUES ($1, $2, 'reminder', $3, $4)"
        await rows.execute(insert, key, case.booking_id, status, due)
    for event, applied in (("evt_1", None), ("evt_2", now)):
        await rows.execute(
            "INSERT INTO webhook_inbox (event_id, type, payload, received_at, applied_at)"
            " VALUES ($1, 't', '{}', $2, $3)",
            event,
            old,
            applied,
        )


async def test_the_backlog_is_what_is_open_and_late(empty: Urls) -> None:
    async with (
        asyncpg.create_pool(empty.superuser, min_size=0, max_size=2) as rows,
        open_pool(empty.api, 1, "test") as pool,
    ):
        nothing = await Pulse(pool).backlog()
        assert nothing == Backlog({}, 0, 0, 0, 0.0, 0, 0.0)
        await _fill(rows)
        found = await Pulse(pool).backlog()
    assert found.bookings == {"confirmed": 1, "awaiting_payment": 2}
    assert (found.holds_live, found.notices_overdue, found.refunds_owed, found.webhooks_unapplied) == (1, 1, 1, 1)
    assert 7200 <= found.oldest_refund_seconds < 7300
    assert 7200 <= found.oldest_webhook_seconds < 7300


async def test_each_figure_comes_from_an_index_of_what_is_open(empty: Urls) -> None:
    """Rows that have ended, of which there are ever more, are not read."""
    connection = await asyncpg.connect(empty.api)
    try:
        await connection.execute("SET enable_seqscan = off")
        for name in ("open_bookings", "late", "unapplied_webhooks"):
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {queries.load('pulse')[name]}"))
            assert "Seq Scan" not in plan, plan
    finally:
        await connection.close()


async def test_news_is_one_entry_more(empty: Urls) -> None:
    async with (
        asyncpg.create_pool(empty.superuser, min_size=0, max_size=2) as rows,
        open_pool(empty.api, 1, "test") as pool,
    ):
        case = await add_everything(rows, shop := await open_shop(rows), shop.start())
        assert await Pulse(pool).news([case.booking_id, nobody := uuid4()]) == {case.booking_id: 1, nobody: 0}
