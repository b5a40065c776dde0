"""A death at each place between two effects; here one of each scenario, `make chaos` takes all."""

import inspect
from collections.abc import AsyncIterator
from types import ModuleType
from uuid import uuid4

import pytest

import worker
from api import composition
from chaos import crash_points, points
from chaos.scenarios import SCENARIOS
from pitstop.devstack.stackfile import Stack
from tests.support.databases import fresh_database
from tests.support.processes import environment
from tests.support.processes import worker as worker_process

_SWEEP_SECONDS = 5
# They read, and nothing else.
WITHOUT_EFFECTS = {"Catalogue", "TokenVerifier", "AuditBoard", "Pulse", "EncryptingCodec", "Dashboards"}
# What they write is no part of a booking's walk; tests of their own break it.
OF_NO_BOOKING = {
    *("SharedBudgets", "AuditLog", "PostgresSeals", "Deployment", "MechanicRules", "MechanicFeeds", "PostgresHolidays"),
    # Workshops and their bays, as operators and keepers set them up.
    "Workshops",
}


@pytest.fixture
async def alone(stack: Stack) -> AsyncIterator[Stack]:
    """The stack with a database that nobody else works on, and a worker that sweeps it.

    On the database of all tests the stack's own worker would take steps of these scenarios, such as an offer to the
    waitlist, and nobody would come by the point.
    """
    async with fresh_database(stack) as urls:
        own = {"api_database_url": urls.api, "worker_database_url": urls.worker, "audit_database_url": urls.audit}
        there = {f"PITSTOP_{name.upper()}": url for name, url in own.items()}
        there_only = stack.model_copy(update={"database_url": urls.superuser, "environment": stack.environment | there})
        sweeping = {"task_queue": f"sweeping-{uuid4()}", "sweep_interval_seconds": _SWEEP_SECONDS}
        async with worker_process(environment(there_only, **sweeping)):
            yield there_only


async def test_deaths_between_two_effects(alone: Stack) -> None:
    results = await points.run(alone, lambda _: None, short=True)
    assert [death for death in results.deaths if death.wrong or not death.died] == []
    assert results.violations == []
    assert {death.scenario for death in results.deaths} == {scenario.name for scenario in SCENARIOS}


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
    assert adapters - WITHOUT_EFFECTS - OF_NO_BOOKING == set(names)


def test_scenarios_have_names() -> None:
    assert len({(scenario.name, scenario.side) for scenario in SCENARIOS}) == len(SCENARIOS)


def test_each_scenario_dies_once_when_there_is_no_time_for_all() -> None:
    short = [scenario.name for scenario in SCENARIOS if scenario.dies]
    assert sorted(short) == sorted({scenario.name for scenario in SCENARIOS})
