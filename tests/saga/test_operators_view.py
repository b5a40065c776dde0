"""What an operator sees in the Temporal UI: queries, summaries, details; and no personal data."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client

import worker
from pitstop.devstack.stackfile import Stack
from tests.support.opened import opened, plain_text
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.time import Clock

# A booking from hold to completed. Each workflow task is throughput: raise these only for something worth it.
WORKFLOW_TASKS = 5
HISTORY_EVENTS = 39


async def _found(temporal: Client, query: str) -> list[str]:
    """The workflow ids that a query finds; visibility follows a moment after."""
    for _ in range(50):
        found = [run.id async for run in temporal.list_workflows(query)]
        if found:
            return found
        await asyncio.sleep(0.1)
    return []


async def test_bookings_can_be_queried(customer: Customer, shop: Shop, temporal: Client) -> None:
    start = shop.start()
    booking = await customer.book(shop, start)
    workflow = f"booking/{booking['id']}"
    by_mechanic = f"MechanicId = '{shop.mechanic_id}'"
    assert await _found(temporal, f"{by_mechanic} AND BookingStatus = 'awaiting_payment'") == [workflow]
    assert await _found(temporal, f"CustomerId = '{customer.id}'") == [workflow]
    day = f"ScheduledFor >= '{start.isoformat()}' AND ScheduledFor < '{(start + timedelta(hours=1)).isoformat()}'"
    assert await _found(temporal, f"{by_mechanic} AND {day}") == [workflow]
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    assert await _found(temporal, f"{by_mechanic} AND BookingStatus = 'confirmed'") == [workflow]


async def test_a_run_explains_itself(customer: Customer, shop: Shop, temporal: Client, clock: Clock) -> None:
    booking = await customer.book(shop, shop.start())
    handle = clock.workflow(booking)
    described = await handle.describe()
    assert await described.static_summary() == f"Brake check with Zoé Bélanger, {shop.start():%Y-%m-%d %H:%M} UTC"
    assert await described.memo_value("booking_id") == booking["id"]
    metadata = await handle.query("__temporal_workflow_metadata")
    assert "The customer may pay until" in metadata.current_details


@pytest.fixture
async def unhurried(stack: Stack, customer: Customer, temporal: Client) -> AsyncIterator[None]:
    """API and worker of the test's own, with so much time that a busy machine causes no task that is not the code's."""
    own = settings(stack, task_queue=f"budget-{uuid4()}", workflow_task_seconds=60, sticky_seconds=60)
    async with worker.at_work(temporal, own), serving(own) as url:
        customer.api_url = url
        yield


@pytest.mark.usefixtures("unhurried")
async def test_a_booking_keeps_to_its_budget_and_to_itself(
    customer: Customer, shop: Shop, temporal: Client, clock: Clock
) -> None:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await clock.to_the_end(booking)
    history = await clock.workflow(booking).fetch_history()
    kinds = [event.WhichOneof("attributes") for event in history.events]
    skips = [kind for kind in kinds if kind and "time_skipping" in kind]
    assert kinds.count("workflow_task_completed_event_attributes") <= WORKFLOW_TASKS
    assert len(kinds) - len(skips) <= HISTORY_EVENTS, kinds
    sealed, readable = history.to_json(), opened(history, temporal.data_converter).to_json()
    for secret in (customer.email, "Camille", booking["payment"]["client_secret"], "2019 Civic"):
        assert secret not in plain_text(readable)
        assert secret not in plain_text(sealed)
    # Sealed, a history says by itself no more than the id that names the workflow.
    assert booking["payment"]["payment_intent_id"] in plain_text(readable)
    assert booking["payment"]["payment_intent_id"] not in plain_text(sealed)
