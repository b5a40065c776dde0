"""The same rules against the whole house.

PITSTOP_LIFE_LIVE_EXAMPLES asks for more than an ordinary run.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from pitstop.devstack.stackfile import Stack
from tests.life.model.house import LiveHouse
from tests.life.model.live import Live
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
def live(stack: Stack) -> Iterator[type[Live]]:
    with runner() as loop:
        opened = LiveHouse.opened(stack)
        house = loop.run(_awaited(opened.__aenter__()))
        run = staticmethod(lambda awaitable: loop.run(_awaited(awaitable)))
        yield type("Live_", (WholeLive,), {"run_in": run, "house": house})
        loop.run(_awaited(opened.__aexit__(None, None, None)))


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def test_whatever_happens_in_the_whole_house_everything_is_as_it_ought_to_be(live: type[Live]) -> None:
    run_state_machine_as_test(live, settings=_SETTINGS)
