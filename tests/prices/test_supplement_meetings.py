"""The payment of a difference meets everything else that can happen to a booking: slot and money agree in the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError

from pitstop.devstack.stackfile import Stack
from pitstop.domain.course import Course
from pitstop.postgres.changes import PostgresChanges
from pitstop.postgres.pool import open_pool
from tests.life.conftest import Booked
from tests.life.meeting import Books, ask, meet
from tests.prices.conftest import MORE, ToPay, asked_for, due
from tests.prices.test_supplements import supplement_is
from tests.support.forks import crashing_worker
from tests.support.histories import replays
from tests.support.people import Customer, Json, events
from tests.support.processes import dies, environment, serving, settings, worker
from tests.support.shop import Shop
from tests.support.shops import add_plan
from tests.support.stripe_control import StripeControl
from tests.support.sweep import sweep
from tests.support.time import Clock
from tests.support.webhooks import event_about, signed

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


async def _is_cancelled(customer: Customer, clock: Clock, booking: Json, back: int) -> None:
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    read = await customer.read(booking)
    assert (read["status"], read["amount_refunded"], read["amount_awaiting_refund"]) == ("cancelled", back, 0)


async def test_cancelled_while_it_may_be_paid(
    customer: Customer, rival: Customer, shop: Shop, to_pay: ToPay, clock: Clock, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    cancelled = await customer.ask(asked, "cancel")
    assert (cancelled.status_code, cancelled.json()["supplement"]["status"]) == (200, "closed")
    await _is_cancelled(customer, clock, asked, shop.amount)
    assert (await customer.pay(due(asked))).status_code == 400
    for wanted in (start, start + DAY):
        await rival.book(shop, wanted)
    await books.agree(asked)
    await replays(clock.workflow(asked), "difference_cancelled", "cancelled while a difference was to be paid")


async def test_the_payment_before_a_cancellation(
    customer: Customer, shop: Shop, to_pay: ToPay, clock: Clock, database: Any, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    paid, cancelled = await meet(database, asked, lambda: customer.pay(due(asked)), ask(customer, asked, "cancel"))
    assert (paid.status_code, cancelled.status_code) == (200, 200), cancelled.text
    await _is_cancelled(customer, clock, asked, shop.amount + MORE)
    assert (await customer.read(asked))["moves"] == 1
    await books.agree(asked)


async def test_a_cancellation_before_the_payment(
    customer: Customer, shop: Shop, to_pay: ToPay, clock: Clock, database: Any, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    cancelled, paid = await meet(database, asked, ask(customer, asked, "cancel"), lambda: customer.pay(due(asked)))
    assert (cancelled.status_code, paid.status_code) == (200, 200), cancelled.text
    await _is_cancelled(customer, clock, asked, shop.amount + MORE)
    read = await customer.read(asked)
    assert (read["moves"], read["supplement"]["status"]) == (0, "closed")
    await books.agree(asked)
    await replays(clock.workflow(asked), "difference_paid_and_cancelled", "cancelled, and paid in that moment")


@pytest.mark.parametrize("what", ["move", "hand-over"])
async def test_what_else_is_done_with_it_closes_it(
    what: str,
    customer: Customer,
    rival: Customer,
    operator: Customer,
    other: Customer,
    shop: Shop,
    to_pay: ToPay,
    books: Books,
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    if what == "move":
        answer = await operator.ask(asked, "reschedule", start=(start + 2 * DAY).isoformat())
    else:
        answer = await operator.ask(asked, "hand-over", mechanic_id=str(other.id))
    assert (answer.status_code, answer.json()["supplement"]["status"]) == (200, "closed"), answer.text
    await _is_voided(customer, asked)
    await rival.book(shop, start + DAY)
    await books.agree(asked)


async def _is_voided(customer: Customer, asked: Json) -> None:
    """Stripe is told beside everything else, soon after whoever has asked is answered."""
    voided = lambda read: read["supplement"]["payment_status"] == "canceled"  # noqa: E731
    await customer.waits_for(asked, voided, "Stripe to be told")
    assert (await customer.pay(due(asked))).status_code == 400


async def test_started_while_it_may_be_paid(
    customer: Customer, mechanic: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any, books: Books
) -> None:
    """By a policy that lets customers move until the start."""
    await database.execute(
        "WITH made AS (INSERT INTO booking_policies (name, terms) SELECT $2,"
        " jsonb_set(terms, '{reschedule_minutes_before}', '0') FROM booking_policies WHERE name = 'standard'"
        " RETURNING id) UPDATE services SET policy_id = made.id FROM made WHERE services.id = $1",
        shop.service_id,
        f"moves late {shop.service_id}",
    )
    dear = await add_plan(database, shop, shop.amount + MORE)
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - 10 * MINUTE)
    asked = await asked_for(customer, booking, start + DAY, dear)
    # Not beyond the start of what it is now.
    assert datetime.fromisoformat(asked["supplement"]["expires_at"]) == start
    assert (await mechanic.ask(asked, "start")).status_code == 200
    assert (await customer.read(asked))["supplement"]["status"] == "closed"
    assert (await clock.to_the_end(asked))["status"] == "completed"
    assert (await customer.pay(due(asked))).status_code == 400
    assert (await customer.read(asked))["amount_refunded"] == 0
    await books.agree(asked)


async def test_the_lapse_meets_the_payment(
    customer: Customer, shop: Shop, to_pay: ToPay, clock: Clock, stripe: StripeControl, books: Books
) -> None:
    """The news was lost; at the end of the time Stripe is asked before anything is let go."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    await stripe.webhooks("drop", times=None)
    assert (await customer.pay(due(asked))).status_code == 200
    await clock.forward(asked, 14 * MINUTE)
    assert (await customer.read(asked))["supplement"]["status"] == "open"
    await clock.forward(asked, 2 * MINUTE)
    moved = await customer.sees(asked, "confirmed", "rescheduled")
    assert (moved["amount"], moved["amount_refunded"]) == (shop.amount + MORE, 0)
    await books.agree(asked)
    await replays(clock.workflow(asked), "difference_paid_unheard", "the news of the payment was lost, Stripe asked")


@pytest.fixture
async def hurried(stack: Stack, customer: Customer) -> AsyncIterator[Customer]:
    """The customer has eight seconds to pay, and the database waits one more."""
    async with serving(settings(stack, hold_seconds=8, hold_grace_seconds=1)) as url:
        customer.api_url = url
        yield customer


def is_told_of_return(read: Json) -> bool:
    mails = [entry["detail"] for entry in read["timeline"] if entry["event"] == "mail_sent"]
    return [mail["kind"] for mail in mails].count("difference_returned") == 1


@pytest.mark.usefixtures("hurried")
async def test_paid_late(
    customer: Customer,
    rival: Customer,
    shop: Shop,
    to_pay: ToPay,
    clock: Clock,
    stripe: StripeControl,
    books: Books,
) -> None:
    """Stripe is away when the time is over; a rival takes the new slot; then the customer pays, and is told twice."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    away = await stripe.fault(
        "cancel", "error_500", times=None, payment_intent=asked["supplement"]["payment_intent_id"]
    )
    ends = datetime.fromisoformat(asked["supplement"]["expires_at"])
    await asyncio.sleep((ends - datetime.now(UTC)).total_seconds() + 1.5)
    taken = await rival.book(shop, start + DAY)
    assert (await customer.pay(due(asked))).status_code == 200
    returned = await customer.sees(asked, "confirmed", "refund_issued")
    assert (returned["start"], returned["amount"], returned["moves"]) == (asked["start"], shop.amount, 0)
    assert (returned["supplement"]["status"], returned["amount_refunded"]) == ("lapsed", MORE)
    await customer.waits_for(asked, is_told_of_return, "the news of the return")
    [event] = await stripe.events(asked["supplement"]["payment_intent_id"], "payment_intent.succeeded")
    assert set(await stripe.deliver(event["id"], copies=3)) == {204}
    await stripe.remove(away)
    await rival.pay(taken)
    await rival.sees(taken, "confirmed")
    assert len(await stripe.calls("/v1/refunds", asked["supplement"]["payment_intent_id"])) == 1
    cancelled = await customer.ask(asked, "cancel")
    assert cancelled.json()["amount_refunded"] == shop.amount + MORE
    assert (await clock.workflow(asked).result())["status"] == "cancelled"
    await books.agree(asked)
    await replays(clock.workflow(asked), "difference_paid_late", "paid when the time was over: it went back")


async def test_without_its_hold_the_new_slot_can_be_lost(
    customer: Customer, rival: Customer, shop: Shop, to_pay: ToPay, clock: Clock, database: Any, books: Books
) -> None:
    """A control: let go by hand, the time is anybody's. The booking stays, and the money goes back."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    await database.execute(
        "UPDATE slot_reservations SET status = 'cancelled' WHERE supplement_id = $1", UUID(asked["supplement"]["id"])
    )
    await rival.book(shop, start + DAY)
    assert (await customer.pay(due(asked))).status_code == 200
    lost = await customer.sees(asked, "confirmed", "refund_issued")
    assert (lost["start"], lost["supplement"]["status"], lost["amount_refunded"]) == (asked["start"], "lost", MORE)
    await books.agree(asked)
    await replays(clock.workflow(asked), "difference_lost", "paid, and the new slot was somebody else's")


async def test_the_same_news_many_times(
    customer: Customer, shop: Shop, to_pay: ToPay, stripe: StripeControl, database: Any, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    await stripe.webhooks("drop", event_type="payment_intent.succeeded")
    await customer.pay(due(asked))
    [event] = await stripe.events(asked["supplement"]["payment_intent_id"], "payment_intent.succeeded")
    assert set(await stripe.deliver(event["id"], copies=5)) == {204}
    moved = await customer.sees(asked, "confirmed", "rescheduled")
    [own] = await stripe.events(asked["payment"]["payment_intent_id"], "payment_intent.succeeded")
    assert set(await stripe.deliver(own["id"], copies=2)) == {204}
    assert (events(moved).count("rescheduled"), moved["moves"], moved["amount_refunded"]) == (1, 1, 0)
    outcomes = await database.fetch("SELECT DISTINCT outcome FROM webhook_inbox WHERE booking_id = $1", asked["id"])
    assert "signalled" in {row["outcome"] for row in outcomes}
    assert not [row["outcome"] for row in outcomes if "not as agreed" in (row["outcome"] or "")]
    await books.agree(asked)


async def test_the_sweep_brings_the_news(
    customer: Customer,
    shop: Shop,
    to_pay: ToPay,
    clock: Clock,
    temporal: Client,
    stack: Stack,
    books: Books,
) -> None:
    """The run is gone when the payment comes: the event stays in the inbox, and a new run is told of it."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    ended = (await clock.workflow(asked).describe()).run_id
    await clock.workflow(asked).terminate()
    assert (await customer.pay(due(asked))).status_code == 200
    # The stack's own sweep, or another test's, may come first.
    await sweep(temporal, stack)
    moved = await customer.sees(asked, "confirmed", "rescheduled")
    assert (await clock.workflow(asked).describe()).run_id != ended
    assert moved["amount"] == shop.amount + MORE
    await books.agree(asked)
    await replays(clock.workflow(asked), "difference_paid_between_runs", "paid while no run drove it")


@pytest.mark.parametrize("paid", [True, False])
async def test_the_sweep_takes_up_what_is_overdue(
    paid: bool,
    customer: Customer,
    shop: Shop,
    to_pay: ToPay,
    clock: Clock,
    temporal: Client,
    stack: Stack,
    stripe: StripeControl,
    books: Books,
) -> None:
    """The run is gone and nobody hears of the payment: a new run finds the supplement in the database."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    await clock.workflow(asked).terminate()
    await stripe.webhooks("drop", times=None)
    if paid:
        await customer.pay(due(asked))
    await sweep(temporal, stack, timedelta(minutes=-20))
    await clock.forward(asked, 16 * MINUTE)
    if paid:
        assert (await customer.sees(asked, "confirmed", "rescheduled"))["amount"] == shop.amount + MORE
    else:
        await customer.waits_for(asked, supplement_is("lapsed"), "the lapse")
    await books.agree(asked)


_ASK = """
INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, wanted)
SELECT $1, id, 'reschedule', 'customer', customer_id::text, $3::text::jsonb FROM bookings WHERE id = $2
"""


async def test_a_run_that_has_not_heard_of_it(
    customer: Customer,
    shop: Shop,
    booked: Booked,
    dear: UUID,
    clock: Clock,
    database: Any,
    temporal: Client,
    stack: Stack,
    books: Books,
) -> None:
    """It was decided on, and the run has lost that: the sweep tells it to look, and then it can be paid."""
    start = shop.start(days=3)
    booking = await booked(start)
    change = uuid4()
    wanted = f'{{"start": "{(start + DAY).isoformat()}", "plan_id": "{dear}"}}'
    await database.execute(_ASK, change, UUID(booking["id"]), wanted)
    async with open_pool(stack.worker_database_url, 2, "test") as pool:
        course = Course((DAY, HOUR), 15 * MINUTE)
        outcome = await PostgresChanges(pool).apply(UUID(booking["id"]), change, course, datetime.now(UTC))
    assert (outcome.refusal, outcome.terms and outcome.terms.supplement is not None) == (None, True)
    await sweep(temporal, stack, timedelta(minutes=-20))
    asked = await customer.waits_for(
        booking, lambda read: bool(read["supplement"] and read["supplement"]["client_secret"]), "the secret"
    )
    await customer.pay(due(asked))
    assert (await customer.sees(booking, "confirmed", "rescheduled"))["moves"] == 1
    await books.agree(booking)
    await replays(clock.workflow(booking), "difference_unheard", "decided beside the run, which was told to look")


async def test_stripe_is_away_when_it_is_asked_for(
    customer: Customer,
    rival: Customer,
    shop: Shop,
    booked: Booked,
    dear: UUID,
    clock: Clock,
    stripe: StripeControl,
    books: Books,
) -> None:
    """Nothing is held for what cannot be paid; the booking stands."""
    start = shop.start(days=3)
    booking = await booked(start)
    away = await stripe.fault("create", "error_500", times=None)
    answer = await customer.ask(booking, "reschedule", start=(start + DAY).isoformat(), plan_id=str(dear))
    assert (answer.status_code, answer.json()["code"]) == (503, "payment_unavailable")
    stands = await customer.read(booking)
    assert (stands["start"], stands["supplement"]["status"]) == (booking["start"], "withdrawn")
    await stripe.remove(away)
    await rival.book(shop, start + DAY)
    asked = await asked_for(customer, booking, start + 2 * DAY, dear)
    await customer.pay(due(asked))
    await customer.sees(booking, "confirmed", "rescheduled")
    await books.agree(booking)
    await replays(clock.workflow(booking), "difference_withdrawn", "Stripe was away when a difference was asked for")


async def test_an_operator_stops_the_run(
    customer: Customer, rival: Customer, shop: Shop, to_pay: ToPay, clock: Clock, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    await clock.workflow(asked).cancel()
    cancelled = await customer.sees(asked, "cancelled", "refund_issued")
    assert (cancelled["amount_refunded"], cancelled["supplement"]["status"]) == (shop.amount, "closed")
    await _is_voided(customer, asked)
    await rival.book(shop, start + DAY)
    with pytest.raises(WorkflowFailureError):
        await clock.workflow(asked).result()
    await books.agree(asked)
    await replays(clock.workflow(asked), "difference_called_off", "called off while a difference was to be paid")


async def test_an_operator_stops_the_run_that_waits_for_stripe(
    customer: Customer, shop: Shop, to_pay: ToPay, clock: Clock, stripe: StripeControl, books: Books
) -> None:
    """The booking has ended already, and what nobody is to pay any more is voided all the same, by that run."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    run = clock.workflow(asked)
    first = (await run.describe()).run_id
    away = await stripe.fault("cancel", "error_500", times=None)
    assert (await customer.ask(asked, "cancel")).status_code == 200
    await customer.sees(asked, "cancelled", "refund_issued")
    await run.cancel()
    await asyncio.sleep(3)
    described = await run.describe()
    assert (described.run_id, described.status) == (first, WorkflowExecutionStatus.RUNNING), "it is still at it"
    await stripe.remove(away)
    with pytest.raises(WorkflowFailureError):
        await run.result()
    await _is_voided(customer, asked)
    assert await customer.subjects() == ["Confirmed", "Cancelled"]
    await books.agree(asked)
    await replays(run, "difference_called_off_twice", "cancelled, then its run called off while Stripe was away")


@pytest.fixture
async def queue(stack: Stack, customer: Customer) -> AsyncIterator[str]:
    """A task queue that no worker but the test's own works on, and an API that puts the customer's bookings there."""
    name = f"supplement-{uuid4()}"
    async with serving(settings(stack, task_queue=name, workflow_task_seconds=2, intent_patience_seconds=60)) as url:
        customer.api_url = url
        yield name


@pytest.mark.parametrize(
    "point",
    [
        "request_supplement:after",
        "settle_supplement:before",
        "settle_supplement:after",
        # Nobody works when the payment comes.
        None,
    ],
)
async def test_the_worker_is_killed(
    point: str | None,
    queue: str,
    stack: Stack,
    customer: Customer,
    shop: Shop,
    booked: Booked,
    dear: UUID,
    stripe: StripeControl,
    books: Books,
) -> None:
    start = shop.start(days=3)
    variables = environment(stack, task_queue=queue)
    async with crashing_worker(variables | ({"CRASH_AT": point} if point else {})) as doomed:
        booking = await booked(start)
        asking = asyncio.create_task(asked_for(customer, booking, start + DAY, dear))
        if point == "request_supplement:after":
            await dies(doomed, asking)
        else:
            asked = await asking
            if point is None:
                doomed.kill()
                await doomed.wait()
            assert (await customer.pay(due(asked))).status_code == 200
            await dies(doomed)
    async with worker(variables):
        if point == "request_supplement:after":
            asked = await asking
            await customer.pay(due(asked))
        moved = await customer.sees(booking, "confirmed", "rescheduled")
        await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    assert (moved["amount"], moved["moves"], moved["amount_refunded"]) == (shop.amount + MORE, 1, 0)
    assert events(moved).count("rescheduled") == 1
    assert len(await stripe.calls("/v1/payment_intents", moved["supplement"]["id"])) <= 2
    await books.agree(booking)


async def test_asked_for_twice_at_once(
    customer: Customer, shop: Shop, booked: Booked, dear: UUID, database: Any, books: Books
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    answers = await asyncio.gather(*(asked_for(customer, booking, start + DAY, dear) for _ in range(3)))
    assert len({answer["supplement"]["id"] for answer in answers}) == 1
    assert await database.fetchval("SELECT count(*) FROM payments WHERE booking_id = $1", UUID(booking["id"])) == 2
    await customer.pay(due(answers[0]))
    assert (await customer.sees(booking, "confirmed", "rescheduled"))["moves"] == 1
    await books.agree(booking)


async def test_a_rival_wants_the_new_time_at_once(
    customer: Customer, rival: Customer, shop: Shop, booked: Booked, dear: UUID, books: Books
) -> None:
    """One of the two has it; whoever comes too late is told so."""
    for number in range(3):
        start = shop.start(days=3, hours=6 * number)
        booking = await booked(start)
        wanted = start + 3 * HOUR
        asked, taken = await asyncio.gather(
            customer.ask(booking, "reschedule", start=wanted.isoformat(), plan_id=str(dear)),
            rival.post(rival.request(shop, wanted)),
        )
        assert {asked.status_code, taken.status_code} <= {200, 201, 409}, (asked.text, taken.text)
        assert (asked.status_code == 200) != (taken.status_code == 201), (asked.text, taken.text)
        await books.agree(booking)


async def test_other_money_moves_nothing(
    customer: Customer, shop: Shop, to_pay: ToPay, stack: Stack, clock: Clock, database: Any
) -> None:
    """Signed news of another amount than was agreed: it is objected to, and the rest of the time stays."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    event = event_about({"id": asked["id"], **due(asked)}, shop, amount=MORE - 1, amount_received=MORE - 1)
    secret = stack.environment["PITSTOP_STRIPE_WEBHOOK_SECRET"]
    told = await customer.http.post(
        f"{stack.api_url}/webhooks/stripe", content=event, headers={"Stripe-Signature": signed(event, secret)}
    )
    assert told.status_code == 204
    outcome = await database.fetchval("SELECT outcome FROM webhook_inbox WHERE event_id = $1", f"evt_{asked['id']}")
    assert outcome == f"not as agreed: {MORE - 1} cad instead of {MORE} cad"
    assert (await customer.read(asked))["supplement"]["status"] == "open"
    await customer.pay(due(asked))
    assert (await customer.sees(asked, "confirmed", "rescheduled"))["moves"] == 1


async def test_the_customer_is_erased(
    customer: Customer, operator: Customer, shop: Shop, to_pay: ToPay, clock: Clock, database: Any
) -> None:
    """Not while the booking is open; afterwards neither payment has a secret or an address any more."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    await customer.pay(due(asked))
    await customer.sees(asked, "confirmed", "rescheduled")
    path = f"{customer.api_url}/v1/customers/{customer.id}/erasure"
    assert (await customer.http.post(path, headers=operator.headers)).status_code == 409
    assert (await customer.ask(asked, "cancel")).status_code == 200
    await clock.workflow(asked).result()
    erased = await customer.http.post(path, headers=operator.headers)
    assert erased.status_code in (200, 202), erased.text
    rows = await database.fetch("SELECT client_secret FROM payments WHERE booking_id = $1", UUID(asked["id"]))
    assert [row["client_secret"] for row in rows] == ["", ""]
