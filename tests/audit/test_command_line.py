"""python -m pitstop.audit, as cron starts it: exit codes, JSON, repair."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pitstop.audit import __main__ as command
from pitstop.settings import Settings
from tests.audit.conftest import States
from tests.audit.house import House
from tests.support.processes import ROOT, environment

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """How the command ended, and what it told."""

    code: int
    output: str
    errors: str

    @property
    def document(self) -> Json:
        read: Json = json.loads(self.output)
        return read


Audit = Callable[..., Awaitable[Said]]


@pytest.fixture
def audit(house: House, capsys: pytest.CaptureFixture[str]) -> Audit:
    """The command with these arguments, in this process."""

    async def audit(*arguments: str, **changes: object) -> Said:
        options = command.parser().parse_args(["--settle", "0", *arguments])
        code = await command.run(options, Settings.model_validate(house.settings.model_dump() | changes))
        return Said(code, *capsys.readouterr())

    return audit


async def _process(house: House, *arguments: str, **changes: str) -> Said:
    """The same as cron starts it."""
    names = ("audit_database_url", "task_queue")
    own = {name: str(getattr(house.settings, name)) for name in names} | changes
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pitstop.audit", "--settle", "0", *arguments),
        cwd=ROOT,
        env=environment(house.stack, **own),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, output.decode(), errors.decode())


async def test_exit_codes(house: House, states: States) -> None:
    """Clean, discrepancies, a source that is away, settings that make no sense."""
    clean, planted = ("--booking", states["expired"]["id"]), ("--booking", states["confirmed"]["id"])
    async with house.planted(states["confirmed"], "DELETE FROM sessions WHERE booking_id = $1"):
        ended = await asyncio.gather(
            _process(house, *clean),
            _process(house, *planted),
            _process(house, *clean, temporal_address="127.0.0.1:9"),
            _process(house, *clean, smtp_port="none"),
        )
    assert [each.code for each in ended] == [0, 1, 2, 2]
    assert ended[0].output.startswith("No discrepancies.")
    assert f"no_session (I2)  booking {states['confirmed']['id']}" in ended[1].output
    assert [each.output for each in ended[2:]] == ["", ""]


async def test_for_programs(house: House, audit: Audit, states: States) -> None:
    booking = states["confirmed"]
    async with house.planted(booking, "DELETE FROM sessions WHERE booking_id = $1"):
        said = await audit("--booking", booking["id"], "--json")
    document = said.document
    assert (said.code, document["clean"], document["checked"]["bookings"]) == (1, False, 1)
    [finding] = document["findings"]
    assert finding | {"found": "", "to_do": ""} == {
        "code": "no_session",
        "invariant": "I2",
        "booking_id": booking["id"],
        "subject": "",
        "found": "",
        "to_do": "",
        "repairable": False,
    }
    assert finding["found"]
    assert finding["to_do"]


async def test_repair(house: House, audit: Audit) -> None:
    booking = await house.confirmed()
    await house.clock.workflow(booking).terminate("by mistake")
    said = await audit("--booking", booking["id"], "--json", "--repair")
    assert (said.code, said.document["repairs"]) == (1, [f"booking {booking['id']}: its workflow was started again"])
    for _ in range(100):
        said = await audit("--booking", booking["id"])
        if said.code == 0:
            break
        await asyncio.sleep(0.1)
    assert said.code == 0, said.output


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"audit_database_url": "postgresql://pitstop_audit:x@127.0.0.1:9/pitstop"}, "PostgreSQL"),
        ({"stripe_api_url": "http://127.0.0.1:9"}, "Stripe"),
        ({"temporal_address": "127.0.0.1:9"}, "Temporal"),
    ],
)
async def test_a_source_that_is_away(audit: Audit, states: States, changes: Json, named: str) -> None:
    """Nothing can be said, and nothing is said to be clean."""
    said = await audit("--booking", states["confirmed"]["id"], **changes)
    assert (said.code, said.output) == (2, "")
    assert f"could not be done: {named}" in said.errors


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--all", "--since", "PT1H"), ("--booking", "x")])
def test_options_that_make_no_sense(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.parser().parse_args(arguments)
    assert ended.value.code == 2


def test_moments() -> None:
    for text in ("2026-11-24T08:00Z", "2026-11-24T03:00-05:00", "2026-11-24T08:00"):
        since = command.parser().parse_args(["--since", text]).since
        assert since == datetime(2026, 11, 24, 8, tzinfo=UTC), text
    since = command.parser().parse_args(["--since", "PT2H"]).since
    assert timedelta(hours=1) < datetime.now(UTC) - since < timedelta(hours=3)


async def test_the_next_pass_begins_where_the_last_one_did(house: House, audit: Audit, states: States) -> None:
    """The first pass of an installation looks at everything; those after it at what has changed. Each is kept."""
    await house.database.execute("DELETE FROM audit_runs")
    first, second = [(await audit("--json")).document for _ in range(2)]
    assert first["since"] is None
    assert second["since"] < first["seen_at"] < second["seen_at"]
    kept = await house.database.fetch(
        "SELECT since, (SELECT count(*) FROM audit_findings WHERE run_id = id) AS findings FROM audit_runs "
        "ORDER BY seen_at"
    )
    assert [row["since"] is None for row in kept] == [True, False]
    assert [row["findings"] for row in kept] == [len(first["findings"]), len(second["findings"])]
