"""Overload: what runs at once is bounded, what waits is bounded in number and time, and the rest is told to come back.

Each kind of request has a lane of its own, so that a flood of one does not starve the others. A request that is shed
has touched nothing: it is answered before its body is looked into, before database or engine hear of it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, answer
from pitstop.settings import Settings

# Who is turned away together does not come back together.
_RETRY_AFTER_SECONDS = cycle(("1", "2", "3"))
_READING = ("GET", "HEAD", "OPTIONS")


class ClientGone(Exception):
    """Whoever asked has hung up: nobody waits for an answer."""


def overloaded(detail: str = "More is being asked at the moment than can be done.") -> Problem:
    detail = f"{detail} Try again soon, with the same Idempotency-Key: nothing was done."
    return Problem(503, "overloaded", "Try again soon", detail, headers={"Retry-After": next(_RETRY_AFTER_SECONDS)})


def _too_slow() -> Problem:
    detail = "The body did not come in time. Send it at once."
    return Problem(408, "request_timeout", "The body did not come", detail, headers={"Connection": "close"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """`patience` is how many seconds a request waits for its turn."""

    at_once: int
    waiting: int
    patience: float


class Lane:
    """A place to work for so many at once; further ones wait in the order of their coming, so many and so long."""

    def __init__(self, name: str, bounds: Bounds) -> None:
        self.name = name
        self.running = 0
        self.waiting = 0
        self.shed: Counter[str] = Counter()
        self._bounds = bounds
        self._places = asyncio.Semaphore(bounds.at_once)

    @property
    def is_full(self) -> bool:
        return self._places.locked() and self.waiting >= self._bounds.waiting

    def refuse(self, reason: str) -> Problem:
        self.shed[reason] += 1
        return overloaded()

    async def enter(self, receive: Receive) -> None:
        """Waits for a place. Raises the problem `overloaded`, or `ClientGone`, without one."""
        if self.is_full:
            raise self.refuse("full")
        if self._places.locked():
            await self._wait(receive)
        else:
            await self._places.acquire()
        self.running += 1

    def leave(self) -> None:
        self.running -= 1
        self._places.release()

    async def _wait(self, receive: Receive) -> None:
        """A client that hangs up meanwhile gives up its turn."""
        turn = asyncio.create_task(self._places.acquire())
        hung_up = asyncio.create_task(_disconnected(receive))
        try:
            with self._counted():
                await asyncio.wait((turn, hung_up), timeout=self._bounds.patience, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._give_back(turn)
            raise
        finally:
            hung_up.cancel()
        if turn.done() and not hung_up.done():
            return
        self._give_back(turn)
        if hung_up.done():
            self.shed["gone"] += 1
            raise ClientGone
        raise self.refuse("patience")

    def _give_back(self, turn: "asyncio.Task[Literal[True]]") -> None:
        """Takes back a request for a place, and the place itself if it has just been given."""
        if not turn.cancel() and not turn.cancelled() and turn.exception() is None:
            self._places.release()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


class Lanes:
    """One for each kind of work. Stripe's webhooks wait longest and are never turned away for the sake of others."""

    def __init__(self, settings: Settings) -> None:
        self.bookings, self.reads, self.webhooks = (
            Lane(
                name,
                Bounds(
                    getattr(settings, f"{name}_at_once"),
                    getattr(settings, f"{name}_waiting"),
                    getattr(settings, f"{name}_patience_seconds"),
                ),
            )
            for name in ("bookings", "reads", "webhooks")
        )

    def __iter__(self) -> Iterator[Lane]:
        return iter((self.bookings, self.reads, self.webhooks))

    def of(self, method: str, path: str) -> Lane | None:
        """None: whoever looks after the API is always let in; event streams are counted where they are opened."""
        if path.startswith(("/health/", "/metrics")) or (path.startswith("/v1/bookings/") and path.endswith("/events")):
            return None
        if path.startswith("/webhooks/"):
            return self.webhooks
        return self.bookings if path.startswith("/v1/bookings") and method not in _READING else self.reads


class Shedding:
    """ASGI middleware. A place is held until the answer begins, not until a slow client has read it."""

    def __init__(self, app: ASGIApp, lanes: Lanes, body_seconds: float) -> None:
        self._app = app
        self._lanes = lanes
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lane = self._lanes.of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if lane is None:
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(lane, receive)
            await lane.enter(receive)
        except ClientGone:
            return
        except Problem as refusal:
            await answer(refusal)(scope, receive, send)
            return
        await self._work(lane, scope, _repeated(body, receive), send)

    async def _body(self, lane: Lane, receive: Receive) -> bytes:
        """Read before a place is taken: who sends slowly keeps nobody else waiting."""
        if lane.is_full:
            raise lane.refuse("full")
        try:
            async with asyncio.timeout(self._body_seconds):
                return await _read(receive)
        except TimeoutError:
            raise _too_slow() from None

    async def _work(self, lane: Lane, scope: Scope, receive: Receive, send: Send) -> None:
        working = True

        async def leave_and_send(message: Message) -> None:
            nonlocal working
            if working and message["type"] == "http.response.start":
                working = False
                lane.leave()
            await send(message)

        try:
            await self._app(scope, receive, leave_and_send)
        finally:
            if working:
                lane.leave()


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _repeated(body: bytes, receive: Receive) -> Receive:
    """Gives the body that has been read, then what comes after it."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
