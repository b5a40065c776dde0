"""Carries a plan's faults out: kills, pauses, and orders to the servers of Stripe, mail and Twilio to misbehave."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

import httpx
import psutil

from chaos.plan import Fault, FaultKind
from chaos.stack import Broken
from pitstop.devstack import control

# What is needed by others comes back first: a worker does not start without Temporal.
_ORDER = ("postgres", "temporal", "stripe", "mail", "twilio", "worker", "api")
_PAUSES = (FaultKind.PAUSE, FaultKind.PAUSE_TOGETHER)
_PROCESSES = (FaultKind.KILL, FaultKind.KILL_TOGETHER, *_PAUSES)
_TRIES = 5
_RETRY_SECONDS = 0.5
_BREATH_SECONDS = 2.0
_BREATH_LIMIT_SECONDS = 30.0
# So much later than the last one was planned no part is killed any more: the run is bounded in time.
_LATEST_SECONDS = 5.0


class HarnessFailed(Exception):
    """The chaos itself could not do what it had planned: the run says nothing."""


class Saboteur:
    """Strikes as planned; counts what it did. Afterwards everything runs again, and no fault is left in force."""

    def __init__(self, stack: Broken, http: httpx.AsyncClient, *, bounded: bool = False) -> None:
        """`bounded`: faults of processes are left out once their time is over."""
        self._stack = stack
        self._http = http
        self._bounded = bounded
        self.injected: Counter[str] = Counter()
        self.left_out = 0

    async def carry_out(self, faults: Iterable[Fault], began: float) -> None:
        """`began` is the run's start on the monotonic clock. Faults of processes follow one another.

        In a bounded run those are left out whose time is over because the parts took long to come back.
        """
        faults = list(faults)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._in_turn([fault for fault in faults if fault.kind in _PROCESSES], began))
                for fault in faults:
                    if fault.kind not in _PROCESSES:
                        group.create_task(self._order(fault, began))
        except* HarnessFailed as failures:
            raise failures.exceptions[0] from None
        await self.make_peace()

    async def make_peace(self) -> None:
        """No rule of the servers of Stripe, mail and Twilio is left in force."""
        now = self._stack.now
        rules = (f"{now.stripe_api_url}/_control/{kind}" for kind in ("faults", "webhooks"))
        for url in (*rules, f"{now.mail_url}/api/faults", f"{now.twilio_api_url}/_control/rules"):
            await self._insist("DELETE", url)

    async def kill(self, *names: str) -> None:
        """`kill -9`, all of them before one is started again."""
        pids = self._stack.now.pids
        for process in [process for name in names for process in _family(pids[name])]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    async def start(self, *names: str) -> None:
        for name in sorted(names, key=_ORDER.index):
            for attempt in range(1, _TRIES + 1):
                answer = await asyncio.to_thread(control.ask, self._stack.data, control.Request(restart=name))
                if not answer.error:
                    break
                if attempt == _TRIES:
                    raise HarnessFailed(f"{name} does not start again: {answer.error}")

    async def _in_turn(self, faults: list[Fault], began: float) -> None:
        for fault in faults:
            await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
            if self._bounded and time.monotonic() > faults[-1].at + began + _LATEST_SECONDS:
                self.left_out += 1
                continue
            self.injected[_label(fault)] += 1
            if fault.kind in _PAUSES:
                await self._pause(fault.targets, fault.seconds)
            else:
                await self.kill(*fault.targets)
                await asyncio.sleep(fault.seconds)
                await self.start(*fault.targets)
            await self._breathe()

    async def _breathe(self) -> None:
        """Everything is up again for a moment: without it a slow machine would see one long outage."""
        until = time.monotonic() + _BREATH_LIMIT_SECONDS
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                if (await self._http.get(f"{self._stack.now.api_url}/health/ready", timeout=5)).is_success:
                    break
            await asyncio.sleep(_RETRY_SECONDS)
        await asyncio.sleep(_BREATH_SECONDS)

    async def _pause(self, names: Iterable[str], seconds: float) -> None:
        pids = self._stack.now.pids
        family = [process for name in names for process in _family(pids[name])]
        _signal(family, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            _signal(family, signal.SIGCONT)

    async def _order(self, fault: Fault, began: float) -> None:
        await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
        now = self._stack.now
        url, rule = {
            FaultKind.STRIPE: (
                f"{now.stripe_api_url}/_control/faults",
                {"kind": fault.what, "times": fault.times, "seconds": fault.seconds},
            ),
            FaultKind.WEBHOOKS: (
                f"{now.stripe_api_url}/_control/webhooks",
                {"mode": fault.what, "times": fault.times, "seconds": fault.seconds},
            ),
            FaultKind.MAIL: (f"{now.mail_url}/api/faults", {"kind": fault.what, "times": fault.times}),
            FaultKind.TEXTS: (
                f"{now.twilio_api_url}/_control/faults",
                {"kind": fault.what, "times": fault.times, "seconds": fault.seconds},
            ),
            FaultKind.TEXT_NEWS: (
                f"{now.twilio_api_url}/_control/callbacks",
                {"mode": fault.what, "times": fault.times, "seconds": fault.seconds},
            ),
        }[fault.kind]
        await self._insist("POST", url, rule)
        self.injected[_label(fault)] += fault.times

    async def _insist(self, method: str, url: str, body: dict[str, object] | None = None) -> None:
        """The server that is to misbehave may itself be down just now."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                answer = await self._http.request(method, url, json=body)
                answer.raise_for_status()
                return
            await asyncio.sleep(_RETRY_SECONDS)
        raise HarnessFailed(f"{method} {url} does not get through")


def _label(fault: Fault) -> str:
    names = {
        FaultKind.KILL: "kill -9",
        FaultKind.KILL_TOGETHER: "kill -9 of",
        FaultKind.PAUSE: "SIGSTOP",
        FaultKind.PAUSE_TOGETHER: "SIGSTOP of",
    }
    return f"{names.get(fault.kind, fault.kind)} {fault.what}"


def _family(pid: int) -> list[psutil.Process]:
    """The process and all of its children: PostgreSQL is many."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal(family: list[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
