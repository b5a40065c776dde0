"""What is charged is what the catalogue says, and what comes in is compared with it, whatever way the news comes."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from temporalio.client import Client, ScheduleOverlapPolicy

import worker
from activities.booking import PaymentActivities
from pitstop.devstack.stackfile import Stack
from pitstop.domain.stripe_events import foreign
from tests.api.conftest import held
from tests.support.people import Customer, events
from tests.support.processes import serving, settings
from tests.support.shop import Shop, open_shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock
from tests.support.webhooks import event_about, signed

Pool = Any
OVER = timedelta(minutes=16)


async def _intent(http: httpx.AsyncClient, stack: Stack, booking: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The booking's PaymentIntent as Stripe has it, changed by whoever has the secret key."""
    url = f"{stack.stripe_api_url}/v1/payment_intents/{booking['payment']['payment_intent_id']}"
    headers = {"Authorization": f"Bearer {stack.stripe_secret_key}"}
    answer = await (http.post(url, data=changes, headers=headers) if changes else http.get(url, headers=headers))
    assert answer.status_code == 200, answer.text
    intent: dict[str, Any] = answer.json()
    return intent


async def _send(http: httpx.AsyncClient, stack: Stack, body: str, url: str | None = None) -> None:
    headers = {"Stripe-Signature": signed(body, stack.stripe_webhook_secret)}
    answer = await http.post(f"{url or stack.api_url}/webhooks/stripe", content=body, headers=headers)
    assert answer.status_code == 204


async def _outcome(database: Pool, booking: dict[str, Any]) -> str | None:
    query = "SELECT outcome FROM webhook_inbox WHERE event_id = $1 AND applied_at IS NOT NULL"
    outcome: str | None = await database.fetchval(query, f"evt_{booking['id']}")
    return outcome


# Tampering with the request

TAMPERED: list[tuple[str, dict[str, Any]]] = [
    ("amount", {"amount": 1}),
    ("currency", {"currency": "jpy"}),
    ("price in the plan", {"plan": {"amount": 1}}),
    ("status", {"status": "confirmed"}),
    ("paid", {"paid_at": "2026-01-01T00:00:00Z"}),
    ("duration", {"duration_minutes": 600}),
    ("end", {"end": "2026-12-31T00:00:00Z"}),
    ("buffers", {"buffer_after_minutes": 0}),
    ("hold", {"hold_expires_at": "2099-01-01T00:00:00Z"}),
    ("id", {"id": str(uuid4())}),
    ("creator", {"created_by": "operator"}),
    ("intent", {"payment": {"payment_intent_id": "pi_mine"}}),
    ("another plan's name", {"plan_id": "standard"}),
    ("customer", {"customer": {"id": str(uuid4()), "name": "x", "email": "x@example.com"}}),
    ("two mechanics", {"mechanic_id": [str(uuid4()), str(uuid4())]}),
]


@pytest.mark.parametrize("changes", [pytest.param(changes, id=name) for name, changes in TAMPERED])
async def test_a_tampered_request_holds_nothing(
    customer: Customer, shop: Shop, database: Pool, changes: dict[str, Any]
) -> None:
    answer = await customer.post(customer.request(shop, shop.start(), **changes))
    assert answer.status_code == 422, answer.text
    assert await held(database, shop) == (0, 0)


async def test_what_does_not_belong_together_holds_nothing(customer: Customer, shop: Shop, database: Pool) -> None:
    """Ids that exist, in combinations that the catalogue does not have."""
    other = await open_shop(database)
    await database.execute("UPDATE plans SET amount = 50 WHERE id = $1", other.plan_id)
    await database.execute("UPDATE services SET duration_minutes = 15 WHERE id = $1", other.service_id)
    cheap = uuid4()
    await database.execute(
        "INSERT INTO plans (id, service_id, slug, name, amount, active) VALUES ($1, $2, 'old', 'Old', 50, FALSE)",
        cheap,
        shop.service_id,
    )
    for changes in (
        {"plan_id": str(other.plan_id)},
        {"service_id": str(other.service_id)},
        {"service_id": str(other.service_id), "plan_id": str(other.plan_id)},
        {"mechanic_id": str(other.mechanic_id)},
        {"mechanic_id": str(other.mechanic_id), "plan_id": str(other.plan_id)},
        {"plan_id": str(cheap)},
        {"start": (shop.start() + timedelta(minutes=7)).isoformat()},
    ):
        refused = await customer.post(customer.request(shop, shop.start()) | changes)
        assert (refused.status_code, refused.json()["code"]) == (422, "slot_not_offered"), changes
    assert await held(database, shop) == (0, 0)
    assert await held(database, other) == (0, 0)


async def test_a_query_names_no_price_either(customer: Customer, shop: Shop, database: Pool) -> None:
    answer = await customer.http.post(
        f"{customer.api_url}/v1/bookings?amount=1",
        json=customer.request(shop, shop.start()),
        headers=customer.headers | {"Idempotency-Key": "x"},
    )
    assert answer.status_code == 422
    assert await held(database, shop) == (0, 0)


async def test_what_is_charged_and_held_is_the_catalogues(
    customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient, database: Pool
) -> None:
    booking = await customer.book(shop, shop.start())
    intent = await _intent(http, stack, booking)
    assert (intent["amount"], intent["currency"]) == (shop.amount, shop.currency)
    assert intent["metadata"]["booking_id"] == booking["id"]
    row = await database.fetchrow("SELECT * FROM slot_reservations WHERE booking_id = $1", UUID(booking["id"]))
    assert (row["mechanic_id"], row["ends_at"] - row["starts_at"]) == (shop.mechanic_id, shop.duration)
    assert row["blocked"].upper - row["ends_at"] == shop.buffer_after
    refused = await http.post(
        f"{stack.stripe_api_url}/v1/payment_intents/{intent['id']}",
        data={"amount": 50, "client_secret": booking["payment"]["client_secret"]},
        headers={"Authorization": f"Bearer {stack.stripe_publishable_key}"},
    )
    assert refused.status_code in (401, 403), "the key that browsers get changes no amount"


# The news of a payment

WRONG = [
    pytest.param({"amount": 1}, "not as agreed: 1 cad instead of 8900 cad", id="amount"),
    pytest.param({"amount_received": 8899}, "not as agreed: 8899 cad instead of 8900 cad", id="partly captured"),
    pytest.param({"amount_received": 0}, "not as agreed: 0 cad instead of 8900 cad", id="nothing captured"),
    pytest.param({"currency": "usd"}, "not as agreed: 8900 usd instead of 8900 cad", id="currency"),
    pytest.param({"id": "pi_x"}, "not as agreed: pi_x is not this booking's payment", id="another payment"),
]


@pytest.mark.parametrize(("change", "outcome"), WRONG)
async def test_money_that_is_not_as_agreed_confirms_nothing_and_is_seen(
    customer: Customer,
    shop: Shop,
    stack: Stack,
    http: httpx.AsyncClient,
    database: Pool,
    change: dict[str, Any],
    outcome: str,
) -> None:
    booking = await customer.book(shop, shop.start())
    await _send(http, stack, event_about(booking, shop, **change))
    assert await _outcome(database, booking) == outcome
    await customer.pay(booking)
    confirmed = await customer.sees(booking, "confirmed")
    assert events(confirmed).count("payment_succeeded") == 1, "the right payment is the one that counted"


async def test_somebody_elses_payment_pays_for_nobody_else(
    customer: Customer, rival: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient, database: Pool
) -> None:
    """An event that names one booking and another one's PaymentIntent."""
    mine, theirs = await customer.book(shop, shop.start()), await rival.book(shop, shop.start(days=5))
    await _send(http, stack, event_about(mine, shop, id=theirs["payment"]["payment_intent_id"]))
    outcome = await _outcome(database, mine)
    assert outcome is not None
    assert outcome.endswith("is not this booking's payment")
    assert (await customer.read(mine))["status"] == (await rival.read(theirs))["status"] == "awaiting_payment"


async def test_wrong_money_for_a_booking_that_has_ended_is_seen_by_the_sweep(
    customer: Customer,
    shop: Shop,
    stack: Stack,
    http: httpx.AsyncClient,
    clock: Clock,
    database: Pool,
    temporal: Client,
) -> None:
    booking = await customer.book(shop, shop.start())
    await clock.forward(booking, OVER)
    await customer.sees(booking, "expired")
    await clock.workflow(booking).result()
    await _send(http, stack, event_about(booking, shop, amount=1))
    # After the one that may be under way just now: it would be skipped.
    await temporal.get_schedule_handle("sweep/pitstop").trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)
    for _ in range(600):
        if outcome := await _outcome(database, booking):
            break
        await asyncio.sleep(0.1)
    assert outcome == "not as agreed: 1 cad instead of 8900 cad"
    assert (await customer.read(booking))["status"] == "expired"


@pytest.mark.parametrize(
    ("event", "live", "why"),
    [
        ({"livemode": False}, False, None),
        ({"livemode": True}, True, None),
        ({}, False, None),
        ({"livemode": False}, True, "ignored: test mode"),
        ({}, True, "ignored: test mode"),
        ({"livemode": True}, False, "ignored: live mode"),
        ({"livemode": True, "account": "acct_1"}, True, "ignored: another account"),
    ],
)
def test_which_events_are_ours(event: dict[str, Any], live: bool, why: str | None) -> None:
    assert foreign(event, live=live) == why


@pytest.mark.parametrize("key", ["sk_live_x", "rk_live_x"])
async def test_a_test_cards_money_pays_for_nothing_in_production(
    customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient, database: Pool, key: str
) -> None:
    """Signed with the right secret, as events of a connected account are, but of the other mode."""
    booking = await customer.book(shop, shop.start())
    body = json.dumps(json.loads(event_about(booking, shop)) | {"livemode": False})
    async with serving(settings(stack, stripe_secret_key=key)) as url:
        await _send(http, stack, body, url)
    assert await _outcome(database, booking) == "ignored: test mode"
    assert (await customer.read(booking))["status"] == "awaiting_payment"


# What Stripe says when the time to pay is over


@pytest.fixture
async def underpaid(
    customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient, stripe: StripeControl
) -> Any:
    """A booking whose PaymentIntent somebody has changed, and that was paid at the changed price; no webhook comes."""

    async def make() -> dict[str, Any]:
        await stripe.webhooks("drop", times=None)
        booking = await customer.book(shop, shop.start())
        await _intent(http, stack, booking, amount=100)
        await customer.pay(booking)
        assert (await _intent(http, stack, booking))["amount_received"] == 100
        return booking

    return make


async def test_money_that_is_not_as_agreed_does_not_count_when_the_hold_ends(
    customer: Customer, clock: Clock, underpaid: Any
) -> None:
    booking = await underpaid()
    await clock.forward(booking, OVER)
    ended = await customer.sees(booking, "expired", "wrong_payment")
    [entry] = [entry for entry in ended["timeline"] if entry["event"] == "wrong_payment"]
    assert entry["detail"] == {"amount": 100, "currency": "cad"}


async def test_unless_the_amount_is_compared_it_confirms(
    customer: Customer,
    clock: Clock,
    underpaid: Any,
    stack: Stack,
    temporal: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: without the comparison a session for 89.00 is had for 1.00."""

    async def agreed(*_: Any) -> bool:
        return True

    monkeypatch.setattr(PaymentActivities, "_is_as_agreed", agreed)
    changed = settings(stack, task_queue=f"uncompared-{uuid4()}")
    async with worker.at_work(temporal, changed), serving(changed) as url:
        customer.api_url = url
        booking = await underpaid()
        await clock.forward(booking, OVER)
        await customer.sees(booking, "confirmed")


async def test_a_start_is_judged_by_our_clock(customer: Customer, shop: Shop, database: "asyncpg.Pool[Any]") -> None:
    """A client's own clock, in the header Date, changes no hold's end."""
    answer = await customer.http.post(
        f"{customer.api_url}/v1/bookings",
        json=customer.request(shop, shop.start()),
        headers=customer.headers | {"Idempotency-Key": "x", "Date": "Fri, 01 Jan 2100 00:00:00 GMT"},
    )
    assert datetime.fromisoformat(answer.json()["hold_expires_at"]).year < 2100
