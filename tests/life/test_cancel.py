"""A booking is called off: the slot is free, and what goes back is what was agreed."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.life.conftest import Booked
from tests.life.meeting import Books
from tests.support.histories import replays
from tests.support.people import Customer, events
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("left", "refunded"),
    [
        (timedelta(hours=24, seconds=20), 8900),
        (timedelta(hours=24) - SECOND, 4450),
        (timedelta(hours=2, seconds=20), 4450),
        (timedelta(hours=2) - SECOND, 0),
    ],
)
async def test_what_goes_back_to_a_customer(
    customer: Customer,
    rival: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
    left: timedelta,
    refunded: int,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - left)
    answer = await customer.ask(booking, "cancel", reason="The car is sold.")
    assert answer.status_code == 200, answer.text
    cancelled = answer.json()
    assert (cancelled["status"], cancelled["amount_refunded"]) == ("cancelled", refunded)
    assert await database.fetchval("SELECT kept_amount FROM bookings WHERE id = $1", booking["id"]) == 8900 - refunded
    again = await customer.ask(booking, "cancel")
    assert (again.status_code, again.json()["amount_refunded"]) == (200, refunded)
    await rival.book(shop, start)
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    assert (await customer.subjects())[-1] == "Cancelled"
    assert "METHOD:CANCEL" in (await customer.mails())[-1]["ics"]
    await replays(clock.workflow(booking), "cancelled_by_customer", "cancelled by its customer, refunded by its policy")


async def test_a_mechanic_and_an_operator_give_all_back(
    mechanic: Customer, operator: Customer, shop: Shop, booked: Booked, clock: Clock
) -> None:
    for somebody in (mechanic, operator):
        start = shop.start(days=3)
        booking = await booked(start)
        await clock.forward_to(booking, start - timedelta(minutes=5))
        answer = await somebody.ask(booking, "cancel")
        assert (answer.status_code, answer.json()["amount_refunded"]) == (200, 8900), answer.text


async def test_while_holding_releases_and_voids(customer: Customer, rival: Customer, shop: Shop, clock: Clock) -> None:
    booking = await customer.book(shop, shop.start())
    answer = await customer.ask(booking, "cancel")
    assert answer.status_code == 200, answer.text
    cancelled = answer.json()
    assert (cancelled["status"], cancelled["amount_refunded"], cancelled["payment"]["status"]) == (
        "cancelled",
        0,
        "canceled",
    )
    refused = await customer.pay(booking)
    assert refused.json()["error"]["code"] == "payment_intent_unexpected_state"
    await rival.book(shop, shop.start())
    await clock.workflow(booking).result()
    assert await customer.mails() == []
    await replays(clock.workflow(booking), "cancelled_while_holding", "cancelled by its customer before it was paid")


async def test_while_stripe_is_away_a_hold_is_cancelled_later(
    stack: Stack, customer: Customer, rival: Customer, shop: Shop, clock: Clock, stripe: StripeControl, books: Books
) -> None:
    """Whoever asks is told to come again; meanwhile nobody could pay any more, and it ends as was wished."""
    start = shop.start(days=3)
    async with serving(settings(stack, intent_patience_seconds=1, database_activity_seconds=3)) as url:
        customer.api_url = url
        booking = await customer.book(shop, start)
        away = await stripe.fault("cancel", "error_500", times=None)
        answer = await customer.ask(booking, "cancel")
        assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable"), answer.text
        await stripe.remove(away)
        await customer.sees(booking, "cancelled")
        assert (await customer.ask(booking, "cancel")).status_code == 200
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    await rival.book(shop, start)
    await books.agree(booking)
    await replays(clock.workflow(booking), "hold_cancelled_late", "cancelled before payment while Stripe was away")


async def test_while_a_payment_is_on_its_way(
    customer: Customer, shop: Shop, clock: Clock, stripe: StripeControl, database: Any
) -> None:
    """Paid at Stripe, and the news has not come: it is called off all the same, and all of the money goes back."""
    booking = await customer.book(shop, shop.start())
    await stripe.webhooks("drop", times=None)
    await customer.pay(booking)
    answer = await customer.ask(booking, "cancel")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["amount_refunded"]) == ("cancelled", 8900)


async def test_what_stripe_cannot_refund_is_shown_and_tried_until_it_is(
    customer: Customer, shop: Shop, stripe: StripeControl
) -> None:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    fault = await stripe.fault("refund", "error_500", times=None)
    answer = await customer.ask(booking, "cancel")
    assert answer.status_code == 200, answer.text
    waiting = answer.json()
    assert (waiting["status"], waiting["amount_refunded"], waiting["amount_awaiting_refund"]) == ("cancelled", 0, 8900)
    again = await customer.ask(booking, "cancel")
    assert (again.status_code, again.json()["amount_awaiting_refund"]) == (200, 8900)
    on_its_way, gone = "<dt>On its way back to you</dt><dd>CA$89.00</dd>", "<dt>Refunded</dt><dd>CA$89.00</dd>"
    page = (await customer.http.get(booking["manage_url"])).text
    assert (on_its_way in page, gone in page) == (True, False)
    await stripe.remove(fault)
    refunded = await customer.sees(booking, "cancelled", "refund_issued")
    assert (refunded["amount_refunded"], refunded["amount_awaiting_refund"]) == (8900, 0)
    page = (await customer.http.get(booking["manage_url"])).text
    assert (on_its_way in page, gone in page) == (False, True)


async def test_a_move_never_improves_the_refund(customer: Customer, shop: Shop, booked: Booked, clock: Clock) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - timedelta(hours=3))
    moved = await customer.ask(booking, "reschedule", start=(start + timedelta(days=5)).isoformat())
    assert moved.status_code == 200, moved.text
    answer = await customer.ask(booking, "cancel")
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, 4450), answer.text


async def test_many_at_once_are_one(customer: Customer, mechanic: Customer, booked: Booked) -> None:
    booking = await booked()
    answers = await asyncio.gather(
        *(somebody.ask(booking, "cancel") for somebody in (customer, mechanic) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {200}
    read = await customer.sees(booking, "cancelled", "refund_issued")
    assert (events(read).count("cancelled"), events(read).count("refund_issued")) == (1, 1)


async def test_while_the_confirmation_does_not_get_through(
    customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient, clock: Clock
) -> None:
    """The mail that is being tried is given up for the one that matters now, and the run ends as it should."""
    fault = {"kind": "reject_4xx", "to": customer.email, "times": 7}
    await http.post(f"{stack.mail_url}/api/faults", json=fault)
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    answer = await customer.ask(booking, "cancel")
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, 8900), answer.text
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    assert await customer.subjects() == ["Cancelled"]
