"""Workers die, are away, or a run is terminated while somebody is looked for: each goes on, and nothing comes twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import Response
from temporalio.client import Client

from pitstop.devstack.stackfile import Stack
from tests.immediate.conftest import ALONE, WHOLE, Crew, Wanted, at_once, is_offered, until_offered
from tests.support.forks import crashing_worker
from tests.support.people import Customer, Json, events
from tests.support.processes import dies, environment, serving, settings, worker
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.sweep import sweep
from tests.support.time import Clock


@pytest.fixture
async def queue(stack: Stack, customer: Customer, mechanic: Customer) -> AsyncIterator[str]:
    """A task queue that no worker but the test's own works on, and an API that puts bookings there."""
    name = f"at-once-{uuid4()}"
    async with serving(settings(stack, task_queue=name, workflow_task_seconds=2)) as url:
        customer.api_url = mechanic.api_url = url
        yield name


async def _asks_and_pays(customer: Customer, shop: Shop) -> Json:
    """Asks with the same key until the worker has come up, as a good client does."""
    key, body = str(uuid4()), at_once(customer, shop)
    answer = await _insists(lambda: customer.post(body, key))
    assert answer.status_code in (200, 201), answer.text
    booking: Json = answer.json()
    await customer.pay(booking)
    return booking


async def _lives_on(customer: Customer, booking: Json, clock: Clock) -> None:
    """From when a mechanic is looked for to the end of the search."""
    await customer.sees(booking, "pending")
    await clock.forward(booking, 2 * WHOLE)


async def _insists(ask: Callable[[], Awaitable[Response]]) -> Response:
    for _ in range(5):
        if (answer := await ask()).status_code != 503:
            break
    return answer


async def test_workers_are_away_past_the_time(
    queue: str, stack: Stack, customer: Customer, shop: Shop, stripe: StripeControl, clock: Clock
) -> None:
    """The time is judged by the run's clock when they are back: all of the money goes back, once."""
    async with worker(environment(stack, task_queue=queue)):
        booking = await _asks_and_pays(customer, shop)
        await customer.sees(booking, "pending")
    ahead = asyncio.create_task(clock.forward(booking, 2 * WHOLE))
    assert (await customer.read(booking))["status"] == "pending"
    async with worker(environment(stack, task_queue=queue)):
        await ahead
        await customer.sees(booking, "refunded", "mail_sent")
        read = await customer.sees(booking, "refunded", "refund_issued")
    assert (events(read).count("refunded"), events(read).count("refund_issued")) == (1, 1)
    intent = booking["payment"]["payment_intent_id"]
    assert len(await stripe.events(intent, "charge.refunded")) == 1
    assert await customer.subjects() == ["No"]


@pytest.mark.parametrize("point", ["confirm_booking:after", "offer_session:after", "refund_payment:after"])
async def test_killed_on_the_way_to_nobody(
    queue: str,
    point: str,
    stack: Stack,
    customer: Customer,
    shop: Shop,
    stripe: StripeControl,
    database: Any,
    clock: Clock,
) -> None:
    async with crashing_worker(environment(stack, task_queue=queue) | {"CRASH_AT": point}) as doomed:
        booking = await _asks_and_pays(customer, shop)
        ahead = asyncio.create_task(_lives_on(customer, booking, clock))
        await dies(doomed)
    async with crashing_worker(environment(stack, task_queue=queue)):
        await ahead
        await customer.sees(booking, "refunded", "mail_sent")
        read = await customer.sees(booking, "refunded", "refund_issued")
    assert (events(read).count("pending"), events(read).count("refunded"), read["amount_refunded"]) == (1, 1, 8900)
    assert await database.fetchval("SELECT count(*) FROM sessions WHERE booking_id = $1", booking["id"]) == 1
    assert len(await stripe.events(booking["payment"]["payment_intent_id"], "charge.refunded")) == 1
    assert await customer.told() == ["No"]


async def test_killed_as_a_mechanic_takes_it(
    queue: str, stack: Stack, customer: Customer, mechanic: Customer, shop: Shop, database: Any
) -> None:
    """The acceptance is on record, and nobody has been told: the next worker tells the mechanic, and it is one."""
    async with crashing_worker(environment(stack, task_queue=queue) | {"CRASH_AT": "apply_change:after"}) as doomed:
        booking = await _asks_and_pays(customer, shop)
        await customer.sees(booking, "pending")
        accepting = asyncio.create_task(_insists(lambda: mechanic.ask(booking, "accept")))
        await dies(doomed, accepting)
    async with crashing_worker(environment(stack, task_queue=queue)):
        answer = await accepting
        assert (answer.status_code, answer.json()["status"]) == (200, "in_progress"), answer.text
        read = await customer.sees(booking, "in_progress", "mail_sent")
    assert events(read).count("in_progress") == 1
    assert await database.fetchval("SELECT count(*) FROM slot_reservations WHERE booking_id = $1", booking["id"]) == 1


async def test_a_terminated_run_is_taken_up_by_the_sweep(
    temporal: Client, stack: Stack, mechanic: Customer, crew: Crew, wanted: Wanted, clock: Clock, database: Any
) -> None:
    """It goes on where the search stood, and does not begin it again."""
    in_country = await crew.hire("H2Y 1C6", "Montréal")
    booking = await wanted(mechanic_id=str(mechanic.id))
    ends = "SELECT offers_end_at FROM bookings WHERE id = $1"
    before = await database.fetchval(ends, booking["id"])
    await clock.workflow(booking).terminate()
    await sweep(temporal, stack, overdue=-2 * ALONE)
    await clock.forward(booking, ALONE + timedelta(seconds=1))
    await clock.forward(booking, 2 * ALONE + timedelta(seconds=1))
    await until_offered(booking, (mechanic, in_country), [True, True])
    assert await database.fetchval(ends, booking["id"]) == before
    assert (await clock.to_the_end(booking))["status"] == "refunded"


async def test_a_terminated_run_is_taken_up_by_an_acceptance(mechanic: Customer, wanted: Wanted, clock: Clock) -> None:
    booking = await wanted()
    await clock.workflow(booking).terminate()
    assert await is_offered(booking, mechanic) == [True]
    answer = await mechanic.ask(booking, "accept")
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress"), answer.text
    assert (await clock.to_the_end(booking))["status"] == "completed"


async def test_an_operator_stops_the_run(customer: Customer, mechanic: Customer, wanted: Wanted, clock: Clock) -> None:
    booking = await wanted()
    await clock.workflow(booking).cancel()
    read = await customer.sees(booking, "cancelled", "refund_issued")
    assert read["amount_refunded"] == 8900
    assert await is_offered(booking, mechanic) == [False]
