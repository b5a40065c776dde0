"""A hand-over, or a difference that is paid, and what the mechanic does at once: each order ends well.

In a database of its own, where a guard can be taken away.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from pitstop.domain.caller import Caller, Role
from pitstop.domain.saga import SupplementNews, Terms
from pitstop.ports import PaymentIntent
from pitstop.postgres import changes
from pitstop.postgres.desk import BookingDesk
from pitstop.postgres.pool import open_pool
from pitstop.postgres.supplements import PostgresSupplements
from tests.support.crossing import in_order
from tests.support.databases import Urls
from tests.support.meeting import COURSE, Meeting, database, meeting, stands, urls
from tests.support.shops import add_plan

__all__ = ["database", "meeting", "urls"]
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


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


# What the mechanic asks who has it at that moment


@pytest.mark.parametrize("who", ["customer", "mechanic"])
@pytest.mark.parametrize("comes_first", [True, False])
async def test_somebody_comes(meeting: Meeting, database: Any, who: str, comes_first: bool) -> None:
    """The customer is there all the same; of the mechanic who has it from now on that is not known."""
    now = meeting.case.start - 5 * MINUTE
    comes = await meeting.wish("check_in", who, now)
    handed = await meeting.wish("hand_over", "operator", now, mechanic_id=str(meeting.other))
    both = (comes, handed) if comes_first else (handed, comes)
    answers = [each.refusal for each in await in_order(database, meeting.case.booking_id, *both)]
    late = not comes_first and who == "mechanic"
    assert answers == ([None, "not_theirs"] if late else [None, None])
    assert await _who_came(meeting) == (["customer"] if who == "customer" else [])


@pytest.mark.parametrize("decided", [True, False])
async def test_who_lost_the_booking_learns_what_became_of_the_change(
    meeting: Meeting, urls: Urls, database: Any, decided: bool
) -> None:
    """Or takes it back: the row is their own, though the booking is not any more."""
    comes = await meeting.wish("check_in", "mechanic")
    assert (await meeting.hand_over()).refusal is None
    if decided:
        assert (await comes()).refusal == "not_theirs"
    query = "SELECT id FROM booking_changes WHERE booking_id = $1 AND kind = 'check_in'"
    change = await database.fetchval(query, meeting.case.booking_id)
    mechanic = Caller(Role.MECHANIC, str(meeting.case.shop.mechanic_id))
    async with open_pool(urls.api, 1, "test") as pool:
        known = await BookingDesk(pool).take_back(mechanic, meeting.case.booking_id, change)
    assert (known and known.refusal) == ("not_theirs" if decided else None)
    assert await database.fetchval(query, meeting.case.booking_id) == (change if decided else None)


async def _who_came(meeting: Meeting) -> list[str]:
    rows = await meeting.database.fetch(
        "SELECT party FROM check_ins WHERE booking_id = $1 ORDER BY party", meeting.case.booking_id
    )
    return [row["party"] for row in rows]


@pytest.mark.parametrize("kind", ["check_in", "start", "cancel", "propose", "hand_over"])
async def test_it_is_no_more_for_the_mechanic_before_to_ask(meeting: Meeting, database: Any, kind: str) -> None:
    """What was put on record while the booking was its own, and is decided on when it is not."""
    now = meeting.case.start - 5 * MINUTE
    asks = await meeting.wish(kind, "mechanic", now)
    assert (await meeting.hand_over()).refusal is None
    refused = await asks()
    assert refused.refusal == "not_theirs"
    assert refused.terms is not None
    stood = await database.fetchrow("SELECT status, starts_at FROM bookings WHERE id = $1", meeting.case.booking_id)
    assert tuple(stood) == ("confirmed", meeting.case.start)


async def test_otherwise_the_one_would_be_there_for_the_other(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: it is not asked whose the booking is now."""
    query = changes._SQL["change"].replace("b.mechanic_id::text = c.asked_by", "TRUE")
    monkeypatch.setitem(changes._SQL, "change", query)
    comes = await meeting.wish("check_in", "mechanic", meeting.case.start - 5 * MINUTE)
    assert (await meeting.hand_over()).refusal is None
    assert (await comes()).refusal is None
    assert await _who_came(meeting) == ["mechanic"]


# A time that is held for the booking until its difference is paid


@pytest.mark.parametrize("paid_first", [True, False])
async def test_a_difference_is_paid(meeting: Meeting, urls: Urls, database: Any, paid_first: bool) -> None:
    """Its mechanic takes that time off: it is the customer's, and flagged."""
    target = meeting.case.start + DAY
    plan = await add_plan(database, meeting.case.shop, 9900)
    asked = await meeting.change("reschedule", "customer", start=target.isoformat(), plan_id=str(plan))
    assert asked.terms is not None
    assert asked.terms.supplement is not None
    intent = f"pi_{asked.terms.supplement.id.hex}"
    span = (target, target + timedelta(hours=1))
    async with open_pool(urls.worker, 1, "test") as pool:
        supplements = PostgresSupplements(pool)
        made = PaymentIntent(intent, "requires_payment_method", "secret")
        await supplements.record_intent(meeting.case.booking_id, asked.terms.supplement.id, made, datetime.now(UTC))

        async def pays() -> Terms | None:
            news = SupplementNews(intent, True)
            return await supplements.settle(meeting.case.booking_id, news, COURSE, datetime.now(UTC))

        acts = (pays, lambda: meeting.time_off(span))
        came = await meeting.in_order(*(acts if paid_first else acts[::-1]))
    [conflict] = came[paid_first]["conflicts"]
    assert (conflict["booking_id"], conflict["held_beside"]) == (meeting.case.booking_id, not paid_first)
    stands = await database.fetchrow("SELECT starts_at, amount FROM bookings WHERE id = $1", meeting.case.booking_id)
    assert tuple(stands) == (target, 9900)
    assert (await meeting.flag())["reason"] == "time_off"


async def test_a_difference_is_paid_when_the_session_has_begun(meeting: Meeting, urls: Urls, database: Any) -> None:
    """It goes back, and the customer is told."""
    plan = await add_plan(database, meeting.case.shop, 9900)
    start = (meeting.case.start + DAY).isoformat()
    asked = await meeting.change("reschedule", "customer", start=start, plan_id=str(plan))
    assert asked.terms is not None
    assert asked.terms.supplement is not None
    intent = f"pi_{asked.terms.supplement.id.hex}"
    begun = meeting.case.start + MINUTE
    async with open_pool(urls.worker, 1, "test") as pool:
        supplements = PostgresSupplements(pool)
        made = PaymentIntent(intent, "requires_payment_method", "secret")
        await supplements.record_intent(meeting.case.booking_id, asked.terms.supplement.id, made, datetime.now(UTC))
        for who, what in (("customer", "check_in"), ("mechanic", "start")):
            assert (await meeting.change(what, who, begun)).refusal is None
        await supplements.settle(meeting.case.booking_id, SupplementNews(intent, True), COURSE, begun)
    told = "SELECT count(*) FROM notifications WHERE booking_id = $1 AND kind = 'difference_returned'"
    assert await database.fetchval(told, meeting.case.booking_id) == 1


# In which order they lock


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
