"""How soon a booking goes on when its worker is killed: the victim is always the one that has the booking in hand.

Three moments: while the slot is being held and the customer waits; while the booking waits for its payment, which then
comes; while a step on Stripe is under way. Once with one worker that is started again at once, once with a second one
alive. Each is beside the same without a death.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import uuid4

from pydantic import BaseModel
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from bench.figures import percentile
from chaos.buyer import GOOD_CARD, Buyer
from chaos.faults import Saboteur
from chaos.lab import Case, Lab, NotRight, until
from chaos.plan import Booking, Kind
from chaos.stack import Broken
from chaos.world import Spans, World
from pitstop.devstack.names import ROOT

SPANS = Spans(hold=900, grace=30, reminders=(86400, 3600), sweep=60)
# A call of Stripe that is slow enough to be killed in.
_SLOW_SECONDS = 1.5
_FAR_AHEAD = 3 * 1440


class Moment(StrEnum):
    HOLD = "while the slot is held (a call of Stripe takes 1.5 s)"
    PAYMENT = "before the payment comes"
    STEP = "at a step on Stripe that takes 1.5 s, at its second try"


class Mode(StrEnum):
    NO_DEATH = "no death"
    RESTARTED = "one worker, started again at once"
    SECOND = "a second worker alive"


class Recovery(BaseModel):
    """Seconds until the booking had moved on. The ratio is to the same without a death."""

    moment: str
    mode: str
    tries: int
    p50: float
    p95: float
    ratio_p50: float
    ratio_p95: float


class RecoveryResults(BaseModel):
    settings: dict[str, str]
    figures: list[Recovery]


@dataclass(slots=True)
class Workers:
    """Those that work now, by process id: the stack's own (None) and those started here."""

    stack: Broken
    saboteur: Saboteur
    extra: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)

    async def add(self) -> None:
        """One more, ready when its file is there."""
        ready = self.stack.data / f"worker-{uuid4().hex[:8]}.ready"
        environment = dict(os.environ) | self.stack.now.environment | {"PITSTOP_WORKER_READY_FILE": str(ready)}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker"),
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.extra[process.pid] = process

        async def there() -> bool:
            return ready.exists()

        await until(there, "a second worker")

    async def replace(self, pid: int) -> None:
        """Starts another in place of one that was killed."""
        if (process := self.extra.pop(pid, None)) is not None:
            await process.wait()
            await self.add()
        else:
            await self.saboteur.start("worker")

    async def end(self) -> None:
        for process in self.extra.values():
            process.kill()
            await process.wait()


async def run(stack: Broken, tries: int, say: Callable[[str], None]) -> RecoveryResults:
    now = stack.now
    async with Lab.opened(now) as lab:
        workers = Workers(stack, Saboteur(stack, lab.http))
        taken: dict[tuple[Moment, Mode], list[float]] = {}
        try:
            for mode in Mode:
                if mode is Mode.SECOND:
                    await workers.add()
                for moment in Moment:
                    taken[moment, mode] = [await _once(lab, workers, moment, mode) for _ in range(tries)]
                    say(f"{moment}, {mode}: {', '.join(f'{each:.2f}' for each in taken[moment, mode])} s")
        finally:
            await workers.end()
    wanted = ("WORKFLOW_TASK_SECONDS", "STICKY_SECONDS", "STRIPE_ACTIVITY_SECONDS")
    given = {name: str(getattr(lab.settings(), name.lower())) for name in wanted}
    return RecoveryResults(settings=given, figures=[_figure(taken, moment, mode) for moment in Moment for mode in Mode])


def _figure(taken: dict[tuple[Moment, Mode], list[float]], moment: Moment, mode: Mode) -> Recovery:
    values, calm = taken[moment, mode], taken[moment, Mode.NO_DEATH]
    p50, p95 = percentile(values, 50), percentile(values, 95)
    return Recovery(
        moment=moment,
        mode=mode,
        tries=len(values),
        p50=p50,
        p95=p95,
        ratio_p50=p50 / percentile(calm, 50),
        ratio_p95=p95 / percentile(calm, 95),
    )


async def _once(lab: Lab, workers: Workers, moment: Moment, mode: Mode) -> float:
    async with _offered(lab) as (case, world):
        booking = Booking(number=1, kind=Kind.PAID, at=0, mechanic=0, minute=_FAR_AHEAD)
        customer = Buyer(world, world.story(booking))
        trial = _Trial(case, customer, None if mode is Mode.NO_DEATH else workers)
        seconds = await _MOMENTS[moment](trial)
        await trial.tidy()
        return seconds


@asynccontextmanager
async def _offered(lab: Lab) -> AsyncIterator[tuple[Case, World]]:
    class At:
        now = lab.stack

    async with Case.on(lab) as case:
        yield case, World(At(), lab.http, lab.temporal, case.offer, uuid4().hex[:12], SPANS)


@dataclass(slots=True)
class _Trial:
    case: Case
    customer: Buyer
    workers: Workers | None
    _replacing: asyncio.Task[None] | None = None

    def strike(self, pid: int) -> float:
        """Kills that worker, sets about replacing it, and says when."""
        if self.workers is not None:
            os.kill(pid, signal.SIGKILL)
            self._replacing = asyncio.create_task(self.workers.replace(pid))
        return time.monotonic()

    async def tidy(self) -> None:
        if self._replacing is not None:
            await self._replacing

    def handle(self) -> "WorkflowHandle[object, object]":
        return self.case.workflow(str(self.customer.booking_id))

    async def becomes(self, status: str) -> None:
        sql = f"SELECT status = '{status}' FROM bookings WHERE id = $1"  # noqa: S608 - a word of ours
        await self.case.until(sql, str(self.customer.booking_id), status)


async def _hold(trial: _Trial) -> float:
    await trial.case.order("faults", {"match": "create", "kind": "delay", "seconds": _SLOW_SECONDS})
    opening = asyncio.create_task(trial.customer.opens())
    victim = await _found(lambda: _worker_of_the_run(trial.handle()))
    await asyncio.sleep(0.5)
    struck = trial.strike(victim)
    await opening
    return time.monotonic() - struck


async def _payment(trial: _Trial) -> float:
    await trial.customer.opens()
    struck = trial.strike(await _found(lambda: _worker_of_the_run(trial.handle())))
    await trial.customer.pays_with(GOOD_CARD)
    await trial.becomes("confirmed")
    return time.monotonic() - struck


async def _step(trial: _Trial) -> float:
    await trial.customer.opens()
    await trial.case.order("faults", {"match": "cancel", "kind": "error_500"})
    await trial.case.order("faults", {"match": "cancel", "kind": "delay", "seconds": _SLOW_SECONDS})
    await trial.handle().cancel()
    victim = await _found(lambda: _worker_of_the_activity(trial.handle()))
    await asyncio.sleep(0.5)
    struck = trial.strike(victim)
    await trial.becomes("cancelled")
    return time.monotonic() - struck


_MOMENTS: dict[Moment, Callable[[_Trial], Awaitable[float]]] = {
    Moment.HOLD: _hold,
    Moment.PAYMENT: _payment,
    Moment.STEP: _step,
}


async def _found(look: Callable[[], Awaitable[int | None]], seconds: float = 60) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (pid := await look()) is not None:
            return pid
        await asyncio.sleep(0.02)
    raise NotRight("no worker has the booking in hand")


async def _worker_of_the_run(handle: "WorkflowHandle[object, object]") -> int | None:
    """The process that has, or had, the run's last workflow task."""
    try:
        events = (await handle.fetch_history()).events
    except RPCError:
        return None
    started = [each for each in events if each.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED]
    return _pid(started[-1].workflow_task_started_event_attributes.identity) if started else None


async def _worker_of_the_activity(handle: "WorkflowHandle[object, object]") -> int | None:
    pending = (await handle.describe()).raw_description.pending_activities
    return _pid(pending[0].last_worker_identity) if pending and pending[0].last_worker_identity else None


def _pid(identity: str) -> int:
    """The engine's clients are called `<process id>@<host>`."""
    return int(identity.partition("@")[0])
