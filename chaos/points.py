"""Every crash point: each scenario is run once to learn its points, then once for each, with a death there.

A death is followed by a restart, the customer tries again with the same key, and the booking has to end as it would
have without.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from pydantic import BaseModel

from chaos import evidence
from chaos.checks import Violation, violations
from chaos.customers import CALLER, DECLINED_CARD, GOOD_CARD, Customer, Spans, World
from chaos.lab import Case, Lab, NotRight, Pair, Side, until
from chaos.plan import Booking, Kind
from chaos.story import Story
from pitstop.devstack.stackfile import Stack

_FAR_AHEAD = 3 * 1440
# The engine gives a dead worker's task away after so long. Short, because a death is waited for at every point.
_TASK_SECONDS = 2.0
_SWEEP_SECONDS = 200.0
_ABREAST = 4 * (os.cpu_count() or 2)
_EXPIRES_AT_ONCE = Spans(hold=1.5, grace=0.2, reminders=(30, 10), sweep=60)
_LIKE_THE_PRODUCT = Spans(hold=900, grace=30, reminders=(86400, 3600), sweep=60)


@dataclass(slots=True)
class Trial:
    """A scenario while it is played."""

    world: World
    case: Case

    def customer(self, rival: int = 0) -> Customer:
        kind = Kind.CALLED_OFF_PAID if rival < 0 else Kind.PAID
        return self.world.customer(Booking(number=1, rival=rival, kind=kind, at=0, mechanic=0, minute=_FAR_AHEAD))

    async def becomes(self, customer: Customer, status: str) -> None:
        sql = f"SELECT status = '{status}' FROM bookings WHERE id = $1"  # noqa: S608 - a word of ours
        await self.case.until(sql, _id(customer), status)

    async def has_its_mails(self, customer: Customer) -> None:
        """No mail is owed that could go out now."""
        sql = """
            SELECT NOT EXISTS (
                SELECT FROM notifications
                WHERE booking_id = $1 AND (status = 'sending' OR (status = 'pending' AND due_at IS NULL))
            )
        """
        await self.case.until(sql, _id(customer), "mails")


def _id(customer: Customer) -> str:
    if customer.story.opened is None:
        raise NotRight(f"the booking was not opened: {customer.story.refused}, {customer.story.answers}")
    return str(customer.story.opened["id"])


# Scenarios


async def completed(trial: Trial) -> None:
    """Paid, reminded, and over."""
    customer = trial.customer()
    await customer.opens()
    await customer.pays_with(GOOD_CARD)
    await trial.becomes(customer, "confirmed")
    await trial.has_its_mails(customer)
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "completed")


async def declined(trial: Trial) -> None:
    """Declined, and nobody tried another card."""
    customer = trial.customer()
    await customer.opens()
    await customer.pays_with(DECLINED_CARD)
    declined = "SELECT EXISTS (SELECT FROM booking_events WHERE booking_id = $1 AND event = 'payment_declined')"
    await trial.case.until(declined, _id(customer), "the declined card")
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "payment_failed")


async def refunded(trial: Trial) -> None:
    """Paid when the hold had lapsed and a rival had the slot."""
    away = await trial.case.order("faults", {"match": "cancel", "kind": "error_500", "times": None})
    late, rival = trial.customer(), trial.customer(rival=1)
    await late.opens()
    lapsed = "SELECT expires_at < now() FROM slot_reservations WHERE booking_id = $1"
    await trial.case.until(lapsed, _id(late), "the lapse")
    await rival.opens()
    await rival.pays_with(GOOD_CARD)
    await trial.becomes(rival, "confirmed")
    await late.pays_with(GOOD_CARD)
    await trial.becomes(late, "refunded")
    await trial.has_its_mails(late)
    await trial.case.remove(away)


async def called_off(trial: Trial) -> None:
    """Cancelled by an operator when it was paid and confirmed."""
    customer = trial.customer(rival=-1)
    await customer.opens()
    await customer.pays_with(GOOD_CARD)
    await trial.becomes(customer, "confirmed")
    await trial.has_its_mails(customer)
    await customer.calls_off()
    await trial.becomes(customer, "cancelled")
    owed = "SELECT NOT EXISTS (SELECT FROM refunds WHERE booking_id = $1 AND refunded_at IS NULL)"
    await trial.case.until(owed, _id(customer), "the refund")
    await trial.has_its_mails(customer)


async def called_off_unpaid(trial: Trial) -> None:
    customer = trial.customer(rival=-1)
    await customer.opens()
    await customer.calls_off()
    await trial.becomes(customer, "cancelled")


async def refused_at_first(trial: Trial) -> None:
    """Stripe is away: the request is taken back. The same key books when Stripe is there again."""
    await trial.case.order("faults", {"match": "create", "kind": "error_500", "times": 3})
    customer = trial.customer()
    await customer.opens()
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "expired")


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    play: Callable[[Trial], Awaitable[None]]
    side: Side
    spans: Spans = field(default=_LIKE_THE_PRODUCT)


SCENARIOS = (
    Scenario("completed", completed, Side.WORKER),
    Scenario("declined", declined, Side.WORKER),
    Scenario("refunded", refunded, Side.WORKER, _EXPIRES_AT_ONCE),
    Scenario("called off", called_off, Side.WORKER),
    Scenario("called off unpaid", called_off_unpaid, Side.WORKER),
    Scenario("refused at first", refused_at_first, Side.WORKER),
    Scenario("completed", completed, Side.API),
    Scenario("refused at first", refused_at_first, Side.API),
)


# The loop


class Death(BaseModel):
    """One point of one scenario. `died`: the point was reached; what went wrong, if anything did."""

    scenario: str
    side: str
    point: str
    died: bool
    wrong: str | None = None


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
    mechanic: UUID


async def run(stack: Stack, say: Callable[[str], None], every: int = 1) -> PointResults:
    """Learns the points of the scenarios, then dies at each, or at every so many-th of them."""
    async with Lab.opened(stack) as lab, AsyncExitStack() as exits:
        pairs = _Pairs(lab, exits)

        async def one(scenario: Scenario, fatal: str | None) -> Attempt:
            async with pairs.one(scenario.spans) as pair:
                return await _attempt(pair, scenario, fatal)

        learned = await asyncio.gather(*(one(scenario, None) for scenario in SCENARIOS))
        planned = _points(learned)[::every]
        say(f"{len(planned)} points of {len(SCENARIOS)} scenarios to die at, {_ABREAST} at a time")
        attempts = list(await asyncio.gather(*(one(scenario, point) for scenario, point in planned)))
        await _swept(lab, [attempt.mechanic for attempt in attempts])
        found = await evidence.gather(stack, lab.http, lab.temporal)
    mine = found.of({attempt.mechanic for attempt in attempts})
    stories = [story for attempt in attempts for story in attempt.stories]
    return PointResults(deaths=[attempt.death for attempt in attempts], violations=violations(mine, stories, CALLER))


def _points(learned: Sequence[Attempt]) -> list[tuple[Scenario, str]]:
    """Each point once, in the first scenario that has it."""
    planned: dict[tuple[Side, str], Scenario] = {}
    for scenario, lesson in zip(SCENARIOS, learned, strict=True):
        if lesson.death.wrong:
            raise NotRight(f"{scenario.name} does not even go well alone: {lesson.death.wrong}")
        for point in lesson.points:
            planned.setdefault((scenario.side, point), scenario)
    return [(scenario, point) for (_, point), scenario in planned.items()]


async def _swept(lab: Lab, mechanics: list[UUID]) -> None:
    """An event that could not be applied when it came is the sweep's, which the stack's own worker runs each minute."""
    sql = """
        SELECT NOT EXISTS (
            SELECT FROM webhook_inbox JOIN bookings ON bookings.id = webhook_inbox.booking_id
            WHERE applied_at IS NULL AND mechanic_id = ANY($1)
        )
    """

    async def applied() -> bool:
        return bool(await lab.database.fetchval(sql, mechanics))

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
        )


async def _attempt(pair: Pair, scenario: Scenario, fatal: str | None) -> Attempt:
    death = Death(scenario=scenario.name, side=scenario.side, point=fatal or "", died=False)
    lab = pair.lab
    pair.arm(scenario.side, fatal)
    await pair.is_up()
    async with Case.opened(pair) as case:
        world = World(_At(lab.stack, pair.url), lab.http, lab.temporal, case.offer, uuid4().hex[:12], scenario.spans)
        try:
            await scenario.play(Trial(world, case))
        except NotRight as failure:
            death.wrong = str(failure)
        # The last points lie a moment after the last report.
        await asyncio.sleep(0.3)
        death.died = pair.died
        return Attempt(death, pair.points(), world.stories, case.offer.mechanics[0])


@dataclass(frozen=True, slots=True)
class _At:
    """The stack, but for another address of the API."""

    stack: Stack
    api_url: str

    @property
    def now(self) -> Stack:
        return self.stack.model_copy(update={"api_url": self.api_url})
