"""The same rules against the whole house.

PITSTOP_LIFE_LIVE_EXAMPLES asks for more than an ordinary run.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from pitstop.devstack.stackfile import Stack
from tests.life.model.house import LiveHouse
from tests.life.model.live import HOUR
from tests.life.model.live_thoughts import WholeLive
from tests.life.model.machine import runner

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


@pytest.fixture(scope="module")
def live(stack: Stack) -> Iterator[type[WholeLive]]:
    with runner() as loop:
        opened = LiveHouse.opened(stack)
        house = loop.run(_awaited(opened.__aenter__()))
        run = staticmethod(lambda awaitable: loop.run(_awaited(awaitable)))
        yield type("Live_", (WholeLive,), {"run_in": run, "house": house})
        loop.run(_awaited(opened.__aexit__(None, None, None)))


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def test_whatever_happens_in_the_whole_house_everything_is_as_it_ought_to_be(live: type[WholeLive]) -> None:
    run_state_machine_as_test(live, settings=_SETTINGS)


# What so few random examples may not come to, in an order in which one leads to the next; the newest booking is 0.
_SECOND_THOUGHTS: list[Callable[[WholeLive], None]] = [
    lambda play: play.somebody_hands_it_over(0, "mechanic", None),
    lambda play: play.somebody_books(HOUR * 0, 0, "come"),
    lambda play: play.somebody_hands_it_over(0, "operator", None),
    lambda play: play.somebody_moves_it(1, HOUR * 24, "customer", None, "cheap", False, "come"),
    lambda play: play.somebody_moves_it(1, HOUR * 72, "customer", None, "dear", False, "replaced"),
    lambda play: play.somebody_moves_it(0, HOUR * 24, "operator", None, "dear", True, "come"),
    lambda play: play.somebody_moves_it(0, HOUR * 24, "operator", None, "cheap", False, "come"),
    lambda play: play.somebody_moves_it(0, HOUR * 26, "customer", None, "dear", False, "lapses"),
    lambda play: play.somebody_moves_it(0, HOUR * 26, "customer", None, "dear", False, "drop"),
    lambda play: play.somebody_proposes_times(0, "mechanic", [(HOUR * 2, 0), (HOUR * 2, 1)], "takes", None),
    lambda play: play.somebody_proposes_times(0, "operator", [(HOUR * 24, 0)], "declines", None),
    lambda play: play.somebody_proposes_times(0, "operator", [(HOUR * 24, 0)], "lapses", None),
    lambda play: play.somebody_moves_it(1, HOUR * 24, "operator", None, "cheap", False, "come"),
    lambda play: play.somebody_moves_it(1, HOUR * 26, "customer", None, "dear", False, "cancelled"),
    lambda play: play.somebody_proposes_times(0, "operator", [(HOUR * 24, 0)], "cancelled", None),
]


def test_every_second_thought_in_the_whole_house(live: type[WholeLive]) -> None:
    play = live()
    play.a_shop_opens_and_has_a_booking("come")
    for each in _SECOND_THOUGHTS:
        each(play)
        play.everything_is_as_it_ought_to_be()
    differences = [due.status for model, _ in play.known for due in model.differences]
    assert sorted(differences) == ["applied", "applied", "closed", "lapsed", "replaced"]
    handed_over = [key for model, _ in play.known for key in model.mails if "handed_over" in key]
    # The second time the other mechanic had something else by then.
    assert len(handed_over) == 1
    play.teardown()
