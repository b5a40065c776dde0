"""Payments that come early, late, twice, forged, out of order or not at all."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from pitstop.contracts import names
from pitstop.devstack.stackfile import Stack
from pitstop.domain.stripe_events import payment_event
from tests.support.histories import replays
from tests.support.people import DECLINED_CARD, Customer, Issuer, events
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock
from tests.support.webhooks import event_about, signed

HOLD = timedelta(minutes=15)


@pytest.fixture(scope="module")
async def hasty(stack: Stack) -> AsyncIterator[str]:
    """An API whose bookings hold for two seconds, and lapse a second later."""
    async with serving(settings(stack, hold_seconds=2, hold_grace_seconds=1)) as url:
        yield url


@pytest.fixture
async def late(customer: Customer, hasty: str) -> Customer:
    customer.api_url = hasty
    return customer


async def _until_lapsed(booking: dict[str, Any]) -> None:
    lapsed = datetime.fromisoformat(booking["hold_expires_at"]) + timedelta(seconds=1.2)
    await asyncio.sleep(max(0, (lapsed - datetime.now(UTC)).total_seconds()))


async def _live(database: "asyncpg.Pool[asyncpg.Record]", shop: Shop) -> list[str]:
    rows = await database.fetch(
        "SELECT booking_id FROM slot_reservations WHERE mechanic_id = $1 AND status IN ('reserved', 'confirmed')",
        shop.mechanic_id,
    )
    return [str(row["booking_id"]) for row in rows]


async def test_late_payment_takes_the_free_slot_again(
    late: Customer,
    rival: Customer,
    shop: Shop,
    stripe: StripeControl,
    clock: Clock,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """The hold has gone, a rival had the slot and let it go; then the money comes."""
    away = await stripe.fault("cancel", "error_500", times=None)
    booking = await late.book(shop, shop.start())
    await _until_lapsed(booking)
    await database.execute("UPDATE slot_reservations SET status = 'expired' WHERE booking_id = $1", booking["id"])
    await late.pay(booking)
    confirmed = await late.sees(booking, "confirmed", "mail_sent")
    assert {"retaken": True}.items() <= confirmed["timeline"][events(confirmed).index("confirmed")]["detail"].items()
    assert await _live(database, shop) == [booking["id"]]
    await stripe.remove(away)
    assert (await rival.post(rival.request(shop, shop.start()))).status_code == 409
    await replays(clock.workflow(booking), "retaken_after_lapse", "paid when the hold had lapsed, slot still free")


async def test_late_payment_for_a_slot_that_a_rival_has_is_refunded_once(
    late: Customer,
    rival: Customer,
    shop: Shop,
    stripe: StripeControl,
    clock: Clock,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """Stripe is away when the hold ends, a rival takes the slot, then the first one pays; five events at once."""
    away = await stripe.fault("cancel", "error_500", times=None)
    first = await late.book(shop, shop.start())
    await _until_lapsed(first)
    second = await rival.book(shop, shop.start())
    await stripe.webhooks("drop", event_type="payment_intent.succeeded")
    await late.pay(first)
    intent = first["payment"]["payment_intent_id"]
    [event] = await stripe.events(intent, "payment_intent.succeeded")
    assert set(await stripe.deliver(event["id"], copies=5)) == {204}
    refunded = await late.sees(first, "refunded", "refund_issued")
    assert refunded["amount_refunded"] == shop.amount
    await stripe.remove(away)
    assert len(await stripe.events(intent, "charge.refunded")) == 1
    assert len(await stripe.calls("/v1/refunds", intent)) == 1
    await late.waits_for(first, lambda read: "mail_sent" in events(read), "the mail about the refund")
    assert await late.subjects() == ["Refund"]
    await replays(clock.workflow(first), "refunded_after_lapse", "paid when a rival had the slot: refunded")
    await rival.pay(second)
    await rival.sees(second, "confirmed")
    assert await _live(database, shop) == [second["id"]]


async def test_payment_in_the_last_second(late: Customer, shop: Shop, stripe: StripeControl) -> None:
    """The event is on its way while the hold ends: the cancellation finds out that the money is there."""
    await stripe.webhooks("delay", event_type="payment_intent.succeeded", seconds=3)
    booking = await late.book(shop, shop.start())
    ends = datetime.fromisoformat(booking["hold_expires_at"])
    await asyncio.sleep((ends - datetime.now(UTC)).total_seconds() - 0.1)
    paid = await late.pay(booking)
    if paid.status_code == 200:
        await late.sees(booking, "confirmed")
    else:
        # Stripe had cancelled first: then nobody was charged.
        await late.sees(booking, "expired")


async def test_lost_webhook_is_found_out_when_the_hold_ends(
    customer: Customer, shop: Shop, stripe: StripeControl, clock: Clock
) -> None:
    await stripe.webhooks("drop", times=None)
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    assert (await customer.read(booking))["status"] == "awaiting_payment"
    await clock.forward(booking, HOLD + timedelta(seconds=1))
    await customer.sees(booking, "confirmed", "mail_sent")


async def test_webhook_before_the_answer(
    customer: Customer, shop: Shop, stripe: StripeControl, stack: Stack, http: httpx.AsyncClient
) -> None:
    """Stripe creates the intent, loses its answer, and the payment succeeds while our create call is tried again."""
    await stripe.fault("create", "timeout_after", seconds=3)
    booking_call = asyncio.create_task(customer.book(shop, shop.start()))
    intent = await _intent_of(stripe, http, stack, shop)
    confirmed = await http.post(
        f"{stack.stripe_api_url}/v1/payment_intents/{intent}/confirm",
        data={"payment_method": "pm_card_visa"},
        headers={"Authorization": f"Bearer {stack.stripe_secret_key}"},
    )
    assert confirmed.status_code == 200, confirmed.text
    booking = await booking_call
    assert booking["payment"]["payment_intent_id"] == intent
    await customer.sees(booking, "confirmed", "mail_sent")


async def _intent_of(stripe: StripeControl, http: httpx.AsyncClient, stack: Stack, shop: Shop) -> str:
    headers = {"Authorization": f"Bearer {stack.stripe_secret_key}"}
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = await http.get(f"{stack.stripe_api_url}/v1/payment_intents", params={"limit": 100}, headers=headers)
        for intent in answer.json()["data"]:
            if intent["metadata"].get("mechanic_id") == str(shop.mechanic_id):
                found: str = intent["id"]
                return found
        await asyncio.sleep(0.05)
    raise AssertionError("no PaymentIntent was created")


async def test_duplicated_and_reordered_webhooks(
    customer: Customer, shop: Shop, stripe: StripeControl, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    await stripe.webhooks("duplicate", times=None, copies=3)
    reordered = await stripe.webhooks("reorder", event_type="payment_intent.payment_failed", seconds=3)
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking, DECLINED_CARD)
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await stripe.remove(reordered)
    await asyncio.sleep(3.5)
    after = await customer.read(booking)
    assert after["status"] == "confirmed"
    assert after["payment"]["status"] == "succeeded"
    assert await database.fetchval("SELECT count(*) FROM sessions WHERE booking_id = $1", booking["id"]) == 1
    assert await customer.subjects() == ["Confirmed"]


async def test_a_declined_card_that_is_heard_of_twice_counts_once(
    customer: Customer, shop: Shop, stripe: StripeControl, clock: Clock
) -> None:
    """Two deliveries in one moment, or one and the sweep, are both passed on: neither knows of the other yet."""
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking, DECLINED_CARD)
    await customer.sees(booking, "awaiting_payment", "payment_declined")
    (declined,) = await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.payment_failed")
    await clock.workflow(booking).signal(names.PAYMENT_SIGNAL, payment_event(declined))
    await customer.pay(booking, DECLINED_CARD)
    await customer.waits_for(booking, lambda read: events(read).count("payment_declined") >= 2, "the next one")
    await customer.pay(booking)
    confirmed = await customer.sees(booking, "confirmed")
    assert events(confirmed).count("payment_declined") == 2


@pytest.mark.parametrize("forgery", ["no signature", "another secret", "an hour old", "another body", "no event"])
async def test_forged_webhooks(
    customer: Customer,
    shop: Shop,
    stack: Stack,
    http: httpx.AsyncClient,
    database: "asyncpg.Pool[asyncpg.Record]",
    forgery: str,
) -> None:
    booking = await customer.book(shop, shop.start())
    body, secret = event_about(booking, shop), stack.stripe_webhook_secret
    signature = {
        "no signature": "",
        "another secret": signed(body, "whsec_of_somebody_else"),
        "an hour old": signed(body, secret, time.time() - 3600),
        "another body": signed(body.replace("8900", "1"), secret),
        "no event": signed("[]", secret),
    }[forgery]
    sent = "[]" if forgery == "no event" else body
    answer = await http.post(f"{stack.api_url}/webhooks/stripe", content=sent, headers={"Stripe-Signature": signature})
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_signature"
    stored = await database.fetchval("SELECT count(*) FROM webhook_inbox WHERE event_id = $1", f"evt_{booking['id']}")
    assert stored == 0
    assert (await customer.read(booking))["status"] == "awaiting_payment"


@pytest.mark.parametrize("change", [{"amount": 1}, {"currency": "usd"}, {"id": "pi_of_somebody_else"}])
async def test_a_payment_that_is_not_the_agreed_one_confirms_nothing(
    customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient, clock: Clock, change: dict[str, Any]
) -> None:
    booking = await customer.book(shop, shop.start())
    body = event_about(booking, shop, **change)
    headers = {"Stripe-Signature": signed(body, stack.stripe_webhook_secret)}
    answer = await http.post(f"{stack.api_url}/webhooks/stripe", content=body, headers=headers)
    assert answer.status_code == 204
    await clock.forward(booking, timedelta(minutes=1))
    assert (await customer.read(booking))["status"] == "awaiting_payment"


async def test_a_customer_pays_with_a_3d_secure_card(customer: Customer, shop: Shop, http: httpx.AsyncClient) -> None:
    booking = await customer.book(shop, shop.start())
    asked = (await customer.pay(booking, "pm_card_threeDSecure2Required")).json()
    assert asked["status"] == "requires_action"
    bank = asked["next_action"]["redirect_to_url"]["url"]
    assert (await customer.read(booking))["status"] == "awaiting_payment"
    await http.post(f"{bank}/complete")
    await customer.sees(booking, "confirmed")


async def test_same_key_at_the_same_moment(
    customer: Customer, shop: Shop, stripe: StripeControl, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    body = customer.request(shop, shop.start())
    answers = await asyncio.gather(*(customer.post(body, "one key") for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len({answer.json()["payment"]["payment_intent_id"] for answer in answers}) == 1
    assert (
        await database.fetchval("SELECT count(*) FROM slot_reservations WHERE mechanic_id = $1", shop.mechanic_id) == 1
    )


async def test_same_key_for_another_request(customer: Customer, shop: Shop) -> None:
    body = customer.request(shop, shop.start())
    other = customer.request(shop, shop.start(days=4))
    answers = await asyncio.gather(customer.post(body, "one key"), customer.post(other, "one key"))
    assert sorted(answer.status_code for answer in answers) == [201, 422]
    refused = next(answer for answer in answers if answer.status_code == 422)
    assert refused.json()["code"] == "idempotency_key_reused"


async def test_the_same_key_of_another_caller(issuer: Issuer, stack: Stack, shop: Shop) -> None:
    """Two callers with one key are two bookings."""
    one, two = await issuer.customer(stack.api_url), await issuer.customer(stack.api_url)
    first = await one.post(one.request(shop, shop.start()), "one key")
    second = await two.post(two.request(shop, shop.start(days=4)), "one key")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
