"""Two events that seldom meet are made to meet; each of these once went wrong."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from temporalio.client import Client

import worker as front_desk
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.smtp_mailer import SmtpMailer
from pitstop.gateways.temporal_engine import TemporalEngine
from pitstop.ports import MailNotAccepted, OutgoingMail
from pitstop.postgres.pool import open_pool
from pitstop.postgres.saga import PostgresSaga
from tests.support.forks import crashing_worker
from tests.support.histories import replays
from tests.support.people import Customer, Issuer, events
from tests.support.processes import dies, environment, serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock
from tests.support.webhooks import event_about, signed

_HOLDS = "SELECT count(*) FROM slot_reservations WHERE mechanic_id = $1"


@pytest.fixture
async def queue(request: pytest.FixtureRequest, stack: Stack, customer: Customer) -> AsyncIterator[str]:
    """A task queue that only the test's own workers work on. Its API waits ten seconds and the patience for a hold."""
    patience = getattr(request, "param", 3)
    name = f"meeting-{uuid4()}"
    quick = settings(stack, task_queue=name, workflow_task_seconds=2, intent_patience_seconds=patience)
    async with serving(quick) as url:
        customer.api_url = url
        yield name


# Workers take their time to start on a busy machine.
@pytest.mark.parametrize("queue", [50], indirect=True)
async def test_a_cancellation_meets_the_completion(
    queue: str, stack: Stack, customer: Customer, shop: Shop, clock: Clock, stripe: StripeControl
) -> None:
    """What is completed stays so, and stays paid."""
    doing = environment(stack, task_queue=queue)
    async with crashing_worker(doing | {"CRASH_AT": "complete_session:after"}) as doomed:
        booking = await customer.book(shop, shop.start())
        await customer.pay(booking)
        await customer.sees(booking, "confirmed", "mail_sent")
        ahead = asyncio.create_task(clock.forward(booking, timedelta(days=4)))
        await dies(doomed)
    await clock.workflow(booking).cancel()
    async with crashing_worker(doing):
        await asyncio.wait([asyncio.ensure_future(clock.workflow(booking).result())], timeout=30)
    ahead.cancel()
    assert (await customer.read(booking))["status"] == "completed"
    assert await stripe.events(booking["payment"]["payment_intent_id"], "charge.refunded") == []


async def test_another_request_takes_the_key_of_one_that_was_never_answered(
    queue: str, stack: Stack, customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """Nobody works: the first request is given up. The run that it left behind must not serve the second."""
    assert (await customer.post(customer.request(shop, shop.start()), "one key")).status_code == 503
    call = asyncio.create_task(customer.post(customer.request(shop, shop.start(days=5)), "one key"))
    await asyncio.sleep(1)
    async with crashing_worker(environment(stack, task_queue=queue)):
        answer = await call
        held = await database.fetchval(
            "SELECT count(*) FROM slot_reservations WHERE mechanic_id = $1", shop.mechanic_id
        )
        if answer.status_code == 422:
            assert held == 0
            answer = await customer.post(customer.request(shop, shop.start(days=5)), "one key")
        assert answer.status_code in (200, 201)
        assert datetime.fromisoformat(answer.json()["start"]) == shop.start(days=5)


# The hold outlasts the death of one worker and the start of another, which takes its time on a busy machine.
@pytest.mark.parametrize("queue", [50], indirect=True)
async def test_a_refusal_meets_the_payment_intent_that_was_made(
    queue: str, stack: Stack, customer: Customer, shop: Shop, stripe: StripeControl
) -> None:
    """The worker dies when the PaymentIntent is on record; the next one cannot reach Stripe, and need not."""
    doing = environment(stack, task_queue=queue)
    async with crashing_worker(doing | {"CRASH_AT": "request_payment:after"}) as doomed:
        call = asyncio.create_task(customer.book(shop, shop.start()))
        await dies(doomed, call)
    async with crashing_worker(doing | {"PITSTOP_STRIPE_API_URL": "http://127.0.0.1:9"}):
        booking = await call
    assert booking["status"] == "awaiting_payment"
    assert len(await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.created")) == 1


async def test_a_revived_booking_keeps_the_reminders_that_it_was_confirmed_with(
    stack: Stack, temporal: Client, customer: Customer, shop: Shop, clock: Clock
) -> None:
    """The offsets were changed between the confirmation and the second run."""
    before = settings(stack, task_queue=f"revive-{uuid4()}")
    after = before.model_copy(update={"reminder_offsets_seconds": (7200.0,)})
    async with (
        front_desk.at_work(temporal, before),
        serving(before) as url,
        open_pool(before.worker_database_url, 2, "test") as pool,
    ):
        customer.api_url = url
        booking = await customer.book(shop, shop.start())
        await customer.pay(booking)
        await customer.sees(booking, "confirmed", "mail_sent")
        await clock.workflow(booking).terminate("by mistake")
        saga = PostgresSaga(pool)
        standing = await saga.standing(UUID(booking["id"]))
        assert standing is not None
        assert await TemporalEngine(temporal, after).revive(standing, None)
        await clock.to_the_end(booking)
        assert await customer.subjects() == ["Confirmed", "Reminder", "Reminder"]
        later = datetime.now(UTC) + timedelta(days=10)
        overdue = await saga.overdue_bookings(later, later, 10_000)
        assert UUID(booking["id"]) not in {late.booking_id for late in overdue}


async def test_late_money_meets_a_cancellation(
    stack: Stack,
    temporal: Client,
    customer: Customer,
    shop: Shop,
    clock: Clock,
    stripe: StripeControl,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """A booking has ended, money comes all the same, and an operator cancels the run that is to give it back."""
    changed = settings(stack, task_queue=f"late-{uuid4()}", workflow_task_seconds=2)
    async with serving(changed) as url, open_pool(changed.worker_database_url, 2, "test") as pool:
        customer.api_url = url
        async with front_desk.at_work(temporal, changed):
            booking = await customer.book(shop, shop.start())
            await clock.workflow(booking).terminate("by mistake")
        await database.execute("UPDATE slot_reservations SET status = 'expired' WHERE booking_id = $1", booking["id"])
        await database.execute("UPDATE bookings SET status = 'expired' WHERE id = $1", booking["id"])
        await customer.pay(booking)
        standing = await PostgresSaga(pool).standing(UUID(booking["id"]))
        assert standing is not None
        assert await TemporalEngine(temporal, changed).revive(standing, None)
        await clock.workflow(booking).cancel()
        async with front_desk.at_work(temporal, changed):
            refunded = await customer.sees(booking, "expired", "refund_issued")
    assert refunded["amount_refunded"] == shop.amount


# A first try that outlasts a workflow task learns of the cancellation while it is under way.
_LONGER_THAN_A_TASK = 4


@pytest.mark.parametrize(
    ("refusals", "seconds", "ending"), [(0, 2, "0"), (1, 2, "1"), (0, _LONGER_THAN_A_TASK, "for_long")]
)
async def test_a_cancellation_meets_the_confirmation_on_its_way(
    stack: Stack,
    temporal: Client,
    customer: Customer,
    shop: Shop,
    clock: Clock,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    refusals: int,
    seconds: int,
    ending: str,
) -> None:
    """The mail server takes its time over the confirmation, at the first try or at a later one."""
    real, sending = SmtpMailer.send, asyncio.Event()

    async def slow(self: SmtpMailer, mail: OutgoingMail, attempt: int) -> None:
        if mail.subject.startswith("Confirmed") and attempt > refusals:
            sending.set()
            await asyncio.sleep(seconds)
        await real(self, mail, attempt)

    monkeypatch.setattr(SmtpMailer, "send", slow)
    changed = settings(stack, task_queue=f"mail-{uuid4()}")
    async with serving(changed) as url, front_desk.at_work(temporal, changed):
        customer.api_url = url
        booking = await customer.book(shop, shop.start())
        fault = {"kind": "reject_4xx", "to": customer.email, "times": refusals}
        if refusals:
            await http.post(f"{stack.mail_url}/api/faults", json=fault)
        await customer.pay(booking)
        await asyncio.wait_for(sending.wait(), 20)
        await clock.workflow(booking).cancel()
        await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "both mails")
        await replays(clock.workflow(booking), f"called_off_while_mailing_{ending}", "cancelled with a mail on its way")
    assert await customer.subjects() == ["Confirmed", "Cancelled"]


@pytest.mark.parametrize("late_try", [1, 2])
async def test_a_cancellation_meets_a_confirmation_that_is_just_refused(
    stack: Stack,
    temporal: Client,
    customer: Customer,
    shop: Shop,
    clock: Clock,
    database: "asyncpg.Pool[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
    late_try: int,
) -> None:
    """It is skipped because the booking was cancelled; it was not given up."""
    real, sending = SmtpMailer.send, asyncio.Event()

    async def slow_refusal(self: SmtpMailer, mail: OutgoingMail, attempt: int) -> None:
        if not mail.subject.startswith("Confirmed"):
            return await real(self, mail, attempt)
        if attempt == late_try:
            sending.set()
            await asyncio.sleep(_LONGER_THAN_A_TASK)
        raise MailNotAccepted("later, please", permanent=False)

    monkeypatch.setattr(SmtpMailer, "send", slow_refusal)
    changed = settings(stack, task_queue=f"mail-{uuid4()}")
    async with serving(changed) as url, front_desk.at_work(temporal, changed):
        customer.api_url = url
        booking = await customer.book(shop, shop.start())
        await customer.pay(booking)
        await asyncio.wait_for(sending.wait(), 20)
        await clock.workflow(booking).cancel()
        await customer.waits_for(booking, lambda read: "mail_sent" in events(read), "the mail of the cancellation")
        await replays(
            clock.workflow(booking), f"called_off_while_refused_{late_try}", "cancelled while a mail is refused"
        )
    state = "SELECT status, detail FROM notifications WHERE booking_id = $1 AND kind = 'confirmation'"
    row = await database.fetchrow(state, UUID(booking["id"]))
    assert row is not None
    assert tuple(row) == ("skipped", "the booking was cancelled")
    assert await customer.subjects() == ["Cancelled"]


async def test_only_the_customers_side_is_given_the_link(
    stack: Stack, issuer: Issuer, customer: Customer, shop: Shop, http: httpx.AsyncClient
) -> None:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    links: dict[str, bool] = {}
    for role, subject in (("customer", customer.id), ("mechanic", shop.mechanic_id), ("operator", uuid4())):
        headers = {"Authorization": f"Bearer {await issuer.token(str(subject), role)}"}
        answer = await http.get(f"{stack.api_url}/v1/bookings/{booking['id']}/invite.ics", headers=headers)
        assert answer.status_code == (403 if role == "mechanic" else 200), answer.text
        links[role] = "/manage/" in answer.text.replace("\r\n ", "")
        read = await http.get(f"{stack.api_url}/v1/bookings/{booking['id']}", headers=headers)
        assert read.headers["Cache-Control"] == "no-store"
    assert links == {"customer": True, "mechanic": False, "operator": False}


@pytest.mark.parametrize("strange", [{"amount": "a lot"}, {"last_payment_error": "odd"}, {"amount": None}])
async def test_a_signed_event_of_a_strange_form_is_kept_and_confirms_nothing(
    customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient, strange: dict[str, Any]
) -> None:
    booking = await customer.book(shop, shop.start())
    body = event_about(booking, shop, **strange)
    headers = {"Stripe-Signature": signed(body, stack.stripe_webhook_secret)}
    answer = await http.post(f"{stack.api_url}/webhooks/stripe", content=body, headers=headers)
    assert answer.status_code == 204
    assert "refund_issued" not in events(await customer.read(booking))
