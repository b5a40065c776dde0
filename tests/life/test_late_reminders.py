"""Nobody can send a reminder at its moment: back before the start it goes out late, once; after it, not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.forks import Forked, crashing_worker
from tests.support.people import Customer, Json
from tests.support.processes import environment, serving, settings
from tests.support.shop import Shop
from tests.support.time import Clock

SECOND = timedelta(seconds=1)
# An hour, and so near the start that the test can wait for that.
OFFSETS = HOUR, NEAR = 3600 * SECOND, 4 * SECOND


class Night:
    """A booking on a task queue of its own, whose only worker comes and goes."""

    def __init__(self, stack: Stack, customer: Customer, clock: Clock, database: Any) -> None:
        self._changes = {
            "task_queue": f"late-{uuid4()}",
            "workflow_task_seconds": 2,
            "reminder_offsets_seconds": str([each.seconds for each in OFFSETS]),
        }
        self._stack, self._customer, self._clock, self._database = stack, customer, clock, database

    def worker(self) -> AbstractAsyncContextManager[Forked]:
        return crashing_worker(environment(self._stack, **self._changes))

    @property
    def api(self) -> AbstractAsyncContextManager[str]:
        return serving(
            settings(
                self._stack, **self._changes | {"reminder_offsets_seconds": tuple(each.seconds for each in OFFSETS)}
            )
        )

    async def booked(self, shop: Shop, start: datetime) -> Json:
        booking = await self._customer.book(shop, start)
        await self._customer.pay(booking)
        return await self._customer.sees(booking, "confirmed", "mail_sent")

    async def fires(self, booking: Json, moment: datetime) -> None:
        """The timer of this moment. As long as no worker has heard of it, the booking's clock goes like ours."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._clock.forward_to(booking, moment), 1)

    async def reminder(self, booking: Json, offset: timedelta) -> Json:
        key = f"{booking['id']}/reminder/{offset.seconds}s"
        row = await self._database.fetchrow("SELECT * FROM notifications WHERE key = $1", key)
        assert row["booking_id"] == UUID(booking["id"])
        return dict(row)

    async def settled(self, booking: Json, offset: timedelta) -> Json:
        for _ in range(200):
            row = await self.reminder(booking, offset)
            if row["status"] in ("sent", "skipped"):
                return row
            await asyncio.sleep(0.1)
        raise AssertionError(row)


@pytest.fixture
async def night(stack: Stack, customer: Customer, clock: Clock, database: Any) -> AsyncIterator[Night]:
    night = Night(stack, customer, clock, database)
    async with night.api as url:
        customer.api_url = url
        yield night


async def test_back_before_the_start_it_is_sent_late_and_back_after_it_not_at_all(
    night: Night, customer: Customer, shop: Shop
) -> None:
    start = shop.start(days=3)
    async with night.worker():
        booking = await night.booked(shop, start)
    await night.fires(booking, start - HOUR)
    assert (await night.reminder(booking, HOUR))["status"] == "pending"
    async with night.worker():
        late = await night.settled(booking, HOUR)
        assert (late["status"], late["attempts"]) == ("sent", 1)
        assert late["due_at"] < late["sent_at"] < start
    await night.fires(booking, start - NEAR)
    assert (await night.reminder(booking, NEAR))["status"] == "pending"
    await asyncio.sleep(NEAR.seconds)
    async with night.worker():
        never = await night.settled(booking, NEAR)
        assert (never["status"], never["attempts"], never["sent_at"]) == ("skipped", 0, None)
    assert [subject.split()[0] for subject in await customer.subjects()] == ["Confirmed", "Reminder"]
