"""A move to a dearer plan: the customer pays the difference, and nothing moves before."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tests.life.conftest import Booked
from tests.life.meeting import Books
from tests.prices.conftest import MORE, ToPay, asked_for, due
from tests.support.histories import replays
from tests.support.people import DECLINED_CARD, Customer, events
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def supplement_is(status: str) -> Any:
    return lambda read: read["supplement"]["status"] == status


async def test_paid_and_moved(
    customer: Customer,
    rival: Customer,
    shop: Shop,
    booked: Booked,
    dear: UUID,
    clock: Clock,
    stripe: StripeControl,
    database: Any,
    books: Books,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    asked = await asked_for(customer, booking, start + DAY, dear, version=booking["version"], reason="More of it.")
    supplement = asked["supplement"]
    assert (supplement["amount"], supplement["currency"]) == (MORE, "cad")
    assert supplement["payment_intent_id"] != booking["payment"]["payment_intent_id"]
    left = datetime.fromisoformat(supplement["expires_at"]) - datetime.now(start.tzinfo)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    # It stands as it was, and both times are its own.
    assert (asked["start"], asked["plan_id"], asked["amount"], asked["version"]) == tuple(
        booking[name] for name in ("start", "plan_id", "amount", "version")
    )
    for wanted in (start, start + DAY):
        assert (await rival.post(rival.request(shop, wanted))).status_code == 409
    assert await customer.subjects() == ["Confirmed"]

    assert (await customer.pay(due(asked))).status_code == 200
    moved = await customer.sees(booking, "confirmed", "rescheduled")
    assert datetime.fromisoformat(moved["start"]) == start + DAY
    assert (moved["plan_id"], moved["amount"], moved["amount_refunded"]) == (str(dear), shop.amount + MORE, 0)
    assert (moved["moves"], moved["supplement"]["status"], moved["supplement"]["client_secret"]) == (1, "applied", None)
    assert moved["payment"]["payment_intent_id"] == booking["payment"]["payment_intent_id"]
    payments = await database.fetch(
        "SELECT amount, paid_at IS NOT NULL AS paid FROM payments WHERE booking_id = $1 ORDER BY amount DESC",
        booking["id"],
    )
    assert [tuple(row) for row in payments] == [(shop.amount, True), (MORE, True)]
    session = await database.fetchrow("SELECT * FROM sessions WHERE booking_id = $1", booking["id"])
    assert (session["price_paid"], session["scheduled_for"]) == (shop.amount + MORE, start + DAY)
    change = await database.fetchval("SELECT id FROM booking_changes WHERE booking_id = $1", booking["id"])
    [created] = await stripe.calls("/v1/payment_intents", str(change))
    assert created["params"]["metadata"]["booking_id"] == booking["id"]
    assert created["idempotency_key"] == f"payment-intent/{change}"

    await rival.book(shop, start)
    assert (await rival.post(rival.request(shop, start + DAY))).status_code == 409
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    assert await customer.subjects() == ["Confirmed", "Moved"]
    await books.agree(booking)
    await clock.forward_to(booking, start + DAY - 30 * MINUTE)
    assert await customer.subjects() == ["Confirmed", "Moved", "Reminder", "Reminder"]
    assert (await clock.to_the_end(booking))["status"] == "completed"
    await books.agree(booking)
    await replays(clock.workflow(booking), "difference_paid", "asked for a dearer plan, paid, moved there, completed")


async def test_not_paid_in_time(
    customer: Customer, rival: Customer, shop: Shop, to_pay: ToPay, clock: Clock, stripe: StripeControl, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    await clock.forward(asked, 16 * MINUTE)
    lapsed = await customer.waits_for(asked, supplement_is("lapsed"), "the lapse")
    same = ("start", "plan_id", "amount", "version", "moves", "status")
    assert {name: lapsed[name] for name in same} == {name: asked[name] for name in same}
    assert lapsed["supplement"]["client_secret"] is None
    assert "supplement_lapsed" in events(lapsed)
    assert (await customer.pay(due(asked))).status_code == 400, "nobody can pay any more"
    await rival.book(shop, start + DAY)
    assert (await rival.post(rival.request(shop, start))).status_code == 409
    await books.agree(asked)
    assert (await clock.to_the_end(asked))["status"] == "completed"
    await replays(clock.workflow(asked), "difference_not_paid", "asked for a dearer plan, did not pay, completed")


async def test_a_declined_card_leaves_the_rest_of_the_time(
    customer: Customer, shop: Shop, to_pay: ToPay, clock: Clock, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    assert (await customer.pay(due(asked), DECLINED_CARD)).status_code == 402
    declined = await customer.sees(asked, "confirmed", "payment_declined")
    assert declined["supplement"]["status"] == "open"
    assert declined["payment"]["status"] == "succeeded"
    assert (await customer.pay(due(asked))).status_code == 200
    moved = await customer.sees(asked, "confirmed", "rescheduled")
    assert moved["amount"] == shop.amount + MORE
    await books.agree(asked)
    await replays(clock.workflow(asked), "difference_declined_then_paid", "a declined card, then the difference paid")
