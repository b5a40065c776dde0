"""A request whose earlier try was taken back meets the run of that try, which is still on its way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

import worker
from api.opening import _asked
from api.schemas import BookingIn
from pitstop.contracts import names
from pitstop.devstack.stackfile import Stack
from pitstop.domain.booking import BookingStatus
from pitstop.domain.identity import booking_id, fingerprint
from pitstop.domain.saga import Standing
from pitstop.gateways.temporal_engine import TemporalEngine
from pitstop.settings import Settings
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop


class _HeldUp(Interceptor):
    """The step that takes a request back waits to be let go."""

    def __init__(self) -> None:
        self.reached, self.let_go = asyncio.Event(), asyncio.Event()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        held_up = self

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                if activity.info().activity_type == names.WITHDRAW_BOOKING:
                    held_up.reached.set()
                    await held_up.let_go.wait()
                return await super().execute_activity(input)

        return Inbound(next)


@pytest.fixture
async def place(stack: Stack, temporal: Client, customer: Customer) -> AsyncIterator[tuple[Settings, _HeldUp]]:
    changed, held_up = settings(stack, task_queue=f"earlier-{uuid4()}", database_activity_seconds=60), _HeldUp()
    async with worker.at_work(temporal, changed, [held_up]), serving(changed) as url:
        customer.api_url = url
        yield changed, held_up


async def test_the_next_try_is_told_to_come_again_and_not_that_the_slot_is_taken(
    place: tuple[Settings, _HeldUp],
    customer: Customer,
    shop: Shop,
    temporal: Client,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    changed, held_up = place
    body = customer.request(shop, shop.start())
    standing = Standing(
        booking_id=booking_id(f"customer:{customer.id}", "one key"),
        fingerprint=fingerprint(_asked(BookingIn.model_validate(body))).hex(),
        mechanic_id=shop.mechanic_id,
        customer_id=customer.id,
        start=shop.start(),
        status=BookingStatus.HOLDING,
    )
    # The run of a try whose request is not there any more.
    assert await TemporalEngine(temporal, changed).revive(standing, None)
    await held_up.reached.wait()
    next_try = asyncio.create_task(customer.post(body, "one key"))
    while not await database.fetchval("SELECT count(*) FROM bookings WHERE id = $1", standing.booking_id):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    held_up.let_go.set()
    answer = await next_try
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
    assert answer.headers["Retry-After"]
    assert not await database.fetchval("SELECT count(*) FROM bookings WHERE id = $1", standing.booking_id)
    assert (await customer.post(body, "one key")).status_code == 201
