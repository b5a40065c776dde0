"""What the sweep makes good: terminated workflows, an engine that was away, holds whose workflow never came back."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from temporalio.client import Client

from pitstop.devstack.stackfile import Stack
from tests.support.histories import replays
from tests.support.people import Customer, events
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.sweep import sweep
from tests.support.time import Clock


@pytest.fixture
async def without_engine(stack: Stack) -> AsyncIterator[str]:
    """An API that finds no Temporal server where it looks for one."""
    async with serving(settings(stack, temporal_address="127.0.0.1:9")) as url:
        yield url


async def test_engine_away(
    without_engine: str,
    stack: Stack,
    customer: Customer,
    shop: Shop,
    stripe: StripeControl,
    temporal: Client,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """Creating is refused and leaves nothing behind; reading works; a webhook is kept and applied later."""
    booking = await customer.book(shop, shop.start())
    await stripe.endpoint(f"{without_engine}/webhooks/stripe", stack.stripe_webhook_secret)
    # It is delivered below: any sweep would apply it meanwhile.
    await stripe.webhooks("drop", event_type="payment_intent.succeeded", times=None)
    await customer.pay(booking)

    away = Customer(customer.http, stack, without_engine, customer.token, customer.id)
    refused = await away.post(away.request(shop, shop.start(days=5)))
    assert (refused.status_code, refused.json()["code"]) == (503, "engine_unavailable")
    assert refused.headers["Retry-After"]
    assert await database.fetchval("SELECT count(*) FROM bookings WHERE mechanic_id = $1", shop.mechanic_id) == 1
    assert (await away.read(booking))["status"] == "awaiting_payment"
    ready = await customer.http.get(f"{without_engine}/health/ready")
    assert (ready.status_code, ready.json()["dependencies"]["temporal"]) == (503, "unavailable")

    [event] = await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.succeeded")
    assert await stripe.deliver(event["id"]) == [204]
    stored = await database.fetchrow("SELECT * FROM webhook_inbox WHERE event_id = $1", event["id"])
    assert stored is not None
    assert stored["applied_at"] is None
    await sweep(temporal, stack)
    await customer.sees(booking, "confirmed", "mail_sent")
    assert await database.fetchval("SELECT outcome FROM webhook_inbox WHERE event_id = $1", event["id"]) == "signalled"


async def test_terminated_while_waiting_and_paid(
    customer: Customer, shop: Shop, clock: Clock, temporal: Client, stack: Stack
) -> None:
    booking = await customer.book(shop, shop.start())
    await clock.workflow(booking).terminate("by mistake")
    await customer.pay(booking)
    await customer.waits_for(booking, lambda read: read["payment"] is not None, "the payment")
    await sweep(temporal, stack)
    await customer.sees(booking, "confirmed", "mail_sent")
    ending = await clock.to_the_end(booking)
    assert ending["status"] == "completed"
    assert await customer.subjects() == ["Confirmed", "Reminder", "Reminder"]
    await replays(
        clock.workflow(booking), "taken_up_again", "terminated while waiting, paid, started again by the sweep"
    )


async def test_terminated_and_never_paid(
    customer: Customer, rival: Customer, shop: Shop, clock: Clock, temporal: Client, stack: Stack
) -> None:
    booking = await customer.book(shop, shop.start())
    await clock.workflow(booking).terminate("by mistake")
    await sweep(temporal, stack, overdue=-timedelta(minutes=20))
    await clock.forward(booking, timedelta(minutes=15))
    ended = await customer.sees(booking, "expired")
    assert ended["payment"]["status"] == "canceled"
    await rival.book(shop, shop.start())


async def test_terminated_after_confirmation_keeps_its_reminders(
    customer: Customer, shop: Shop, clock: Clock, temporal: Client, stack: Stack
) -> None:
    booking = await customer.book(shop, shop.start(days=2))
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await clock.workflow(booking).terminate("by mistake")
    await sweep(temporal, stack, overdue=-timedelta(days=1, hours=1))
    ending = await clock.to_the_end(booking)
    assert ending["status"] == "completed"
    assert await customer.subjects() == ["Confirmed", "Reminder", "Reminder"]


async def test_money_for_a_booking_that_has_ended_goes_back(
    customer: Customer,
    shop: Shop,
    clock: Clock,
    temporal: Client,
    stack: Stack,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """It cannot happen while Stripe is told to cancel first: a booking ended by hand shows that it is safe."""
    booking = await customer.book(shop, shop.start())
    await clock.workflow(booking).terminate("by mistake")
    await database.execute("UPDATE slot_reservations SET status = 'expired' WHERE booking_id = $1", booking["id"])
    await database.execute("UPDATE bookings SET status = 'expired' WHERE id = $1", booking["id"])
    await customer.pay(booking)
    await customer.waits_for(booking, lambda read: True, "a moment")
    await sweep(temporal, stack)
    refunded = await customer.sees(booking, "expired", "refund_issued")
    assert refunded["amount_refunded"] == shop.amount
    assert "confirmed" not in events(refunded)


async def test_a_lapsed_hold_without_a_workflow_blocks_nothing(
    customer: Customer,
    rival: Customer,
    shop: Shop,
    clock: Clock,
    temporal: Client,
    stack: Stack,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    booking = await customer.book(shop, shop.start())
    await clock.workflow(booking).terminate("by mistake")
    assert (await rival.post(rival.request(shop, shop.start()))).status_code == 409
    await database.execute(
        "UPDATE slot_reservations SET expires_at = now() - interval '1 second' WHERE booking_id = $1", booking["id"]
    )
    search = {"service_id": str(shop.service_id), "from": shop.start().isoformat()}
    search["to"] = (shop.start() + timedelta(minutes=1)).isoformat()
    found = await customer.get("/v1/availability", **search)
    assert len(found.json()["slots"]) == 1
    await rival.book(shop, shop.start())
    statuses = await database.fetch(
        "SELECT status FROM slot_reservations WHERE mechanic_id = $1 ORDER BY created_at", shop.mechanic_id
    )
    assert [row["status"] for row in statuses] == ["expired", "reserved"]
    report = await sweep(temporal, stack)
    assert report.expired_holds >= 0


async def test_a_request_that_never_got_a_hold_is_forgotten(
    customer: Customer, shop: Shop, temporal: Client, stack: Stack, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """The API died between putting the request on record and asking the engine; the customer asks again."""
    body = customer.request(shop, shop.start())
    booking = (await customer.post(body, "one key")).json()
    await database.execute(
        "INSERT INTO bookings (SELECT (jsonb_populate_record(b, jsonb_build_object('id', $2::text, 'status', 'holding',"
        " 'hold_expires_at', NULL, 'created_at', now() - interval '5 minutes'))).* FROM bookings AS b WHERE id = $1)",
        booking["id"],
        str(uuid4()),
    )
    await sweep(temporal, stack)
    left = await database.fetch("SELECT id::text FROM bookings WHERE mechanic_id = $1", shop.mechanic_id)
    assert [row["id"] for row in left] == [booking["id"]]
