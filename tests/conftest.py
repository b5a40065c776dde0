"""The stack that all tests share, and a corner of it for each test: its own mechanic, service and customers."""

from collections import deque
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import hypothesis
import pytest
from temporalio.client import Client

from pitstop.devstack.stackfile import Stack
from pitstop.gateways import temporal_engine
from tests.support import stack as stacks
from tests.support.people import Customer, Issuer
from tests.support.shop import Shop, open_shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

_RUNNING: pytest.StashKey[Any] = pytest.StashKey()
_FOLDER = "pitstop_stack"
# Begun first, those that mostly wait beside those that mostly compute: the many short ones fill the time beside them.
_LONG = (
    "fuzz/test_operations.py",
    "saga/test_mails_in_trouble.py",
    "chaos/test_soak.py",
    "outages/test_api_killed.py",
    "chaos/test_points.py",
    "immediate/test_recovery.py",
    "upgrade/test_rolling.py",
    "life/test_interrupted.py",
    "availability/test_property.py",
    "stack/test_devstack.py",
    "invites/test_sequence.py",
    "gateways/test_invite_ical4j.py",
)
# What the test that runs has been refused: a failed one tells of it, because what was expected is rarely all that came.
_refused: deque[str] = deque(maxlen=20)


def pytest_configure(config: pytest.Config) -> None:
    # How long one example takes is the machine's business, which may be busy with other things.
    hypothesis.settings.register_profile("busy", deadline=None)
    hypothesis.settings.load_profile("busy")
    config.stash[_RUNNING] = None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """The controller of a parallel run starts the stack once, and tells its workers where it is."""
    node.workerinput[_FOLDER] = str(_start_once(node.config))


def pytest_unconfigure(config: pytest.Config) -> None:
    running = config.stash.get(_RUNNING, None)
    if running is not None:
        stacks.stop(running[0])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {Path(__file__).parent / name: number for number, name in enumerate(_LONG)}
    items.sort(key=lambda item: place.get(item.path, len(_LONG)))


def pytest_runtest_setup() -> None:
    _refused.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and _refused:
        report.sections.append(("Answers that refused", "\n".join(_refused)))
    return report


async def _remember(answer: httpx.Response) -> None:
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        await answer.aread()
        _refused.append(f"{answer.request.method} {answer.request.url} {answer.status_code} {answer.text[:400]}")


def _start_once(config: pytest.Config) -> Path:
    if given := stacks.variable():
        return Path(given)
    if config.stash[_RUNNING] is None:
        config.stash[_RUNNING] = stacks.start()
    folder: Path = config.stash[_RUNNING][1]
    return folder


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Stack:
    told = getattr(request.config, "workerinput", {}).get(_FOLDER)
    return stacks.load(Path(told) if told else _start_once(request.config))


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    limits, hooks = httpx.Limits(max_connections=200), {"response": [_remember]}
    async with httpx.AsyncClient(timeout=60, limits=limits, event_hooks=hooks) as client:
        yield client


@pytest.fixture(scope="session")
async def database(stack: Stack) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """The database as its superuser: for arranging and for looking, never what the product itself uses."""
    async with asyncpg.create_pool(stack.database_url, min_size=0, max_size=5) as pool:
        yield pool


@pytest.fixture(scope="session")
async def temporal(stack: Stack) -> Client:
    """A client as the product has it, with the stack's own keys."""
    return await temporal_engine.connect(stacks.settings(stack))


@pytest.fixture(scope="session")
def clock(temporal: Client) -> Clock:
    return Clock(temporal)


@pytest.fixture
async def shop(database: "asyncpg.Pool[asyncpg.Record]") -> Shop:
    """A mechanic who works around the clock, and a service of an hour that nobody else offers."""
    return await open_shop(database)


@pytest.fixture
async def stripe(stack: Stack, http: httpx.AsyncClient, shop: Shop) -> AsyncIterator[StripeControl]:
    """The Stripe server's controls, bound to this test's payments."""
    control = StripeControl(http, stack, {"mechanic_id": str(shop.mechanic_id)})
    yield control
    await control.tidy()


@pytest.fixture
def issuer(stack: Stack, http: httpx.AsyncClient) -> Issuer:
    return Issuer(http, stack)


@pytest.fixture
async def customer(issuer: Issuer, stack: Stack) -> Customer:
    return await issuer.customer(stack.api_url)


@pytest.fixture
async def rival(issuer: Issuer, stack: Stack) -> Customer:
    return await issuer.customer(stack.api_url)
