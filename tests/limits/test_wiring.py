"""How the limits are put to work: by whoever starts the API, by the dev stack, by the sweep."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pitstop.devstack.addresses import Addresses, Reservation, choose
from pitstop.devstack.credentials import Credentials
from pitstop.devstack.limits import ONE_CALLER, ONE_MACHINE
from pitstop.devstack.parts import Plan, parts
from pitstop.devstack.stackfile import Stack
from pitstop.postgres.pool import open_pool
from pitstop.postgres.saga import PostgresSaga
from pitstop.settings import Settings
from tests.deploy import compose
from tests.support.rows import add_booking
from tests.support.shop import Shop

Pool = Any


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    for name in ONE_MACHINE | ONE_CALLER:
        monkeypatch.delenv(name, raising=False)
    reservation = Reservation()
    addresses = choose(Addresses.load(tmp_path / "none.json"), reservation)
    reservation.release()
    return Plan(tmp_path, addresses, Credentials.of(tmp_path))


def test_everywhere_the_server_starts_that_leaves_the_address_alone(plan: Plan) -> None:
    """`python -m api`, whose options are in one place; a test of the rates starts it and sends invented headers."""
    assert parts(plan)["api"].command().arguments[1:3] == ["-m", "api"]
    values = {name: value or "x" for name, value in compose.example().items()}
    api = compose.services(values)["api"]
    assert api["command"][:3] == ["python", "-m", "api"]
    assert Settings(trusted_proxies=api["environment"]["PITSTOP_TRUSTED_PROXIES"]).proxy_networks


def test_the_dev_stack_raises_what_one_machine_shares_and_no_more(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ONE_MACHINE.items() <= plan.settings().items()
    assert not ONE_CALLER.keys() & plan.settings().keys()
    monkeypatch.setenv("PITSTOP_HOLDS_PER_CARD", "2")
    assert plan.settings()["PITSTOP_HOLDS_PER_CARD"] == "2"


def test_what_is_raised_are_settings(plan: Plan) -> None:
    raised = ONE_MACHINE | ONE_CALLER
    read = Settings(**{name.removeprefix("PITSTOP_").lower(): value for name, value in raised.items()})  # type: ignore[arg-type]
    assert read.holds_per_customer == read.rate_address_reads == 1_000_000


async def test_the_sweep_clears_away_what_no_longer_counts(stack: Stack, database: Pool, shop: Shop) -> None:
    old, new = uuid4().bytes, uuid4().bytes
    await database.execute(
        "INSERT INTO rate_limits VALUES ($1, now() - '1 second'::interval), ($2, now() + '1 minute'::interval)",
        old,
        new,
    )
    case = await add_booking(database, shop, shop.start())
    await database.execute(
        "INSERT INTO hold_origins (booking_id, kind, origin, lapses_at) VALUES"
        " ($1, 'customer', $2, now() - '25 hours'::interval), ($1, 'address', $3, now() - '23 hours'::interval)",
        case.booking_id,
        old,
        new,
    )
    async with open_pool(stack.worker_database_url, 1, "test") as pool:
        await PostgresSaga(pool).forget_requests(datetime(2000, 1, 1, tzinfo=UTC))
    for query in (
        "SELECT key FROM rate_limits WHERE key = ANY($1)",
        "SELECT origin FROM hold_origins WHERE origin = ANY($1)",
    ):
        assert [row[0] for row in await database.fetch(query, [old, new])] == [new]
