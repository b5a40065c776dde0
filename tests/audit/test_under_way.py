"""Bookings under way are not discrepancies: not at any step, not while something is retried, not while they move."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from pitstop.audit.auditor import Scope
from tests.audit.conftest import States
from tests.audit.house import HOLD, House, codes
from tests.support.people import DECLINED_CARD, Customer

Json = dict[str, Any]
# How far each booking goes while the audit looks on.
COURSES = ("abandoned", "declined", "confirmed", "cancelled", "cancelled_unpaid", "completed")


async def _course(house: House, course: str, customer: Customer, booking: Json) -> None:
    handle = house.clock.workflow(booking)
    if course == "declined":
        await customer.pay(booking, DECLINED_CARD)
        await customer.sees(booking, "awaiting_payment", "payment_declined")
    if course in ("abandoned", "declined"):
        await house.clock.forward(booking, HOLD + timedelta(seconds=1))
        await customer.sees(booking, {"abandoned": "expired", "declined": "payment_failed"}[course])
    elif course == "cancelled_unpaid":
        await handle.cancel()
        await customer.sees(booking, "cancelled")
    else:
        await customer.pay(booking)
        await customer.sees(booking, "confirmed")
    if course == "cancelled":
        await handle.cancel()
        await customer.waits_for(booking, lambda read: read["amount_refunded"] > 0, "the refund")
    elif course == "completed":
        await house.clock.to_the_end(booking)


async def test_nothing_is_reported_while_bookings_go_their_ways(house: House) -> None:
    """Two of each course, one after the other and all at once, with an audit that looks again and again."""
    begun: list[Json] = []
    first = asyncio.Event()

    async def live(course: str) -> None:
        customer, booking = await house.awaiting()
        begun.append(booking)
        first.set()
        await _course(house, course, customer, booking)

    living = asyncio.gather(*(live(course) for course in COURSES * 2))
    looks = 0
    await first.wait()
    while not living.done() or looks < 3:
        outcome = await house.look(*begun, settle=0.3)
        assert outcome.findings == (), "reported though it was under way"
        looks += 1
    await living
    settled = await house.look(*begun, settle=1)
    assert settled.findings == ()
    assert settled.checked["bookings"] == 2 * len(COURSES)


async def test_a_refund_that_is_retried_has_its_time(house: House) -> None:
    """Stripe refuses for a while: under way within the patience, and named with what is retried beyond it."""
    customer, booking = await house.awaiting()
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    away = await house.control.fault("refund", "error_500", times=None)
    try:
        await house.clock.workflow(booking).cancel()
        await customer.sees(booking, "cancelled")
        await _retries(house, booking)
        assert (await house.look(booking, patience=60)).is_clean
        [finding] = (await house.look(booking, patience=0)).findings[:1]
    finally:
        await house.control.remove(away)
    assert finding.kind.code == "refund_overdue"
    assert finding.remedy is None, "its workflow runs: there is nothing to start"
    assert "retries refund_payment" in finding.found
    await customer.waits_for(booking, lambda read: read["amount_refunded"] > 0, "the refund")


async def _retries(house: House, booking: Json) -> None:
    for _ in range(100):
        described = await house.clock.workflow(booking).describe()
        if any(each.attempt > 1 for each in described.raw_description.pending_activities):
            return
        await asyncio.sleep(0.1)
    pytest.fail("no activity is retried")


async def test_what_mends_itself_before_the_second_look_is_not_reported(house: House, states: States) -> None:
    """The first look sees a booking between two of its steps; the control is any test of test_kinds.py."""
    async with house.planted(states["confirmed"], "DELETE FROM sessions WHERE booking_id = $1"):
        look = asyncio.create_task(house.look(states["confirmed"], settle=4))
        await asyncio.sleep(2)
    outcome = await look
    assert outcome.checked["looked_at_again"] == 1
    assert outcome.is_clean


async def test_what_moves_between_the_looks_is_left_to_the_next_pass(house: House, states: States) -> None:
    booking = states["confirmed"]

    async def move() -> None:
        while True:
            await house.plant(booking, "UPDATE bookings SET version = version + 1 WHERE id = $1")
            await asyncio.sleep(0.05)

    async with house.planted(booking, "DELETE FROM sessions WHERE booking_id = $1"):
        moving = asyncio.create_task(move())
        outcome = await house.look(booking, settle=1)
        moving.cancel()
        still = await house.look(booking, settle=1)
    assert (outcome.findings, outcome.checked["under_way"]) == ((), 1)
    assert "no_session" in codes(still)


async def test_every_booking_and_every_change(house: House, states: States) -> None:
    """A pass over all and one over changes see the same; a booking that has ended and not changed is left out."""
    plant = "UPDATE sessions SET status = 'scheduled' WHERE booking_id = $1"
    long_ago = "UPDATE bookings SET updated_at = AN_HOUR_AGO WHERE id = $1"
    ended = states["cancelled"]
    async with house.planted(ended, plant):
        assert "session_not_closed" in await _found(house, ended, Scope())
        begun = Scope(since=await house.database.fetchval("SELECT now() - interval '10 minutes'"))
        assert "session_not_closed" in await _found(house, ended, begun)
        await house.plant(ended, long_ago)
        recent = Scope(since=await house.database.fetchval("SELECT now()"))
        assert await _found(house, ended, recent) == set()
    async with house.planted(states["confirmed"], "DELETE FROM sessions WHERE booking_id = $1", long_ago):
        assert "no_session" in await _found(house, states["confirmed"], recent), "what is open is always looked at"


async def _found(house: House, booking: Json, scope: Scope) -> set[str]:
    """Stripe's account is that of all tests: what it has of their bookings is unknown in this database."""
    outcome = await house.look(scope=scope)
    return {each.kind.code for each in outcome.findings if each.booking_id == UUID(booking["id"])}


async def test_pages_are_all_read(house: House, states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages show the same as a large one."""
    monkeypatch.setattr("pitstop.audit.auditor.PAGE", 3)
    lately = Scope(since=await house.database.fetchval("SELECT now()"))
    async with house.planted(states["confirmed"], "DELETE FROM sessions WHERE booking_id = $1"):
        assert "no_session" in await _found(house, states["confirmed"], lately)
    assert await _found(house, states["confirmed"], lately) == set()


async def test_so_many_that_look_wrong_are_never_clean(
    house: House, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept in memory has its bound; beyond it the pass says that there is more."""
    monkeypatch.setattr("pitstop.audit.auditor.MOST_SUSPECTS", 1)
    plant = "DELETE FROM sessions WHERE booking_id = $1"
    async with house.planted(states["confirmed"], plant), house.planted(states["other"], plant):
        outcome = await house.look(states["confirmed"], states["other"])
    assert (len(outcome.findings), outcome.checked["left_over"]) == (1, 1)
    assert not replace(outcome, findings=()).is_clean


async def test_a_flag_on_what_is_not_paid_yet_is_not_news(house: House) -> None:
    """The run tells of it once it is paid for; until then its customer has nothing to lose."""
    _, booking = await house.awaiting()
    await house.database.execute(
        "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by) "
        "SELECT id, 'mechanic_away', mechanic_id, 'time_off', now() - interval '1 hour', 'mechanic' "
        "FROM bookings WHERE id = $1",
        UUID(booking["id"]),
    )
    await house.database.execute(
        "UPDATE bookings SET updated_at = now() - interval '1 hour' WHERE id = $1", UUID(booking["id"])
    )
    assert codes(await house.look(booking)) == set()


@pytest.mark.parametrize("everything", [True, False])
async def test_each_booking_is_counted_once(house: House, monkeypatch: pytest.MonkeyPatch, everything: bool) -> None:
    """Pages overlap in time, as Stripe lists its PaymentIntents: a booking that is met again is not another one."""
    for _ in range(4):
        await house.awaiting()
    since = None if everything else await house.database.fetchval("SELECT now() - interval '1 day'")
    count = await house.database.fetchval("SELECT count(*) FROM bookings")
    monkeypatch.setattr("pitstop.audit.auditor.PAGE", count // 4)
    outcome = await house.look(scope=Scope(since=since))
    assert outcome.checked["bookings"] == count > 1
