"""The audit as a Temporal Schedule, and what operators and Prometheus see of its result."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.audit_gauges import LastAudit
from pitstop.audit.ports import Outcome
from pitstop.contracts import names
from pitstop.contracts.audit import AuditReport
from pitstop.domain.audit import kinds
from pitstop.gateways.audit_schedule import keep_auditing, schedule_id
from pitstop.postgres.audit_board import AuditBoard
from pitstop.postgres.pool import open_pool
from tests.audit.conftest import States
from tests.audit.house import House
from tests.support.histories import replay
from tests.support.people import Issuer
from workflows.audit import AuditWorkflow


@pytest.fixture
async def schedule(house: House) -> AsyncIterator[Any]:
    await keep_auditing(house.temporal, house.settings)
    # Workers that start again agree.
    await keep_auditing(house.temporal, house.settings)
    handle = house.temporal.get_schedule_handle(schedule_id(house.settings))
    yield handle
    await handle.delete()


async def _next_run(house: House, schedule: Any) -> str:
    await schedule.trigger()
    for _ in range(100):
        if recent := (await schedule.describe()).info.recent_actions:
            run: str = recent[-1].action.workflow_id
            return run
        await asyncio.sleep(0.1)
    raise AssertionError("the schedule started nothing")


async def test_scheduled_pass(house: House, states: States, schedule: Any) -> None:
    """From the schedule to the database; its history replays, and names no person."""
    begun = await house.database.fetchval("SELECT now()")
    async with house.planted(states["other"], "DELETE FROM sessions WHERE booking_id = $1"):
        handle = house.temporal.get_workflow_handle(await _next_run(house, schedule), result_type=AuditReport)
        report = await handle.result()
    assert report.discrepancies["no_session"] == 1
    assert report.bookings >= len(states)
    run = await house.database.fetchrow("SELECT * FROM audit_runs ORDER BY seen_at DESC LIMIT 1")
    assert run is not None
    assert run["seen_at"] > begun
    assert not run["clean"]
    found = await house.database.fetch("SELECT booking_id FROM audit_findings WHERE code = 'no_session'")
    assert states["other"]["id"] in {str(row["booking_id"]) for row in found}
    history = await handle.fetch_history()
    await replay(history, AuditWorkflow, house.temporal.data_converter)
    assert names.AUDIT_BOOKINGS in history.to_json()


@pytest.fixture
async def kept(house: House) -> Outcome:
    """A pass with two discrepancies, the last one there is."""
    found = (kinds.NO_SLOT.found(None, "nothing <b>bold</b>"), kinds.UNDRIVEN.found(None, "nobody drives"))
    outcome = Outcome(await house.database.fetchval("SELECT now()"), None, 1.5, {"bookings": 7}, found)
    await house.records.keep(outcome)
    return outcome


async def test_operators_read_it(house: House, kept: Outcome) -> None:
    token = await Issuer(house.http, house.stack).token("operator-1", "operator")
    headers = {"Authorization": f"Bearer {token}"}
    answer = await house.http.get(f"{house.url}/v1/operations/audit", headers=headers)
    assert answer.status_code == 200
    document = answer.json()
    assert (document["clean"], document["checked"], document["since"]) == (False, {"bookings": 7}, None)
    assert [(each["code"], each["repairable"]) for each in document["findings"]] == [
        ("no_slot", False),
        ("undriven", True),
    ]
    page = await house.http.get(f"{house.url}/operations/audit", headers=headers)
    assert page.status_code == 200
    assert "2 discrepancies" in page.text
    assert "nothing &lt;b&gt;bold&lt;/b&gt;" in page.text
    posted = await house.http.post(f"{house.url}/operations/audit", data={"token": token})
    assert "2 discrepancies" in posted.text
    assert token not in posted.text
    assert posted.headers["Cache-Control"] == "no-store"
    assert "form-action 'self'" in posted.headers["Content-Security-Policy"]


async def _answers(house: House, token: str | None) -> list[httpx.Response]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = house.url
    return [
        await house.http.get(f"{url}/v1/operations/audit", headers=headers),
        await house.http.get(f"{url}/operations/audit", headers=headers),
        await house.http.post(f"{url}/operations/audit", data={"token": token or ""}),
    ]


@pytest.mark.parametrize("role", ["customer", "mechanic", "service", None, "nonsense"])
async def test_nobody_else_does(house: House, kept: Outcome, role: str | None) -> None:
    issued = role not in (None, "nonsense")
    subject = "00000000-0000-4000-8000-0000000000c1"
    token = await Issuer(house.http, house.stack).token(subject, str(role)) if issued else role
    answers = await _answers(house, token)
    refused = 403 if issued else 401
    # Without a token the page asks for one.
    expected = [refused, refused if token else 200, refused]
    assert [answer.status_code for answer in answers] == expected
    assert not any("nobody drives" in answer.text for answer in answers)


@pytest.mark.parametrize("body", [b"", b"token", b"token=\xff\x00", b"token=" + b"x" * 20_000, b"token=a&token=%00"])
async def test_a_form_that_holds_no_token(house: House, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await house.http.post(f"{house.url}/operations/audit", content=body, headers=headers)
    assert answer.status_code == 401
    assert "Access token" in answer.text


async def test_row_security_keeps_it_from_others(house: House, kept: Outcome) -> None:
    """Not only the route: the same query as the API's role shows nothing to a customer."""
    async with open_pool(house.settings.api_database_url, 1, "test") as pool, pool.acquire() as connection:
        for role, seen in (("operator", True), ("metrics", True), ("customer", False), ("webhook", False), ("", False)):
            async with connection.transaction():
                await connection.execute("SELECT set_config('pitstop.role', $1, TRUE)", role)
                for table in ("audit_runs", "audit_findings"):
                    count = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
                    assert (count > 0) == seen, (role, table)


async def test_metrics(house: House, kept: Outcome) -> None:
    async with open_pool(house.settings.api_database_url, 1, "test") as pool:
        families = {family.name: family for family in await LastAudit(AuditBoard(pool)).read()}
    by_kind = {each.labels["kind"]: each.value for each in families["pitstop_audit_discrepancies"].samples}
    assert by_kind.keys() == {kind.code for kind in kinds.ALL}
    assert {code: value for code, value in by_kind.items() if value} == {"no_slot": 1, "undriven": 1}
    assert families["pitstop_audit_duration_seconds"].samples[0].value == 1.5
    assert families["pitstop_audit_last_run_timestamp_seconds"].samples[0].value > 0


async def test_no_metrics_before_the_first_pass(house: House) -> None:
    await house.database.execute("DELETE FROM audit_runs")
    async with open_pool(house.settings.api_database_url, 1, "test") as pool:
        assert await LastAudit(AuditBoard(pool)).read() == []
    token = await Issuer(house.http, house.stack).token("operator-1", "operator")
    answers = await _answers(house, token)
    assert [answer.status_code for answer in answers] == [404, 200, 200]
    assert "No audit has come to its end yet" in answers[1].text
