"""The same rules against the whole house: HTTP, the engine, Stripe's server, its webhooks, and mail.

PITSTOP_LIFE_LIVE_EXAMPLES asks for more than an ordinary run.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pitstop.devstack.stackfile import Stack
from tests.life.model.house import LiveHouse, LiveShop
from tests.life.model.machine import STANDARD, runner
from tests.life.model.rules import BUFFER, DURATION, Expected
from tests.support.people import Json

Answer = TypeVar("Answer")
_USUAL = 5
EXAMPLES = int(os.environ.get("PITSTOP_LIFE_LIVE_EXAMPLES", _USUAL))
_SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=9,
    deadline=None,
    database=None,
    derandomize=EXAMPLES == _USUAL,
    phases=[Phase.generate, Phase.shrink] if EXAMPLES > _USUAL else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SLOTS = [HOUR * hours for hours in (0, 2, 24, 26, 72)]
WHICH = st.integers(0, 2)
# Before or after the start; none so near a boundary that the seconds of a test would matter.
WHENS = st.sampled_from([None, None, -30 * HOUR, -5 * HOUR, -100 * MINUTE, -8 * MINUTE, 5 * MINUTE, 12 * MINUTE])


class Live(RuleBasedStateMachine):
    """Each example has a shop of its own. Each booking has the clock of its run."""

    run_in: ClassVar[Callable[[Awaitable[Any]], Any]]
    house: ClassVar[LiveHouse]

    def __init__(self) -> None:
        super().__init__()
        self.known: list[tuple[Expected, Json]] = []

    def does(self, awaitable: Awaitable[Answer]) -> Answer:
        answer: Answer = type(self).run_in(awaitable)
        return answer

    def some(self, which: int) -> tuple[Expected, Json] | None:
        standing = [each for each in reversed(self.known) if each[0].status in ("confirmed", "in_progress")]
        there = standing or list(reversed(self.known))
        return there[which % len(there)] if there else None

    def is_free(self, start: datetime, but: Expected | None = None) -> bool:
        blocked = start + DURATION + BUFFER
        taken = (each.blocks for each, _ in self.known if each.live and each is not but)
        return not any(first < blocked and start < last for first, last in taken)

    @initialize(news=st.sampled_from(["come", "drop", "duplicate"]))
    def a_shop_opens_and_has_a_booking(self, news: str) -> None:
        self.shop: LiveShop = self.does(type(self).house.shop())
        self.base = self.shop.shop.start(days=4)
        self.somebody_books(HOUR * 0, news)

    @rule(slot=st.sampled_from(SLOTS), news=st.sampled_from(["come", "drop", "duplicate"]))
    def somebody_books(self, slot: timedelta, news: str) -> None:
        start = self.base + slot
        booking = self.does(self.shop.book(start))
        assert (booking is not None) == self.is_free(start)
        if booking is None:
            return
        model = Expected(UUID(booking["id"]), self.shop.shop.mechanic_id, start, 8900, STANDARD)
        self.does(self.shop.pay(booking, news))
        now = self.does(self.shop.now(booking))
        model.is_held(now)
        model.is_confirmed(now)
        self.known.append((model, booking))
        self._mails_go_out(model, now)

    @rule(which=WHICH, slot=st.sampled_from(SLOTS), who=st.sampled_from(["customer", "operator"]), when=WHENS)
    def somebody_moves_it(self, which: int, slot: timedelta, who: str, when: timedelta | None) -> None:
        found = self._at(which, when)
        if found is None:
            return
        (model, booking, now), start = found, self.base + slot
        wanted = None
        if model.status != "confirmed" or start != model.start:
            wanted = model.refusal("reschedule", who, now)
            if wanted is None and start < now:
                wanted = "slot_not_offered"
            elif wanted is None and not self.is_free(start, model):
                wanted = "slot_unavailable"
        got = self.does(self.shop.ask(booking, who, "reschedule", {"start": start.isoformat()}))
        assert got == wanted, f"{who} to {start} at {now}: {model}"
        if got is None and start != model.start:
            model.is_moved(start, model.mechanic, who, now)
            self._mails_go_out(model, now)

    @rule(
        which=WHICH,
        deed=st.sampled_from(
            [
                ("customer", "cancel"),
                ("mechanic", "cancel"),
                ("customer", "check_in"),
                ("mechanic", "start"),
                ("mechanic", "complete"),
                ("mechanic", "no_show"),
                ("operator", "no_show"),
            ]
        ),
        absent=st.sampled_from(["customer", "mechanic"]),
        when=WHENS,
    )
    def somebody_asks(self, which: int, deed: tuple[str, str], absent: str, when: timedelta | None) -> None:
        found = self._at(which, when)
        if found is None:
            return
        (model, booking, now), (who, what) = found, deed
        wanted = model.refusal(what, who, now, absent)
        got = self.does(self.shop.ask(booking, who, what, {"absent": absent} if what == "no_show" else {}))
        assert got == wanted, f"{what} by {who} at {now}: {model}"
        if got is None and model.status in ("confirmed", "in_progress"):
            model.does(what, who, now, absent)
            self._mails_go_out(model, now)

    @rule(which=WHICH)
    def its_time_is_over(self, which: int) -> None:
        found = self.some(which)
        if found is None or found[0].status not in ("confirmed", "in_progress"):
            return
        model, booking = found
        self.does(self.shop.to_the_end(booking))
        self._mails_go_out(model, model.start)
        model.is_closed(model.start + DURATION + 30 * MINUTE)
        self._mails_go_out(model, model.start + DURATION + 30 * MINUTE)

    def _at(self, which: int, when: timedelta | None) -> tuple[Expected, Json, datetime] | None:
        """One of the bookings, at that moment of its run, if it is still to come."""
        found = self.some(which)
        if found is None:
            return None
        model, booking = found
        if model.status not in ("confirmed", "in_progress"):
            return model, booking, model.start
        now = self.does(self.shop.now(booking))
        if when is not None and model.start + when > now:
            self.does(self.shop.forward_to(booking, model.start + when))
            now = model.start + when
            self._mails_go_out(model, now)
        return model, booking, now

    def _mails_go_out(self, model: Expected, now: datetime) -> None:
        """Those that are due by then, each in its time."""
        for key in sorted(model.waiting(now), key=lambda each: model.due[each] or now):
            model.goes_out(key, model.due[key] or now)

    @invariant()
    def everything_is_as_it_ought_to_be(self) -> None:
        for model, booking in self.known:
            seen = self.does(self.shop.seen(booking))
            there = (seen["status"], seen["start"], seen["moves"], seen["back"])
            assert there == (model.status, model.start, model.moves, model.owed or 0)
            assert seen["refunds"] <= 1

    def teardown(self) -> None:
        for model, booking in self.known:
            self.does(self.shop.has_its_mails(booking, model.mails))
        if self.known:
            self.does(type(self).house.books.agree(*(booking for _, booking in self.known)))


@pytest.fixture(scope="module")
def live(stack: Stack) -> Iterator[type[Live]]:
    with runner() as loop:
        opened = LiveHouse.opened(stack)
        house = loop.run(_awaited(opened.__aenter__()))
        run = staticmethod(lambda awaitable: loop.run(_awaited(awaitable)))
        yield type("Live_", (Live,), {"run_in": run, "house": house})
        loop.run(_awaited(opened.__aexit__(None, None, None)))


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def test_whatever_happens_in_the_whole_house_everything_is_as_it_ought_to_be(live: type[Live]) -> None:
    run_state_machine_as_test(live, settings=_SETTINGS)
