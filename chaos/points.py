"""Every crash point: each scenario is run once to learn its points, then once for each, with a death there.

A death is followed by a restart, the customer tries again with the same key, and the booking has to end as it would
have without.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID, uuid4

from pydantic import BaseModel

from bench.seed import Offer
from chaos import evidence
from chaos.checks import violations
from chaos.crash_points import CHANGE
from chaos.lab import Case, Lab, NotRight, Pair, Side, until
from chaos.scenarios import SCENARIOS, Scenario, Trial
from chaos.story import Story
from chaos.violation import Violation
from chaos.world import CALLER, Spans, World
from pitstop.devstack.stackfile import Stack

# The engine gives a dead worker's task away after so long. Short, because a death is waited for at every point.
_TASK_SECONDS = 2.0
_SWEEP_SECONDS = 200.0
_MOMENT_SECONDS = 0.3
_LAST_POINT_SECONDS = 10.0
# So many cases are played before one says so.
_A_WHILE = 25
_ABREAST = 4 * (os.cpu_count() or 2)


class Death(BaseModel):
    """One point of one scenario. `died`: the point was reached; what went wrong, if anything did."""

    scenario: str
    side: str
    point: str
    died: bool
    wrong: str | None = None

    @property
    def is_missed(self) -> bool:
        """All went well, because nobody came by there."""
        return not self.died and self.wrong is None


class PointResults(BaseModel):
    deaths: list[Death]
    violations: list[Violation]

    @property
    def clean(self) -> bool:
        return not self.violations and all(death.died and death.wrong is None for death in self.deaths)


@dataclass(slots=True)
class Attempt:
    death: Death
    points: list[str]
    stories: list[Story]
    offers: list[Offer]


async def run(stack: Stack, say: Callable[[str], None], *, short: bool = False) -> PointResults:
    """Learns the points of the scenarios, then dies at each. `short`: each scenario dies once, where it says."""
    async with Lab.opened(stack) as lab, AsyncExitStack() as exits:
        pairs = _Pairs(lab, exits)
        done = itertools.count(1)

        async def one(scenario: Scenario, fatal: str | None) -> Attempt:
            async with pairs.one(scenario.spans) as pair:
                attempt = await _attempt(pair, scenario, fatal)
            if (number := next(done)) % _A_WHILE == 0:
                say(f"  {number} played")
            return attempt

        planned: list[tuple[Scenario, str | None]]
        if short:
            planned = [(scenario, scenario.dies) for scenario in SCENARIOS if scenario.dies]
        else:
            planned = _points(await _all(one, [(scenario, None) for scenario in SCENARIOS]))
        say(f"{len(planned)} points of {len(SCENARIOS)} scenarios to die at, {_ABREAST} at a time")
        attempts = await _all(one, planned)
        # Whoever else works here may have taken the step, such as the stack's own sweep: then once more.
        missed = [each for each, attempt in zip(planned, attempts, strict=True) if attempt.death.is_missed]
        deaths = [attempt.death for attempt in attempts if not attempt.death.is_missed]
        again = await _all(one, missed)
        attempts, deaths = attempts + again, deaths + [attempt.death for attempt in again]
        offers = [offer for attempt in attempts for offer in attempt.offers]
        await _swept(lab, [offer.service_id for offer in offers])
        found = await evidence.gather(stack, lab.http, lab.temporal)
    mine = found.of({offer.service_id for offer in offers}, {id for offer in offers for id in offer.mechanics})
    stories = [story for attempt in attempts for story in attempt.stories]
    return PointResults(deaths=deaths, violations=violations(mine, stories, CALLER))


async def _all(
    play: Callable[[Scenario, str | None], Coroutine[None, None, Attempt]],
    wanted: Sequence[tuple[Scenario, str | None]],
) -> list[Attempt]:
    """In their order; those that are to be played alone after the others, one after another."""
    turn = asyncio.Lock()
    together = [asyncio.create_task(play(*each)) for each in wanted if not each[0].alone]

    async def attempt(scenario: Scenario, fatal: str | None) -> Attempt:
        if together:
            await asyncio.wait(together)
        async with turn:
            return await play(scenario, fatal)

    others = iter(together)
    return list(await asyncio.gather(*(attempt(*each) if each[0].alone else next(others) for each in wanted)))


def _points(learned: Sequence[Attempt]) -> list[tuple[Scenario, str | None]]:
    """Each point once, in the first scenario that has it; those of changes, and the one that it names, in each."""
    planned: dict[tuple[Side, str, str], Scenario] = {}
    for scenario, lesson in zip(SCENARIOS, learned, strict=True):
        if lesson.death.wrong:
            raise NotRight(f"{scenario.name} does not even go well alone: {lesson.death.wrong}")
        for point in lesson.points:
            own = scenario.name if point.startswith(CHANGE) or point == scenario.dies else ""
            planned.setdefault((scenario.side, point, own), scenario)
    return [(scenario, point) for (_, point, _), scenario in planned.items()]


async def _swept(lab: Lab, services: list[UUID]) -> None:
    """An event that could not be applied when it came is the sweep's, which the stack's own worker runs each minute."""
    sql = """
        SELECT NOT EXISTS (
            SELECT FROM webhook_inbox JOIN bookings ON bookings.id = webhook_inbox.booking_id
            WHERE applied_at IS NULL AND service_id = ANY($1)
        )
    """

    async def applied() -> bool:
        return bool(await lab.database.fetchval(sql, services))

    await until(applied, "the sweep", _SWEEP_SECONDS)


class _Pairs:
    """Pairs by the spans that their API gives to bookings; so many are in use at once, each by one case."""

    def __init__(self, lab: Lab, exits: AsyncExitStack) -> None:
        self._lab = lab
        self._exits = exits
        self._gate = asyncio.Semaphore(_ABREAST)
        self._idle: dict[Spans, list[Pair]] = {}

    @asynccontextmanager
    async def one(self, spans: Spans) -> AsyncIterator[Pair]:
        async with self._gate:
            idle = self._idle.setdefault(spans, [])
            pair = idle.pop() if idle else await self._exits.enter_async_context(self._new(spans))
            try:
                yield pair
            finally:
                idle.append(pair)

    def _new(self, spans: Spans) -> AbstractAsyncContextManager[Pair]:
        return Pair.running(
            self._lab,
            workflow_task_seconds=_TASK_SECONDS,
            hold_seconds=spans.hold,
            hold_grace_seconds=spans.grace,
            reminder_offsets_seconds=spans.reminders,
            closing_seconds=spans.closing,
            immediate_preferred_seconds=spans.wave,
            immediate_wave_seconds=spans.wave,
            immediate_seconds=spans.search,
            waitlist_offer_seconds=spans.offer,
            sms_quiet_from="00:00",
            sms_quiet_until="00:00",
        )


async def _attempt(pair: Pair, scenario: Scenario, fatal: str | None) -> Attempt:
    death = Death(scenario=scenario.name, side=scenario.side, point=fatal or "", died=False)
    lab = pair.lab
    pair.arm(scenario.side, fatal)
    await pair.is_up()
    async with Case.opened(pair, scenario.shop, visits=scenario.visits) as case:
        at, name = _At(lab.stack, pair.url), uuid4().hex[:12]
        world = World(at, lab.http, lab.temporal, case.offer, name, scenario.spans, case.others)
        try:
            await scenario.play(Trial(world, case))
        except NotRight as failure:
            death.wrong = str(failure)
        await _last_points(pair, fatal)
        death.died = pair.died
        return Attempt(death, pair.points(), world.stories, [case.offer, *case.others.values()])


async def _last_points(pair: Pair, fatal: str | None) -> None:
    """They lie a moment after the last report; on a busy machine it may be a long one."""

    async def died() -> bool:
        return pair.died

    with suppress(NotRight):
        await until(died, "the death", _LAST_POINT_SECONDS if fatal else _MOMENT_SECONDS)


@dataclass(frozen=True, slots=True)
class _At:
    """The stack, but for another address of the API."""

    stack: Stack
    api_url: str

    @property
    def now(self) -> Stack:
        return self.stack.model_copy(update={"api_url": self.api_url})
