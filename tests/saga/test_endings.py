"""Each way in which a booking can end, from HTTP to mail."""

from datetime import datetime, timedelta

import asyncpg
import pytest

from pitstop.domain.identity import booking_id
from tests.support.histories import replays
from tests.support.people import DECLINED_CARD, Customer, events
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

HOLD = timedelta(minutes=15)


async def _reservations(database: "asyncpg.Pool[asyncpg.Record]", booking_id: str) -> list[str]:
    rows = await database.fetch(
        "SELECT status FROM slot_reservations WHERE booking_id = $1 ORDER BY created_at", booking_id
    )
    return [row["status"] for row in rows]


async def test_paid_confirmed_reminded_and_completed(
    customer: Customer, shop: Shop, clock: Clock, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    start = shop.start(days=3)
    booking = await customer.book(shop, start)
    assert booking["status"] == "awaiting_payment"
    assert (booking["amount"], booking["currency"]) == (shop.amount, shop.currency)
    assert datetime.fromisoformat(booking["end"]) - datetime.fromisoformat(booking["start"]) == shop.duration

    await customer.pay(booking)
    confirmed = await customer.sees(booking, "confirmed", "mail_sent")
    assert events(confirmed) == ["hold_placed", "awaiting_payment", "payment_succeeded", "confirmed", "mail_sent"]
    session = await database.fetchrow("SELECT * FROM sessions WHERE id = $1", confirmed["session_id"])
    assert session is not None
    assert (session["status"], session["scheduled_for"], session["scheduled_for_original"]) == (
        "scheduled",
        start,
        start,
    )
    assert (session["price_paid"], session["kind"], session["city"]) == (shop.amount, "video", "Toronto")

    [mail] = await customer.mails()
    assert "METHOD:REQUEST" in mail["ics"]
    assert "America/Toronto" in mail["text"]

    await clock.forward_to(booking, start - timedelta(hours=23))
    assert await customer.subjects() == ["Confirmed", "Reminder"]
    await clock.forward_to(booking, start - timedelta(minutes=30))
    assert await customer.subjects() == ["Confirmed", "Reminder", "Reminder"]
    ending = await clock.to_the_end(booking)
    assert ending["status"] == "completed"
    assert (await customer.read(booking))["status"] == "completed"
    assert await _reservations(database, booking["id"]) == ["confirmed"]
    await replays(clock.workflow(booking), "completed", "paid at once, reminded twice, completed")


async def test_declined_then_another_card(customer: Customer, shop: Shop, clock: Clock) -> None:
    booking = await customer.book(shop, shop.start())
    assert (await customer.pay(booking, DECLINED_CARD)).status_code == 402
    declined = await customer.sees(booking, "awaiting_payment", "payment_declined")
    assert declined["payment"]["status"] == "requires_payment_method"
    await customer.pay(booking)
    confirmed = await customer.sees(booking, "confirmed", "mail_sent")
    assert confirmed["payment"]["status"] == "succeeded"
    await replays(clock.workflow(booking), "declined_then_paid", "a declined card, then a good one; still running")


@pytest.mark.parametrize(("card", "status"), [(None, "expired"), (DECLINED_CARD, "payment_failed")])
async def test_not_paid_in_time(
    customer: Customer,
    shop: Shop,
    clock: Clock,
    stripe: StripeControl,
    rival: Customer,
    database: "asyncpg.Pool[asyncpg.Record]",
    card: str | None,
    status: str,
) -> None:
    booking = await customer.book(shop, shop.start())
    if card:
        await customer.pay(booking, card)
        await customer.sees(booking, "awaiting_payment", "payment_declined")
    await clock.forward(booking, HOLD + timedelta(seconds=1))
    ended = await customer.sees(booking, status)
    assert ended["payment"]["status"] == "canceled"
    assert await _reservations(database, booking["id"]) == ["expired"]
    refused = await customer.pay(booking)
    assert refused.json()["error"]["code"] == "payment_intent_unexpected_state"
    await rival.book(shop, shop.start())
    assert await customer.mails() == []
    await replays(clock.workflow(booking), status, f"not paid in time: {status}")


async def test_book_let_go_and_book_again(customer: Customer, shop: Shop, clock: Clock) -> None:
    first = await customer.book(shop, shop.start())
    await clock.workflow(first).cancel()
    await customer.sees(first, "cancelled")
    await replays(clock.workflow(first), "called_off_unpaid", "cancelled by an operator while the customer could pay")
    second = await customer.book(shop, shop.start())
    assert second["id"] != first["id"]
    await customer.pay(second)
    await customer.sees(second, "confirmed")


async def test_operator_cancels_a_confirmed_booking(
    customer: Customer, shop: Shop, clock: Clock, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await clock.workflow(booking).cancel()
    cancelled = await customer.sees(booking, "cancelled", "refund_issued")
    assert cancelled["amount_refunded"] == shop.amount
    assert await _reservations(database, booking["id"]) == ["cancelled"]
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    mails = await customer.mails()
    assert "METHOD:CANCEL" in mails[-1]["ics"]
    assert "SEQUENCE:1" in mails[-1]["ics"]
    statuses = await database.fetch(
        "SELECT status FROM notifications WHERE booking_id = $1 AND kind = 'reminder'", booking["id"]
    )
    assert {row["status"] for row in statuses} == {"skipped"}
    await replays(clock.workflow(booking), "called_off_confirmed", "cancelled by an operator after it was confirmed")


async def test_a_reminder_whose_moment_has_passed_is_skipped(
    customer: Customer, shop: Shop, clock: Clock, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    booking = await customer.book(shop, shop.start(hours=5, days=0))
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    rows = await database.fetch(
        "SELECT key, status FROM notifications WHERE booking_id = $1 AND kind = 'reminder'", booking["id"]
    )
    assert {row["key"].rsplit("/", 1)[1]: row["status"] for row in rows} == {"86400s": "skipped", "3600s": "pending"}
    await clock.to_the_end(booking)
    assert await customer.subjects() == ["Confirmed", "Reminder"]


async def test_stripe_away_while_booking(
    customer: Customer, shop: Shop, stripe: StripeControl, database: "asyncpg.Pool[asyncpg.Record]", clock: Clock
) -> None:
    fault = await stripe.fault("create", "error_500", times=None)
    key = "the-same-key"
    body = customer.request(shop, shop.start())
    refused = await customer.post(body, key)
    assert refused.status_code == 503, refused.text
    assert refused.json()["code"] == "payment_unavailable"
    assert refused.headers["Retry-After"]
    assert await database.fetchval("SELECT count(*) FROM bookings WHERE mechanic_id = $1", shop.mechanic_id) == 0
    assert (
        await database.fetchval("SELECT count(*) FROM slot_reservations WHERE mechanic_id = $1", shop.mechanic_id) == 0
    )
    refused_id = str(booking_id(f"customer:{customer.id}", key))
    await replays(clock.workflow({"id": refused_id}), "payment_unavailable", "Stripe answered nothing but errors")
    await stripe.remove(fault)
    again = await customer.post(body, key)
    assert again.status_code == 201
    await customer.pay(again.json())
    await customer.sees(again.json(), "confirmed")
