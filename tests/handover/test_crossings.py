"""A hand-over and the mechanic's change of rules at once: each order ends well, and neither waits for ever.

In a database of its own, where a guard can be taken away.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.databases import Urls, fresh_database
from tests.support.meeting import Meeting, meeting_of, stands


@pytest.fixture(scope="module")
async def urls(stack: Stack) -> AsyncIterator[Urls]:
    async with fresh_database(stack) as urls:
        yield urls


@pytest.fixture(scope="module")
async def database(urls: Urls) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(urls.superuser, min_size=0, max_size=4) as pool:
        yield pool


@pytest.fixture
async def meeting(urls: Urls, database: Any) -> AsyncIterator[Meeting]:
    async with meeting_of(urls, database) as meeting:
        yield meeting


async def test_rules_first(meeting: Meeting) -> None:
    """The flag is raised, and ends with the hand-over."""
    away, handed = await meeting.in_order(meeting.time_off, meeting.hand_over)
    assert [each["booking_id"] for each in away["conflicts"]] == [meeting.case.booking_id]
    assert handed.refusal is None
    assert (await meeting.flag())["resolution"] == "handed_over"


async def test_hand_over_first(meeting: Meeting) -> None:
    """The booking is another mechanic's: nothing is flagged."""
    handed, away = await meeting.in_order(meeting.hand_over, meeting.time_off)
    assert (handed.refusal, away["conflicts"]) == (None, [])
    assert await meeting.flag() is None


@asynccontextmanager
async def _with_foreign_key(database: Any) -> AsyncIterator[None]:
    await database.execute(
        "ALTER TABLE booking_flags ADD CONSTRAINT of_a_booking FOREIGN KEY (booking_id) REFERENCES bookings (id)"
    )
    try:
        yield
    finally:
        await database.execute("ALTER TABLE booking_flags DROP CONSTRAINT of_a_booking")


async def test_with_a_foreign_key_they_would_wait_for_each_other(meeting: Meeting, database: Any) -> None:
    """The control: why `booking_flags` has none."""
    async with _with_foreign_key(database):
        came = await meeting.in_order(meeting.time_off, meeting.hand_over)
    assert any(isinstance(each, asyncpg.DeadlockDetectedError) for each in came), came


@pytest.mark.parametrize("who", ["mechanic", "other", "customer", "operator", "link"])
async def test_nobody_else_flags_or_lowers(meeting: Meeting, urls: Urls, who: str) -> None:
    """By hand-written SQL as the API's role: only the booking's own mechanic."""
    await meeting.time_off()
    case = meeting.case
    subject = {"other": meeting.other, "customer": case.customer_id, "link": case.booking_id}.get(
        who, case.shop.mechanic_id
    )
    connection = await asyncpg.connect(urls.api)
    try:
        async with connection.transaction():
            role = "mechanic" if who == "other" else who
            await connection.execute(
                "SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)",
                role,
                str(subject),
            )
            lowered = await connection.execute(
                "UPDATE booking_flags SET resolved_at = now(), resolution = 'taken_back' WHERE booking_id = $1"
                if who == "mechanic"
                else "UPDATE booking_flags SET resolved_at = now(), resolution = 'taken_back'",
                *([case.booking_id] if who == "mechanic" else []),
            )
            assert lowered == ("UPDATE 1" if who == "mechanic" else "UPDATE 0")
            insert = (
                "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by)"
                " VALUES ($1, 'mechanic_away', $2, 'time_off', now(), 'mechanic')"
            )
            if who == "mechanic":
                await connection.execute(insert, case.booking_id, subject)
            else:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(insert, case.booking_id, case.shop.mechanic_id)
    finally:
        await connection.close()


async def _swap(meeting: Meeting, database: Any) -> list[Any]:
    """Two bookings at one time, each handed over to the other's mechanic, at the same moment."""
    shop = replace(meeting.case.shop, mechanic_id=meeting.other)
    back = replace(meeting, case=await stands(database, shop), other=meeting.case.shop.mechanic_id)
    both = [meeting.case.shop.mechanic_id, meeting.other]
    begun = []
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM mechanics WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", both)
        for number, each in enumerate((meeting, back), 1):
            begun.append(asyncio.ensure_future(each.hand_over()))
            await each.waiting(number)
    return await asyncio.gather(*begun, return_exceptions=True)


async def test_two_that_swap_do_not_wait_for_each_other(meeting: Meeting, database: Any) -> None:
    """Both mechanics have something else then: neither is handed over, and nobody gets an error."""
    came = await _swap(meeting, database)
    assert [each.refusal for each in came] == ["slot_unavailable", "slot_unavailable"]


@asynccontextmanager
async def _in_any_order(database: Any) -> AsyncIterator[None]:
    """The mechanics are locked by one from the first on, by the next one from the last on."""
    name = "keep_all_still(uuid[], uuid)"
    before = await database.fetchval("SELECT pg_get_functiondef($1::text::regprocedure)", name)
    await database.execute(
        """
        CREATE SEQUENCE turn;
        GRANT USAGE ON SEQUENCE turn TO pitstop_owner;
        CREATE OR REPLACE FUNCTION keep_all_still(concerned uuid[], service uuid) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DECLARE
            first integer := nextval('turn') % 2 + 1;
        BEGIN
            PERFORM FROM mechanics WHERE id = concerned[first] FOR NO KEY UPDATE;
            -- Time for the other one to lock its first, too.
            PERFORM pg_sleep(2);
            PERFORM FROM mechanics WHERE id = concerned[3 - first] FOR NO KEY UPDATE;
        END
        $$;
        """
    )
    try:
        yield
    finally:
        await database.execute(before)
        await database.execute("DROP SEQUENCE turn")


async def test_without_one_order_they_would(meeting: Meeting, database: Any) -> None:
    """The control of `keep_all_still`."""
    async with _in_any_order(database):
        came = await _swap(meeting, database)
    assert any(isinstance(each, asyncpg.DeadlockDetectedError) for each in came), came
