"""python -m pitstop.audit, as cron starts it: exit codes, JSON, repair."""

import asyncio
import json
import os
import sys
from typing import Any

from tests.audit.conftest import States
from tests.audit.house import House
from tests.support.processes import ROOT

Json = dict[str, Any]


async def _audit(house: House, *arguments: str, **changes: str) -> tuple[int, str, str]:
    own = {f"PITSTOP_{name.upper()}": value for name, value in changes.items()}
    given = house.settings
    variables = dict(os.environ) | house.stack.environment
    variables |= {"PITSTOP_AUDIT_DATABASE_URL": given.audit_database_url, "PITSTOP_TASK_QUEUE": given.task_queue} | own
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pitstop.audit", "--settle", "0", *arguments),
        cwd=ROOT,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def test_clean(house: House, states: States) -> None:
    ids = [part for booking in states.values() for part in ("--booking", booking["id"])]
    code, output, _ = await _audit(house, *ids)
    assert code == 0
    assert output.startswith("No discrepancies.")


async def test_discrepancies(house: House, states: States) -> None:
    booking = states["confirmed"]
    async with house.planted(booking, "DELETE FROM sessions WHERE booking_id = $1"):
        code, output, _ = await _audit(house, "--booking", booking["id"], "--json")
        in_words = await _audit(house, "--booking", booking["id"])
    document = json.loads(output)
    assert (code, document["clean"], document["checked"]["bookings"]) == (1, False, 1)
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
    assert in_words[0] == 1
    assert f"no_session (I2)  booking {booking['id']}" in in_words[1]


async def test_repair(house: House) -> None:
    booking = await house.confirmed()
    await house.clock.workflow(booking).terminate("by mistake")
    code, output, _ = await _audit(house, "--booking", booking["id"], "--json", "--repair")
    assert (code, json.loads(output)["repairs"]) == (1, [f"booking {booking['id']}: its workflow was started again"])
    for _ in range(20):
        code, output, _ = await _audit(house, "--booking", booking["id"])
        if code == 0:
            break
    assert code == 0, output


async def test_impossible(house: House, states: States) -> None:
    """A source that is away: nothing can be said, and nothing is said to be clean."""
    one = ("--booking", states["confirmed"]["id"])
    for changes, named in (
        ({"audit_database_url": "postgresql://pitstop_audit:x@127.0.0.1:9/pitstop"}, "PostgreSQL"),
        ({"stripe_api_url": "http://127.0.0.1:9"}, "Stripe"),
        ({"temporal_address": "127.0.0.1:9"}, "Temporal"),
    ):
        code, output, errors = await _audit(house, *one, **changes)
        assert (code, output) == (2, ""), named
        assert f"could not be done: {named}" in errors


async def test_an_option_that_makes_no_sense(house: House) -> None:
    assert (await _audit(house, "--since", "yesterday"))[0] == 2
    assert (await _audit(house, "--all", "--booking", "x"))[0] == 2


async def test_the_next_pass_begins_where_the_last_one_did(house: House, states: States) -> None:
    """The first pass of an installation looks at everything; those after it at what has changed. Each is kept."""
    await house.database.execute("DELETE FROM audit_runs")
    first, second = [json.loads((await _audit(house, "--json"))[1]) for _ in range(2)]
    assert first["since"] is None
    assert second["since"] < first["seen_at"] < second["seen_at"]
    kept = await house.database.fetch(
        "SELECT since, clean, (SELECT count(*) FROM audit_findings WHERE run_id = id) "
        "AS findings FROM audit_runs ORDER BY seen_at"
    )
    assert [row["since"] is None for row in kept] == [True, False]
    assert [row["findings"] for row in kept] == [len(first["findings"]), len(second["findings"])]
