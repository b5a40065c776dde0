"""A move to another plan or service: only the difference is settled."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from tests.life.conftest import Booked
from tests.life.meeting import Books
from tests.support.histories import replays
from tests.support.people import Customer, events
from tests.support.shop import Shop
from tests.support.shops import add_plan, add_service
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

DAY = timedelta(days=1)


async def test_to_a_cheaper_plan(customer: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    plan = await add_plan(database, shop, 5000)
    wanted = {"start": (start + DAY).isoformat(), "plan_id": str(plan)}
    answer = await customer.ask(booking, "reschedule", **wanted)
    assert answer.status_code == 200, answer.text
    moved = answer.json()
    assert (moved["plan_id"], moved["amount"], moved["amount_refunded"]) == (str(plan), 5000, 3900)
    assert await database.fetchval("SELECT price_paid FROM sessions WHERE booking_id = $1", booking["id"]) == 5000
    key = await database.fetchval("SELECT idempotency_key FROM refunds WHERE booking_id = $1", booking["id"])
    change = await database.fetchval("SELECT id FROM booking_changes WHERE booking_id = $1", booking["id"])
    assert key == f"refund/{booking['payment']['payment_intent_id']}/move/{change}"
    again = await customer.ask(booking, "reschedule", **wanted)
    assert (again.status_code, again.json()["amount_refunded"]) == (200, 3900)
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    assert "CA$39.00 goes back to you" in (await customer.mails())[-1]["text"]
    # What is left goes back when it is called off.
    cancelled = await customer.ask(booking, "cancel")
    assert (cancelled.json()["status"], cancelled.json()["amount_refunded"]) == ("cancelled", 8900)
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 3, "the mail")
    told = " ".join((await customer.mails())[-1]["text"].split())
    assert "Paid: CA$89.00 Goes back: CA$50.00 Went back before: CA$39.00 CA$50.00 goes back to the way" in told
    await clock.workflow(booking).result()
    await replays(clock.workflow(booking), "moved_to_a_cheaper_plan", "moved to a cheaper plan, then cancelled")


async def test_to_a_cheaper_plan_at_the_same_time(
    customer: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    """The mail says what has changed, which is not the time."""
    start = shop.start(days=3)
    booking = await booked(start)
    plan = await add_plan(database, shop, 5000)
    answer = await customer.ask(booking, "reschedule", start=start.isoformat(), plan_id=str(plan))
    assert answer.status_code == 200, answer.text
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    mail = (await customer.mails())[-1]
    assert mail["subject"].startswith("Changed: ")
    assert "new time" not in mail["text"]
    former = await database.fetchval("SELECT name FROM plans WHERE id = $1", shop.plan_id)
    assert f", instead of Brake check, {former}." in mail["text"]
    assert "CA$39.00 goes back to you" in mail["text"]


async def test_to_another_service_of_another_length(
    customer: Customer, rival: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    service, plan = await add_service(database, shop, 8900, 90)
    await database.execute("UPDATE services SET reminder_offsets = '{3 hours}' WHERE id = $1", service)
    wanted = {"start": start.isoformat(), "service_id": str(service), "plan_id": str(plan)}
    answer = await customer.ask(booking, "reschedule", **wanted)
    assert answer.status_code == 200, answer.text
    moved = answer.json()
    reminders = "SELECT due_at FROM notifications WHERE booking_id = $1 AND kind = 'reminder' AND status = 'pending'"
    assert [row["due_at"] for row in await database.fetch(reminders, booking["id"])] == [start - timedelta(hours=3)]
    assert (moved["service_id"], moved["amount_refunded"]) == (str(service), 0)
    assert datetime.fromisoformat(moved["end"]) == start + timedelta(minutes=90)
    assert await database.fetchval("SELECT kind FROM sessions WHERE booking_id = $1", booking["id"]) == "chat"
    taken = await rival.post(rival.request(shop, start + timedelta(minutes=75)))
    assert taken.status_code == 409


async def test_refused(
    customer: Customer, operator: Customer, mechanic: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    dear, cheap = await add_plan(database, shop, 9900), await add_plan(database, shop, 5000)
    service, _ = await add_service(database, shop, 8900, 90)
    before = await database.fetchrow("SELECT * FROM bookings WHERE id = $1", booking["id"])
    at = (start + DAY).isoformat()
    cases: list[tuple[Customer, dict[str, str], int, str]] = [
        (operator, {"plan_id": str(dear)}, 409, "price_differs"),
        (customer, {"service_id": str(service)}, 422, "invalid_request"),
        (customer, {"service_id": str(service), "plan_id": str(cheap)}, 422, "slot_not_offered"),
        (mechanic, {"plan_id": str(cheap)}, 422, "invalid_request"),
    ]
    for who, sent, status, code in cases:
        answer = await who.ask(booking, "reschedule", start=at, **sent)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    # Half of the money would go back: nobody gets more by moving to what is cheaper.
    await clock.forward_to(booking, start - timedelta(hours=5))
    late = await customer.ask(booking, "reschedule", start=at, plan_id=str(cheap))
    assert (late.status_code, late.json()["code"]) == (409, "price_differs")
    assert await database.fetchrow("SELECT * FROM bookings WHERE id = $1", booking["id"]) == before
    ours = await operator.ask(booking, "reschedule", start=at, plan_id=str(cheap))
    assert (ours.status_code, ours.json()["amount_refunded"]) == (200, 3900), ours.text


async def test_nor_after_a_late_move(
    customer: Customer, operator: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any
) -> None:
    """Whoever moves late gets back no more than then; what is cheaper is no way around it."""
    start = shop.start(days=3)
    booking = await booked(start)
    cheap = await add_plan(database, shop, 5000)
    await clock.forward_to(booking, start - timedelta(hours=5))
    moved = await customer.ask(booking, "reschedule", start=(start + 2 * DAY).isoformat())
    assert moved.status_code == 200, moved.text
    wanted = {"start": (start + 3 * DAY).isoformat(), "plan_id": str(cheap)}
    refused = await customer.ask(booking, "reschedule", **wanted)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_differs"), refused.text
    ours = await operator.ask(booking, "reschedule", **wanted)
    assert (ours.status_code, ours.json()["amount_refunded"]) == (200, 3900), ours.text
    cancelled = await customer.ask(booking, "cancel")
    assert (cancelled.status_code, cancelled.json()["amount_refunded"]) == (200, 3900 + 2500), cancelled.text


async def test_while_stripe_is_away_the_booking_lives_on(
    customer: Customer,
    mechanic: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    stripe: StripeControl,
    database: Any,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    plan = await add_plan(database, shop, 5000)
    fault = await stripe.fault("refund", "error_500", times=None)
    answer = await customer.ask(booking, "reschedule", start=(start + DAY).isoformat(), plan_id=str(plan))
    assert answer.status_code == 200, answer.text
    waiting = answer.json()
    assert (waiting["status"], waiting["amount_refunded"], waiting["amount_awaiting_refund"]) == ("confirmed", 0, 3900)
    # A later change is answered though the money still waits.
    again = await customer.ask(booking, "reschedule", start=(start + 2 * DAY).isoformat())
    assert (again.status_code, again.json()["amount_awaiting_refund"]) == (200, 3900), again.text
    shown = (await clock.workflow(booking).describe()).search_attributes["BookingStatus"]
    assert shown == ["awaiting_refund"]
    await stripe.remove(fault)
    read = await customer.sees(booking, "confirmed", "refund_issued")
    assert (read["amount_refunded"], events(read).count("refund_issued")) == (3900, 1)
    await replays(clock.workflow(booking), "difference_refunded_late", "moved to a cheaper plan while Stripe was away")


@pytest.mark.parametrize(("left", "refunded"), [(timedelta(hours=30), 8900), (timedelta(hours=5), 3900 + 2500)])
async def test_a_later_cancellation_goes_by_the_new_price(
    customer: Customer,
    operator: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
    left: timedelta,
    refunded: int,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    plan = await add_plan(database, shop, 5000)
    assert (await customer.ask(booking, "reschedule", start=start.isoformat(), plan_id=str(plan))).status_code == 200
    await clock.forward_to(booking, start - left)
    answer = await customer.ask(booking, "cancel")
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, refunded), answer.text
    kept = await database.fetchval("SELECT kept_amount FROM bookings WHERE id = $1", booking["id"])
    assert kept == 8900 - refunded


async def test_a_run_that_is_stopped_gives_back_what_is_owed_and_no_more(
    customer: Customer,
    operator: Customer,
    mechanic: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    stripe: StripeControl,
    database: Any,
    books: Books,
) -> None:
    """The session goes on, and its price stays: only the difference of the cheaper plan was on its way."""
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - timedelta(minutes=10))
    plan = await add_plan(database, shop, 5000)
    away = await stripe.fault("refund", "error_500", times=None)
    moved = await operator.ask(booking, "reschedule", start=start.isoformat(), plan_id=str(plan))
    assert (moved.status_code, moved.json()["amount_awaiting_refund"]) == (200, 3900), moved.text
    assert (await mechanic.ask(booking, "start")).status_code == 200
    run = clock.workflow(booking)
    await run.cancel()
    await stripe.remove(away)
    with pytest.raises(WorkflowFailureError):
        await run.result()
    read = await customer.read(booking)
    assert (read["status"], read["amount_refunded"], read["amount_awaiting_refund"]) == ("in_progress", 3900, 0)
    assert (await mechanic.ask(booking, "complete")).status_code == 200
    await clock.workflow(booking).result()
    await books.agree(booking)
