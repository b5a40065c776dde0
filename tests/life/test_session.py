"""The session itself: who has come, when it begins and ends, and who did not come."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from tests.life.conftest import Booked
from tests.life.meeting import Books
from tests.support.histories import replays
from tests.support.people import Customer, events
from tests.support.shop import Shop
from tests.support.time import Clock

MINUTE = timedelta(minutes=1)


async def test_started_and_completed(
    customer: Customer, mechanic: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    early = await customer.ask(booking, "check-in")
    assert (early.status_code, early.json()["code"]) == (409, "too_early")
    assert (await mechanic.ask(booking, "start")).json()["code"] == "too_early"
    await clock.forward_to(booking, start - 14 * MINUTE)
    assert (await customer.ask(booking, "check-in")).status_code == 200
    assert (await customer.ask(booking, "start")).status_code == 403
    started = await mechanic.ask(booking, "start")
    assert (started.status_code, started.json()["status"]) == (200, "in_progress"), started.text
    assert (await mechanic.ask(booking, "start")).status_code == 200
    moved = await customer.ask(booking, "reschedule", start=(start + timedelta(days=1)).isoformat())
    assert (moved.status_code, moved.json()["code"]) == (409, "not_reschedulable")
    assert (await customer.ask(booking, "cancel")).json()["code"] == "not_cancellable"
    await clock.forward_to(booking, start + 40 * MINUTE)
    completed = await mechanic.ask(booking, "complete")
    assert (completed.status_code, completed.json()["status"]) == (200, "completed"), completed.text
    assert events(completed.json())[-3:] == ["checked_in", "in_progress", "completed"]
    assert (await mechanic.ask(booking, "complete")).status_code == 200
    assert (await clock.workflow(booking).result())["status"] == "completed"
    session = await database.fetchrow("SELECT * FROM sessions WHERE booking_id = $1", booking["id"])
    assert (session["status"], session["absent"]) == ("completed", None)
    assert start - 14 * MINUTE <= session["started_at"] < session["ended_at"]
    await replays(clock.workflow(booking), "started_and_completed", "checked in, started, completed by the mechanic")


@pytest.mark.parametrize("ending", ["complete", "no-show"])
async def test_what_ends_early_lets_go_of_the_rest(
    mechanic: Customer, customer: Customer, shop: Shop, booked: Booked, clock: Clock, ending: str
) -> None:
    """Another customer can have what is left, after the mechanic's pause; the time that was used stays taken."""
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start + 10 * MINUTE)
    if ending == "complete":
        assert (await mechanic.ask(booking, "start")).status_code == 200
    taken = await customer.post(customer.request(shop, start + 30 * MINUTE))
    assert (taken.status_code, taken.json()["code"]) == (409, "slot_unavailable"), taken.text
    assert (await mechanic.ask(booking, ending)).status_code == 200
    used = await customer.post(customer.request(shop, start + 15 * MINUTE))
    assert (used.status_code, used.json()["code"]) == (409, "slot_unavailable"), used.text
    assert (await customer.post(customer.request(shop, start + 30 * MINUTE))).status_code == 201


async def test_what_ends_before_its_start_lets_go_of_nearly_all(
    mechanic: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - 10 * MINUTE)
    assert (await mechanic.ask(booking, "start")).status_code == 200
    assert (await mechanic.ask(booking, "complete")).status_code == 200
    held = await database.fetchrow("SELECT * FROM slot_reservations WHERE booking_id = $1", booking["id"])
    assert (held["status"], held["starts_at"], held["ends_at"]) == ("confirmed", start, start + MINUTE)
    assert held["blocked"].upper == start + MINUTE + shop.buffer_after


@pytest.mark.parametrize(("absent", "refunded"), [("customer", 0), ("mechanic", 8900)])
async def test_somebody_does_not_come(
    mechanic: Customer,
    customer: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    absent: str,
    refunded: int,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start + 8 * MINUTE)
    early = await mechanic.ask(booking, "no-show", absent=absent)
    assert (early.status_code, early.json()["code"]) == (409, "too_early")
    await clock.forward_to(booking, start + 10 * MINUTE)
    answer = await mechanic.ask(booking, "no-show", absent=absent)
    assert answer.status_code == 200, answer.text
    ended = answer.json()
    assert (ended["status"], ended["absent"], ended["amount_refunded"]) == ("no_show", absent, refunded)
    assert (await mechanic.ask(booking, "no-show", absent=absent)).status_code == 200
    contrary = await mechanic.ask(booking, "no-show", absent="customer" if absent == "mechanic" else "mechanic")
    assert (contrary.status_code, contrary.json()["code"]) == (409, "not_absent"), contrary.text
    assert (await clock.workflow(booking).result())["status"] == "no_show"
    assert (await customer.subjects())[-1] == "Missed"
    await replays(clock.workflow(booking), f"no_show_of_{absent}", f"the {absent} did not come")


async def test_a_customer_who_waited_in_vain_pays_nothing(
    customer: Customer, shop: Shop, booked: Booked, clock: Clock
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - 5 * MINUTE)
    assert (await customer.ask(booking, "check-in")).status_code == 200
    assert (await clock.to_the_end(booking))["status"] == "no_show"
    read = await customer.read(booking)
    assert (read["absent"], read["amount_refunded"]) == ("mechanic", 8900)
    await replays(clock.workflow(booking), "left_alone", "the customer came and nobody else did")


async def test_who_came_to_another_time_has_not_come_to_this_one(
    customer: Customer, mechanic: Customer, operator: Customer, shop: Shop, booked: Booked, clock: Clock
) -> None:
    """Moved when both were there, to another day on which nobody comes: nobody has waited in vain."""
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - 5 * MINUTE)
    for who in (customer, mechanic):
        assert (await who.ask(booking, "check-in")).status_code == 200
    later = start + timedelta(days=2)
    assert (await operator.ask(booking, "reschedule", start=later.isoformat())).status_code == 200
    await clock.forward_to(booking, later + 11 * MINUTE)
    absent = await mechanic.ask(booking, "no-show", absent="customer")
    assert (absent.status_code, absent.json()["amount_refunded"]) == (200, 0), absent.text


async def test_what_nobody_closes_is_closed(
    mechanic: Customer, customer: Customer, shop: Shop, booked: Booked, clock: Clock
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start)
    assert (await mechanic.ask(booking, "start")).status_code == 200
    await clock.forward_to(booking, start + shop.duration + 29 * MINUTE)
    assert (await customer.read(booking))["status"] == "in_progress"
    assert (await clock.to_the_end(booking))["status"] == "completed"


async def test_whose_run_was_cancelled_while_it_went_on(
    mechanic: Customer, customer: Customer, shop: Shop, booked: Booked, clock: Clock, books: Books
) -> None:
    """It is not called off: whoever ends it has that done by another run."""
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start)
    assert (await mechanic.ask(booking, "start")).status_code == 200
    run = clock.workflow(booking)
    await run.cancel()
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert (await customer.read(booking))["status"] == "in_progress"
    ended = await mechanic.ask(booking, "complete")
    assert (ended.status_code, ended.json()["status"]) == (200, "completed"), ended.text
    assert (await clock.workflow(booking).result())["status"] == "completed"
    await books.agree(booking)
