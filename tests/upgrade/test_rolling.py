"""docs/upgrading.md, tried: bookings begun on one version of the workers go on, and end, on another."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from temporalio.client import Client

from deploy import release
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.deployment import UNVERSIONED, Deployment, Version
from pitstop.settings import Settings
from tests.support.histories import taken
from tests.support.next_booking import NEW_STEP, CarelessBooking, NextBooking
from tests.support.people import DECLINED_CARD, Customer, Json
from tests.support.processes import environment, serving, settings, worker
from tests.support.shop import Shop
from tests.support.time import Clock

OLD, NEW = "1-old", "2-new"
_PATIENCE_SECONDS = 40.0


@dataclass
class Fleet:
    """A deployment of the test's own, with its task queue, its API, and the tool that moves it."""

    stack: Stack
    name: str
    settings: Settings
    deployment: Deployment
    said: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def workers(self, build: str, versioning: str, module: str = "worker") -> AsyncIterator[Any]:
        """A worker process of this build, which polls and, if it is to be current at its start, is current."""
        changes = {"task_queue": self.name, "deployment_name": self.name, "build_id": build}
        variables = environment(self.stack, versioning=versioning, workflow_task_seconds=2, **changes)
        async with worker(variables, module) as process:
            known = UNVERSIONED if versioning == "off" else build
            await self.until(known, lambda version: version.workers > 0)
            if versioning == "at_start":
                await self.until(build, lambda version: version.share == 100)
            yield process

    async def version(self, build: str) -> Version | None:
        return next((found for found in await self.deployment.versions() if found.build_id == build), None)

    async def until(self, build: str, there: Any) -> Version:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while not ((found := await self.version(build)) and there(found)):
            assert asyncio.get_running_loop().time() < deadline, f"{build}: {found}"
            await asyncio.sleep(0.7)
        return found

    async def release(self, *arguments: str) -> list[str]:
        """`python -m deploy.release` with these arguments; what it says."""
        said: list[str] = []
        await release.main(arguments, self.settings, said.append)
        return said


@pytest.fixture
async def fleet(stack: Stack, temporal: Client, customer: Customer) -> AsyncIterator[Fleet]:
    name = f"upgrade-{uuid4().hex[:12]}"
    own = settings(stack, task_queue=name, deployment_name=name, versioning="by_hand", workflow_task_seconds=2)
    async with serving(own) as url:
        customer.api_url = url
        yield Fleet(stack, name, own, Deployment(temporal, own))


class Load:
    """Bookings that are made and paid one after another, while something else goes on."""

    def __init__(self, customer: Customer, shop: Shop) -> None:
        self._customer = customer
        self._shop = shop
        self._stop, self._another = asyncio.Event(), asyncio.Event()
        self.made: list[Json] = []

    async def __aenter__(self) -> "Load":
        self._task = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._task

    async def more(self, bookings: int) -> None:
        """Waits until so many more have been made."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            for _ in range(bookings):
                self._another.clear()
                await self._another.wait()

    async def _go_on(self) -> None:
        for day in itertools.count(10):
            if self._stop.is_set():
                return
            booking = await self._customer.book(self._shop, self._shop.start(days=day))
            await self._customer.pay(booking)
            self.made.append(booking)
            self._another.set()


async def _open(customer: Customer, shop: Shop) -> dict[str, Json]:
    """A booking in each stage in which one can wait for weeks or minutes."""
    stages = {}
    for days, stage in enumerate(("unpaid", "abandoned", "declined", "confirmed", "idle"), start=2):
        stages[stage] = await customer.book(shop, shop.start(days=days))
    assert (await customer.pay(stages["declined"], DECLINED_CARD)).status_code == 402
    await customer.sees(stages["declined"], "awaiting_payment", "payment_declined")
    for stage in ("confirmed", "idle"):
        await customer.pay(stages[stage])
        await customer.sees(stages[stage], "confirmed", "mail_sent")
    return stages


async def _finish(customer: Customer, clock: Clock, stages: dict[str, Json]) -> None:
    """Each ends as it would have without an upgrade."""
    for stage in ("unpaid", "declined"):
        await customer.pay(stages[stage])
        await customer.sees(stages[stage], "confirmed", "mail_sent")
    await clock.forward(stages["abandoned"], timedelta(minutes=16))
    await customer.sees(stages["abandoned"], "expired")
    for stage in ("confirmed", "unpaid", "idle"):
        assert (await clock.to_the_end(stages[stage]))["status"] == "completed"


async def _nothing_is_lost_or_doubled(
    database: "asyncpg.Pool[asyncpg.Record]", customer: Customer, bookings: list[Json]
) -> None:
    for booking in bookings:
        await customer.sees(booking, "confirmed", "mail_sent")
    ids = [booking["id"] for booking in bookings]
    for table in ("sessions", "slot_reservations", "payments"):
        rows = await database.fetch(
            f"SELECT count(*) FROM {table} WHERE booking_id = ANY($1) GROUP BY booking_id",  # noqa: S608
            ids,
        )
        assert [row["count"] for row in rows] == [1] * len(ids), table


async def test_rolled_to_a_new_version_under_load(
    fleet: Fleet,
    customer: Customer,
    shop: Shop,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    async with fleet.workers(NEW, "by_hand", "tests.support.next_worker"):
        async with fleet.workers(OLD, "at_start") as old:
            stages = await _open(customer, shop)
            async with Load(customer, shop) as load:
                monkeypatch.setattr(release, "BookingWorkflow", CarelessBooking)
                with pytest.raises(SystemExit, match="do not replay"):  # a control: commands changed without a patch
                    await fleet.release("check")
                monkeypatch.setattr(release, "BookingWorkflow", NextBooking)
                assert "replay on this code" in (await fleet.release("check"))[0]
                await fleet.release("ramp", NEW, "50")
                await load.more(4)
                await fleet.release("current", NEW)
                await load.more(3)
                version = await fleet.until(OLD, lambda version: version.share == 0)
                assert not version.needs_workers
                old.terminate()
                assert await old.wait() == 0
                await load.more(2)
        await _finish(customer, clock, stages)
        await _nothing_is_lost_or_doubled(database, customer, load.made)
        assert f"timer: {NEW_STEP}" in await taken(clock.workflow(load.made[-1]))
        assert f"timer: {NEW_STEP}" not in await taken(clock.workflow(stages["idle"]))
        assert any(NEW in line and "100 %" in line for line in await fleet.release())


async def _has_taken(clock: Clock, booking: dict[str, Any], step: str) -> None:
    """The mail is on its way before the workflow task is complete that has begun the step."""
    for _ in range(100):
        if step in await taken(clock.workflow(booking)):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(step)


async def test_rolled_back(
    fleet: Fleet, customer: Customer, shop: Shop, clock: Clock, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """Bookings that have taken a step which the older code does not know stay with the newer; all others go back."""
    async with fleet.workers(OLD, "at_start"):
        unpaid = await customer.book(shop, shop.start(days=2))
        async with fleet.workers(NEW, "at_start", "tests.support.next_worker"):
            stepped = await customer.book(shop, shop.start(days=3))
            waiting = await customer.book(shop, shop.start(days=4))
            await customer.pay(stepped)
            await customer.sees(stepped, "confirmed", "mail_sent")
            await _has_taken(clock, stepped, f"timer: {NEW_STEP}")
            with pytest.raises(SystemExit, match="1 of 3 open bookings do not replay"):
                await fleet.release("check")
            await fleet.until(NEW, lambda version: version.open_bookings == 2)
            await fleet.release("pin", NEW)
            assert (await fleet.release("back"))[0].startswith(f"{OLD} is current")
            pinned = await fleet.until(NEW, lambda version: version.pinned == 2)
            assert pinned.needs_workers
            async with Load(customer, shop) as load:
                await load.more(2)
            for booking in (unpaid, waiting):
                await customer.pay(booking)
                await customer.sees(booking, "confirmed", "mail_sent")
            for booking in (stepped, waiting):
                assert (await clock.to_the_end(booking))["status"] == "completed"
            assert not (await fleet.until(NEW, lambda version: version.open_bookings == 0)).needs_workers
        assert (await clock.to_the_end(unpaid))["status"] == "completed"
        await _nothing_is_lost_or_doubled(database, customer, load.made)


async def test_from_workers_without_versions_and_back(
    fleet: Fleet, customer: Customer, shop: Shop, clock: Clock
) -> None:
    """Release 0.1.0 has no versions; whoever turns them off again has none either."""
    async with fleet.workers("ignored", "off"):
        unpaid, idle = [await customer.book(shop, shop.start(days=days)) for days in (2, 3)]
        await customer.pay(idle)
        await customer.sees(idle, "confirmed", "mail_sent")
    async with fleet.workers(NEW, "at_start"):
        await customer.pay(unpaid)
        for booking in (unpaid, idle):
            await customer.sees(booking, "confirmed", "mail_sent")
            assert (await clock.to_the_end(booking))["status"] == "completed"
        late = await customer.book(shop, shop.start(days=9))
    async with fleet.workers("ignored", "off"):
        await fleet.release("current", UNVERSIONED)
        await customer.pay(late)
        await customer.sees(late, "confirmed", "mail_sent")
        assert (await clock.to_the_end(late))["status"] == "completed"
