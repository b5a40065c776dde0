"""One booking under test: a worker and an API of its own on a running stack, one of which is to die at a point.

Whoever dies is started again, as an installation's supervisor does it; the customer knows nothing of all that.
"""

import asyncio
import multiprocessing
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from bench import seed
from bench.seed import Offer
from chaos import crash_points, shops
from chaos.plan import Trade
from chaos.shops import Shop
from chaos.world import without_grace
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.temporal_engine import connect
from pitstop.settings import Settings

PATIENCE_SECONDS = 90.0
_POLL_SECONDS = 0.05

# A child is forked from a process that has everything at hand already: ready in a fifth of a second, not in four.
_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(["chaos.nursery"])


class Side(StrEnum):
    WORKER = "worker"
    API = "api"


class NotRight(Exception):
    """What had to come about has not, in time."""


def settings_of(stack: Stack, **changes: object) -> Settings:
    given = {name.removeprefix("PITSTOP_").lower(): value for name, value in stack.environment.items()}
    return Settings.model_validate(given | changes)


@dataclass(slots=True)
class Lab:
    """What all cases share."""

    stack: Stack
    http: httpx.AsyncClient
    database: "asyncpg.Pool[asyncpg.Record]"
    temporal: Client
    skipper: TimeSkipper
    folder: Path

    @classmethod
    @asynccontextmanager
    async def opened(cls, stack: Stack) -> AsyncIterator["Lab"]:
        temporal = await connect(settings_of(stack))
        with tempfile.TemporaryDirectory(prefix="pitstop-points-") as folder:
            async with (
                httpx.AsyncClient(trust_env=False, timeout=30) as http,
                asyncpg.create_pool(stack.database_url, min_size=0, max_size=5) as database,
            ):
                skipper = TimeSkipper(temporal, config=TimeSkippingConfig(enabled=False))
                yield cls(stack, http, database, temporal, skipper, Path(folder))

    def settings(self, **changes: object) -> Settings:
        # On a task queue of its own: the stack's deployment has nothing to do with it.
        return settings_of(self.stack, versioning="off", **changes)


@dataclass(slots=True)
class Pair:
    """A worker and an API of their own, on a task queue of their own; one case after another is tried on them."""

    lab: Lab
    settings: Settings
    port: int
    folder: Path
    died: bool = False
    _doomed: Side = Side.WORKER
    _logs: list[Path] = field(default_factory=list)
    _running: dict[Side, BaseProcess] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arm(self, side: Side, fatal: str | None) -> None:
        """From now on this side dies at `fatal`, once."""
        self._doomed, self.died = side, False
        self._logs.clear()
        if (child := self._running.pop(side, None)) is not None:
            child.kill()
            child.join()
        self._start(side, fatal)

    def points(self) -> list[str]:
        """Those that the doomed side has passed, in order."""
        passed = [log.read_text().splitlines() for log in self._logs if log.exists()]
        return list(dict.fromkeys(point for each in passed for point in each))

    async def is_up(self) -> None:
        """Returns when the API answers."""

        async def answers() -> bool:
            return (await self.lab.http.get(f"{self.url}/health/live")).status_code == httpx.codes.OK

        await until(answers, "an API that answers")

    async def watch(self) -> None:
        """Starts whoever has died again, for ever."""
        while True:
            for side in Side:
                child = self._running.get(side)
                if child is not None and child.exitcode is not None:
                    self.died = self.died or side is self._doomed
                    self._start(side, None)
            await asyncio.sleep(_POLL_SECONDS)

    def _start(self, side: Side, fatal: str | None) -> None:
        """Each process has a log of its own; those of the doomed side are read."""
        log = self.folder / uuid4().hex
        if side is self._doomed:
            self._logs.append(log)
        if side is Side.WORKER:
            child = _fork.Process(target=crash_points.work, args=(self.settings, fatal, log), daemon=True)
        else:
            child = _fork.Process(target=crash_points.serve, args=(self.settings, self.port, fatal, log), daemon=True)
        child.start()
        self._running[side] = child

    def end(self) -> None:
        for child in self._running.values():
            child.kill()
            child.join()

    @classmethod
    @asynccontextmanager
    async def running(cls, lab: Lab, **changes: object) -> AsyncIterator["Pair"]:
        port = _free_port()
        # By this address Twilio tells it how messages fare.
        own = {"task_queue": f"points-{uuid4().hex[:12]}", "public_url": f"http://127.0.0.1:{port}"}
        pair = cls(lab, lab.settings(**own, **changes), port, lab.folder)
        watching: asyncio.Task[None] | None = None
        try:
            for side in Side:
                pair._start(side, None)
            watching = asyncio.create_task(pair.watch())
            yield pair
        finally:
            if watching:
                watching.cancel()
            pair.end()


@dataclass(slots=True)
class Case:
    """A customer of one slot, with an offer of their own."""

    lab: Lab
    offer: Offer
    # What else is booked in this case, beside that.
    others: dict[Trade, Offer] = field(default_factory=dict)

    def workflow(self, booking: str) -> WorkflowHandle[Any, Any]:
        return self.lab.temporal.get_workflow_handle(f"booking/{booking}")

    async def to_the_end(self, booking: str) -> None:
        """The booking's workflow lives through all that is left of it at once."""
        try:
            await self.lab.skipper.fast_forward(self.workflow(booking), None)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def to_the_start(self, booking: str) -> None:
        """The booking's workflow lives until its session begins."""
        start = await self.lab.database.fetchval("SELECT starts_at FROM bookings WHERE id = $1", booking)
        workflow = self.workflow(booking)
        now = await self.lab.skipper.get_current_time(workflow)
        await self.onward(booking, max(start - now, timedelta(0)))

    async def onward(self, booking: str, span: timedelta) -> None:
        """The booking's workflow lives through so much of its time."""
        await self.lab.skipper.fast_forward(self.workflow(booking), span)

    async def cancel(self, booking: str) -> None:
        await self.workflow(booking).cancel(rpc_timeout=timedelta(seconds=10))

    async def until(self, sql: str, booking: str, what: str) -> None:
        """Waits until the query about the booking says yes."""

        async def there() -> bool:
            return bool(await self.lab.database.fetchval(sql, booking))

        await until(there, f"{what} of {booking}")

    async def order(self, kind: str, rule: dict[str, Any]) -> str:
        """A rule of the Stripe server for this case's payments only."""
        metadata = {"mechanic_id": str(self.offer.mechanics[0])}
        url = f"{self.lab.stack.stripe_api_url}/_control/{kind}"
        answer = await self.lab.http.post(url, json=rule | {"metadata": metadata})
        return f"{url}/{answer.raise_for_status().json()['id']}"

    async def remove(self, rule: str) -> None:
        await self.lab.http.delete(rule)

    @classmethod
    @asynccontextmanager
    async def on(cls, lab: Lab, shop: Shop = shops.one_mechanic, *, visits: bool = False) -> AsyncIterator["Case"]:
        """On the stack's own worker and API."""
        async with seed.superuser(lab.stack.database_url) as connection:
            offer = await shop(connection, f"chaos-{uuid4().hex[:12]}")
            await without_grace(connection, offer.service_id)
            others = {Trade.VISIT: await shops.workshop(connection, f"chaos-{uuid4().hex[:12]}")} if visits else {}
        yield cls(lab, offer, others)

    @classmethod
    @asynccontextmanager
    async def opened(cls, pair: Pair, shop: Shop, *, visits: bool) -> AsyncIterator["Case"]:
        """On this pair, which also gets its webhooks."""
        secret = pair.lab.stack.stripe_webhook_secret
        async with cls.on(pair.lab, shop, visits=visits) as case:
            endpoint = await case.order("endpoints", {"url": f"{pair.url}/webhooks/stripe", "secret": secret})
            try:
                yield case
            finally:
                await case.remove(endpoint)


async def until(there: Callable[[], Awaitable[bool]], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            if await there():
                return
        await asyncio.sleep(_POLL_SECONDS)
    raise NotRight(f"waited {seconds:.0f} s in vain: {what}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
