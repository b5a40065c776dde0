"""A change while something is down: it is decided on once, or taken back, and whoever asks again is told the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.life.conftest import Booked
from tests.life.meeting import Books, held_up
from tests.support.forks import crashing_worker
from tests.support.gate import Outage, gate
from tests.support.people import Customer, Json, events
from tests.support.processes import dies, environment, serving, settings
from tests.support.shop import Shop
from tests.support.time import Clock

_TASK_TIMEOUT = 2
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture
async def queue(stack: Stack, customer: Customer, mechanic: Customer) -> AsyncIterator[str]:
    """A task queue that no worker but the test's own works on, and an API that puts the bookings there."""
    name = f"life-{uuid4()}"
    async with serving(settings(stack, task_queue=name, workflow_task_seconds=_TASK_TIMEOUT)) as url:
        customer.api_url = mechanic.api_url = url
        yield name


async def _booked(customer: Customer, shop: Shop, start: datetime) -> Json:
    booking = await _held(customer, shop, start)
    await customer.pay(booking)
    return await customer.sees(booking, "confirmed", "mail_sent")


async def _held(customer: Customer, shop: Shop, start: datetime) -> Json:
    """As soon as the test's worker is there."""
    key = str(uuid4())
    for _ in range(10):
        answer = await customer.post(customer.request(shop, start), key)
        if answer.status_code != 503:
            break
    assert answer.status_code in (200, 201), answer.text
    booking: Json = answer.json()
    return booking


# What is asked, when (before the start), the status after it, and what goes back.
CHANGES: dict[str, tuple[str, timedelta, str, int]] = {
    "reschedule": ("customer", 3 * DAY, "confirmed", 0),
    "cancel": ("customer", timedelta(hours=5), "cancelled", 4450),
    "check-in": ("customer", 5 * MINUTE, "confirmed", 0),
    "start": ("mechanic", 5 * MINUTE, "in_progress", 0),
    "no-show": ("mechanic", -12 * MINUTE, "no_show", 0),
}


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("what", CHANGES)
async def test_the_worker_is_killed_at_a_change(
    what: str,
    point: str,
    queue: str,
    stack: Stack,
    customer: Customer,
    mechanic: Customer,
    shop: Shop,
    clock: Clock,
    database: Any,
    books: Books,
) -> None:
    """Whoever asked waits, or asks again; the change is made once."""
    by, left, status, back = CHANGES[what]
    start = shop.start(days=3, hours=1)
    who = customer if by == "customer" else mechanic
    sent = {"start": (start + DAY).isoformat()} if what == "reschedule" else {}
    async with crashing_worker(environment(stack, task_queue=queue) | {"CRASH_AT": f"apply_change:{point}"}) as doomed:
        booking = await _booked(customer, shop, start)
        if left < 3 * DAY:
            await clock.forward_to(booking, start - left)
        asked = asyncio.create_task(who.ask(booking, what, **sent))
        await dies(doomed, asked)
    async with crashing_worker(environment(stack, task_queue=queue)):
        answer = await asked
        if answer.status_code == 503:
            answer = await who.ask(booking, what, **sent)
        assert answer.status_code == 200, answer.text
        read = await customer.waits_for(booking, lambda read: read["amount_refunded"] == back, "the refund")
        assert (read["status"], events(read).count("rescheduled")) == (status, int(what == "reschedule"))
        made = await database.fetchval(
            "SELECT count(*) FROM booking_changes WHERE booking_id = $1 AND outcome = 'done'"
            " AND NOT detail::jsonb ? 'unchanged'",
            booking["id"],
        )
        assert made == 1
        await books.agree(booking)


@pytest.mark.parametrize("point", ["complete_session:before", "complete_session:after"])
async def test_the_worker_is_killed_at_the_closing(
    point: str,
    queue: str,
    stack: Stack,
    customer: Customer,
    shop: Shop,
    clock: Clock,
    books: Books,
) -> None:
    """The customer was there and nobody else: all goes back, once."""
    start = shop.start(days=3)
    async with crashing_worker(environment(stack, task_queue=queue) | {"CRASH_AT": point}) as doomed:
        booking = await _booked(customer, shop, start)
        await clock.forward_to(booking, start - 5 * MINUTE)
        assert (await customer.ask(booking, "check-in")).status_code == 200
        ending = asyncio.create_task(clock.to_the_end(booking))
        await dies(doomed)
    async with crashing_worker(environment(stack, task_queue=queue)):
        assert (await ending)["status"] == "no_show"
        read = await customer.read(booking)
        assert (read["amount_refunded"], events(read).count("no_show"), events(read).count("refund_issued")) == (
            8900,
            1,
            1,
        )
        await books.agree(booking)


@pytest.mark.parametrize("what", ["reschedule", "cancel"])
async def test_a_run_that_was_terminated_is_taken_up_by_a_change(
    what: str, customer: Customer, shop: Shop, booked: Booked, clock: Clock, books: Books
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.workflow(booking).terminate("by a test")
    sent = {"start": (start + DAY).isoformat()} if what == "reschedule" else {}
    answer = await customer.ask(booking, what, **sent)
    assert answer.status_code == 200, answer.text
    if what == "reschedule":
        await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "Moved")
        await clock.forward_to(booking, start + DAY - timedelta(minutes=30))
        assert await customer.subjects() == ["Confirmed", "Moved", "Reminder", "Reminder"]
    else:
        assert (await clock.workflow(booking).result())["status"] == "cancelled"
    await books.agree(booking)


@pytest.mark.parametrize("outage", ["refuses", "hangs"])
async def test_a_change_while_temporal_is_away_does_not_come_true_later(
    outage: Outage, stack: Stack, customer: Customer, shop: Shop, booked: Booked, database: Any, books: Books
) -> None:
    """503, and nothing of it is left; asked again when all is there, it is made."""
    async with gate(stack.temporal_address) as before, serving(settings(stack, temporal_address=before.address)) as url:
        customer.api_url = url
        booking = await booked(shop.start(days=3))
        await before.close(outage)
        refused = await customer.ask(booking, "cancel")
        assert (refused.status_code, refused.json()["code"]) == (503, "engine_unavailable"), refused.text
        assert await database.fetchval("SELECT count(*) FROM booking_changes WHERE booking_id = $1", booking["id"]) == 0
        await before.open()
        await asyncio.sleep(1)
        assert (await customer.read(booking))["status"] == "confirmed"
        again = await customer.ask(booking, "cancel")
        assert (again.status_code, again.json()["amount_refunded"]) == (200, 8900), again.text
    await books.agree(booking)


async def test_a_cancellation_that_no_worker_hears_of_in_time_does_not_come_true_later(
    queue: str, stack: Stack, customer: Customer, shop: Shop, books: Books
) -> None:
    """All workers are away for longer than the customer waits. When one is back, the hold can be paid still."""
    doing = environment(stack, task_queue=queue)
    async with crashing_worker(doing):
        booking = await _held(customer, shop, shop.start(days=3))
    refused = await customer.ask(booking, "cancel")
    assert (refused.status_code, refused.json()["code"]) == (503, "engine_unavailable"), refused.text
    async with crashing_worker(doing):
        assert (await customer.pay(booking)).status_code == 200
        await customer.sees(booking, "confirmed", "mail_sent")
        await books.agree(booking)


@pytest.mark.parametrize("what", ["reschedule", "cancel"])
async def test_the_answer_is_lost(
    what: str, customer: Customer, shop: Shop, booked: Booked, database: Any, books: Books
) -> None:
    """The customer hangs up while it is decided on, and asks again: the same answer, and it was made once."""
    start = shop.start(days=3)
    booking = await booked(start)
    sent = {"start": (start + DAY).isoformat()} if what == "reschedule" else {}
    async with held_up(database, booking) as are_waiting:
        asked = asyncio.create_task(_hangs_up(customer, booking, what, sent))
        await are_waiting(1)
        await asked
    again = await customer.ask(booking, what, **sent)
    assert again.status_code == 200, again.text
    event = "rescheduled" if what == "reschedule" else "cancelled"
    assert events(again.json()).count(event) == 1
    await books.agree(booking)


async def _hangs_up(customer: Customer, booking: Json, what: str, sent: Json) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await customer.http.post(
            f"{customer.api_url}/v1/bookings/{booking['id']}/{what}", json=sent, headers=customer.headers, timeout=1.5
        )


async def test_a_cancellation_while_a_mail_does_not_get_through(
    stack: Stack, customer: Customer, shop: Shop, clock: Clock, books: Books
) -> None:
    """The mail that is stopped for it is no failure of the run."""
    fault = {"kind": "reject_4xx", "to": customer.email, "times": 6}
    await customer.http.post(f"{stack.mail_url}/api/faults", json=fault)
    booking = await customer.book(shop, shop.start(days=3))
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    await asyncio.sleep(0.5)
    answer = await customer.ask(booking, "cancel")
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, 8900), answer.text
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    assert await customer.subjects() == ["Cancelled"]
    await books.agree(booking)
