"""A worker and an API that end themselves with SIGKILL at one point of their work. The product knows nothing of it.

A point lies before a step begins, after each call to the world outside (a transaction, a call of Stripe, a mail, a
call of the engine), and a moment after the step was reported. So every place where two effects follow each other is
one, and so is every place between an effect and its report.
"""

import asyncio
import inspect
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import uvicorn
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

import worker
from api import composition
from api.app import create_app
from pitstop.contracts import names
from pitstop.gateways import temporal_engine
from pitstop.gateways.temporal_engine import connect
from pitstop.settings import Settings

# How a point of a scenario's own begins: the change that is made there is of another kind in each.
CHANGE = "change "
# By then a result has reached the workflow and the server, and an answer its client.
_REPORTED_SECONDS = 0.1
# None where something is only read, which has no effect that could be lost.
_step: ContextVar[str | None] = ContextVar("step", default=None)

Factory = Callable[..., Any]
Scope = MutableMapping[str, Any]


class Points:
    """The points that this process has passed, each once, in the file `log`; at `fatal` it dies."""

    def __init__(self, fatal: str | None, log: Path) -> None:
        self._fatal = fatal
        self._log = log
        self._passed: set[str] = set()
        self._changes = 0

    def reach(self, point: str) -> None:
        if point not in self._passed:
            self._passed.add(point)
            with self._log.open("a") as log:
                log.write(f"{point}\n")
        if point == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def begin(self, step: str) -> None:
        """Changes of a booking are of many kinds, which their step does not name: they are numbered."""
        self.reach(f"{step}: before it")
        if step == names.APPLY_CHANGE:
            self._changes += 1
            step = f"{CHANGE}{self._changes}"
        _step.set(step)

    def end(self) -> None:
        point = f"{_step.get()}: reported"
        asyncio.get_running_loop().call_later(_REPORTED_SECONDS, self.reach, point)

    def tapping(self, factory: Factory) -> Factory:
        """Makes what the factory makes, with a point after each of its asynchronous calls."""
        return lambda *arguments, **options: _Tapped(factory(*arguments, **options), self)


class _Tapped:
    """An adapter, and a point after each call that has gone well."""

    def __init__(self, target: object, points: Points) -> None:
        self._target = target
        self._points = points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **options: Any) -> Any:
            result = await found(*arguments, **options)
            if (step := _step.get()) is not None:
                self._points.reach(f"{step}: after {type(self._target).__name__}.{name}")
            return result

        return call


# The worker

OF_THE_WORKER = (
    "PostgresSaga",
    "PostgresChanges",
    "PostgresSupplements",
    "PostgresNotices",
    "PostgresInbox",
    "PostgresErasure",
    "PostgresWaitlist",
    "StripePayments",
    "SmtpMailer",
)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, points: Points) -> None:
        super().__init__(following)
        self._points = points

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        kind = getattr(input.args[0], "kind", None)
        self._points.begin(f"{activity.info().activity_type}{f' ({kind})' if kind else ''}")
        result = await super().execute_activity(input)
        self._points.end()
        return result


class _Interceptor(Interceptor):
    def __init__(self, points: Points) -> None:
        self._points = points

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self._points)


def _say_into(file: Path) -> None:
    """Hundreds of processes would say on the console what they are at, and how their deaths went."""
    said = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)


def work(settings: Settings, fatal: str | None, log: Path) -> None:
    """The product's worker, until it is killed. What it says is in `….said` beside the log."""
    _say_into(log.with_suffix(".said"))
    asyncio.run(_work(settings, Points(fatal, log)))


async def _work(settings: Settings, points: Points) -> None:
    for name in OF_THE_WORKER:
        setattr(worker, name, points.tapping(getattr(worker, name)))
    engine = "TemporalEngine"
    setattr(temporal_engine, engine, points.tapping(getattr(temporal_engine, engine)))
    messenger = "twilio_messages"
    setattr(worker, messenger, _tapped_texts(getattr(worker, messenger), points))
    async with worker.at_work(await connect(settings), settings, [_Interceptor(points)]):
        await asyncio.Event().wait()


def _tapped_texts(opened: Factory, points: Points) -> Factory:
    @asynccontextmanager
    async def tapped(settings: Settings) -> AsyncIterator[Any]:
        async with opened(settings) as messages:
            yield _Tapped(messages, points)

    return tapped


# The API

OF_THE_API = (
    "BookingDesk",
    "PostgresInbox",
    "TemporalEngine",
    "Waivers",
    "WaitlistDesk",
    "TextNews",
    "NoticeBoard",
    "Referrals",
)

_WRITING = ("POST", "PUT", "DELETE")
# A path has another booking's or customer's id in each run.
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def serve(settings: Settings, port: int, fatal: str | None, log: Path) -> None:
    """The product's API, until it is killed; the same with what it says."""
    _say_into(log.with_suffix(".said"))
    points = Points(fatal, log)
    for name in OF_THE_API:
        setattr(composition, name, points.tapping(getattr(composition, name)))
    app = _watched(create_app(settings), points)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", lifespan="on")


def _watched(app: App, points: Points) -> App:
    """Each writing request is a step."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _WRITING:
            return await app(scope, receive, send)
        points.begin(f"{scope['method']} {_ID.sub('…', scope['path'])}")
        await app(scope, receive, send)
        points.end()

    return call
