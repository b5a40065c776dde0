"""A death at each place between two effects; here at every fourth of them, `make chaos` takes all."""

import inspect
from types import ModuleType

import pytest

import worker
from api import composition
from chaos import crash_points, points
from chaos.scenarios import SCENARIOS
from pitstop.devstack.stackfile import Stack

EVERY = 4
# They read, and nothing else.
WITHOUT_EFFECTS = {"Catalogue", "TokenVerifier", "AuditBoard", "Pulse", "EncryptingCodec"}
# What they write is no part of a booking's walk; tests of their own break it.
OF_NO_BOOKING = {
    *("SharedBudgets", "AuditLog", "PostgresSeals", "Deployment", "MechanicRules", "MechanicFeeds", "PostgresHolidays"),
}
# No customer of the chaos makes use of them yet; tests of their own break them.
NOT_PLAYED = {
    *("PostgresWaitlist", "WaitlistDesk", "Waivers", "NoticeBoard", "TextNews", "Workshops", "Referrals", "Dashboards"),
}


async def test_deaths_between_two_effects(stack: Stack) -> None:
    results = await points.run(stack, lambda _: None, every=EVERY)
    assert [death for death in results.deaths if death.wrong or not death.died] == []
    assert results.violations == []
    assert len(results.deaths) > 15


@pytest.mark.parametrize(
    ("module", "names"), [(worker, crash_points.OF_THE_WORKER), (composition, crash_points.OF_THE_API)]
)
def test_the_hook_wraps_what_the_product_builds(module: ModuleType, names: tuple[str, ...]) -> None:
    """A new adapter has to be named in the hook, or its calls are no points."""
    adapters = {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and value.__module__.startswith(("pitstop.postgres.", "pitstop.gateways."))
        and any(inspect.iscoroutinefunction(call) for call in vars(value).values())
    }
    assert adapters - WITHOUT_EFFECTS - OF_NO_BOOKING - NOT_PLAYED == set(names)


def test_scenarios_have_names() -> None:
    assert len({(scenario.name, scenario.side) for scenario in SCENARIOS}) == len(SCENARIOS)
