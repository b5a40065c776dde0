"""Who did what is on record with what was done, and stays there."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import jwt
import pytest
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow
from temporalio.exceptions import ApplicationError

from activities.privacy import SealActivities
from api.audit_log import Refusals
from pitstop.contracts.privacy import SealOrder
from pitstop.devstack.stackfile import Stack
from pitstop.postgres.audit_log import PostgresSeals
from tests.privacy.conftest import Caller, Words
from tests.support.databases import Urls, fresh_database
from tests.support.people import Customer
from tests.support.shop import Shop

Pool = Any
Json = dict[str, Any]
_WRITE = "INSERT INTO audit_log (actor_role, actor, action, object_kind, outcome) VALUES ($1, $2, 'x', 'x', 'done')"


async def _log(operator: Customer, **query: Any) -> list[Json]:
    answer = await operator.get("/v1/audit-log", **query)
    assert answer.status_code == 200, answer.text
    items: list[Json] = answer.json()["items"]
    return items


async def _about(operator: Customer, booking: str) -> list[tuple[str, str, str, str]]:
    items = await _log(operator, object_id=booking)
    return [(e["actor_role"], e["actor"], e["action"], e["outcome"]) for e in reversed(items)]


async def test_what_was_done_and_read_and_refused_is_told(
    customer: Customer, rival: Customer, operator: Customer, words: Words, shop: Shop, stack: Stack
) -> None:
    answer = await customer.post(words.body(customer.request(shop, shop.start())))
    booking = answer.json()["id"]
    await customer.get(f"/v1/bookings/{booking}")
    await rival.get(f"/v1/bookings/{booking}")
    await operator.get(f"/v1/bookings/{booking}")
    subject = _subject(operator)
    assert await _about(operator, booking) == [
        ("customer", str(customer.id), "booking.open", "done"),
        ("customer", str(rival.id), "request", "refused"),
        ("operator", subject, "booking.read", "done"),
    ]
    opened = (await _log(operator, object_id=booking, action="booking.open"))[0]
    assert opened["request_id"] == answer.headers["X-Request-ID"]
    assert opened["address"]
    assert "127.0.0.1" not in str(opened)
    assert not [word for word in (*words.all, customer.email) if word in str(await _log(operator, object_id=booking))]
    looked = await _log(operator, actor=subject, action="audit_log.read")
    assert len(looked) >= 2


def _subject(who: Customer) -> str:
    claims = jwt.decode(who.token, options={"verify_signature": False})
    return str(claims["sub"])


async def test_without_a_token_it_is_nobody(operator: Customer, http: httpx.AsyncClient) -> None:
    """Others are refused at the same address at the same time, and only some of them are told: one is enough."""
    answer = await http.get(f"{operator.api_url}/v1/bookings/{uuid4()}")
    assert answer.status_code == 401
    told = [e for e in await _log(operator, action="request", limit=200) if e["actor_role"] == "nobody"]
    assert told
    assert {(entry["actor"], entry["outcome"], entry["detail"]["status"]) for entry in told} <= {
        ("", "refused", status) for status in (401, 403, 404)
    }


async def test_it_is_for_operators_and_paged(caller: Caller, operator: Customer, customer: Customer) -> None:
    for role in ("mechanic", "service", "customer"):
        answer = await (await caller(str(uuid4()), role)).get("/v1/audit-log")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    for _ in range(3):
        await _log(operator)
    subject = _subject(operator)
    first = (await operator.get("/v1/audit-log", actor=subject, limit=2)).json()
    second = (await operator.get("/v1/audit-log", actor=subject, limit=2, cursor=first["next_cursor"])).json()
    ids = [item["id"] for item in first["items"] + second["items"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids) >= 3
    for wrong in ({"cursor": "x"}, {"actor": "\0"}, {"object_id": "x"}, {"action": "x"}, {"limit": 0}):
        assert (await operator.get("/v1/audit-log", **wrong)).status_code == 422


def test_a_scanner_does_not_fill_it() -> None:
    refusals = Refusals()
    told = [untold for _ in range(50) if (untold := refusals.admit("scanner")) is not None]
    assert told == [0] * 10
    assert refusals.admit("somebody else") == 40, "what was not told is counted"
    assert sum(refusals.admit(str(n)) is not None for n in range(1000)) < 300


@pytest.fixture(scope="module")
async def urls(stack: Stack) -> Any:
    """A log of these tests' own, in which nobody else writes."""
    async with fresh_database(stack) as urls:
        yield urls


@pytest.fixture
async def superuser(urls: Urls) -> Any:
    connection = await asyncpg.connect(urls.superuser)
    yield connection
    await connection.close()


@pytest.fixture
async def seals(urls: Urls) -> Any:
    async with asyncpg.create_pool(urls.worker, min_size=0, max_size=2) as pool:
        yield PostgresSeals(pool)


@pytest.mark.parametrize("table", ["audit_log", "audit_seals"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET id = DEFAULT", "DELETE FROM {}", "TRUNCATE {}"])
async def test_nobody_changes_it(urls: Urls, table: str, statement: str) -> None:
    """Neither the roles of the product nor the owner nor a superuser, as long as the trigger is there."""
    for url, role in (
        (urls.api, None),
        (urls.worker, None),
        (urls.superuser, "pitstop_owner"),
        (urls.superuser, None),
    ):
        connection = await asyncpg.connect(url)
        try:
            if role:
                await connection.execute(f"SET ROLE {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(table))
        finally:
            await connection.close()


async def test_nobody_writes_in_anothers_name_or_at_another_time(urls: Urls) -> None:
    connection = await asyncpg.connect(urls.api)
    become = "SELECT set_config('pitstop.role', 'customer', TRUE), set_config('pitstop.subject', 'me', TRUE)"
    for sql, arguments, allowed in (
        (_WRITE, ("customer", "me"), True),
        (_WRITE, ("customer", "you"), False),
        (_WRITE, ("operator", "me"), False),
        (_WRITE.replace("(actor_role", "(at, actor_role").replace("($1", "(now(), $1"), ("customer", "me"), False),
        ("SELECT seal_audit_log(10)", (), False),
    ):
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(become)
        if allowed:
            await connection.execute(sql, *arguments)
            assert await connection.fetchval("SELECT count(*) FROM audit_log") == 0, "a customer reads nothing of it"
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql, *arguments)
        await transaction.rollback()
    await connection.close()


TAMPERING = {
    "changed": "UPDATE audit_log SET actor = 'somebody else' WHERE id = (SELECT min(id) FROM audit_log)",
    "removed": "DELETE FROM audit_log WHERE id = (SELECT max(id) FROM audit_log WHERE actor = 'before')",
    "slipped in": "INSERT INTO audit_log (actor_role, actor, action, object_kind, outcome, written_by)"
    " SELECT 'x', 'x', 'x', 'x', 'done', min(written_by) FROM audit_log",
    "a seal removed": "DELETE FROM audit_seals WHERE id = (SELECT min(id) FROM audit_seals)",
}


async def _nobody_else_writes(superuser: Any) -> None:
    """Until what began before now has ended: a seal waits for every transaction of the server, other databases' too."""
    now = await superuser.fetchval("SELECT pg_current_xact_id()::text::bigint")
    for _ in range(1200):
        if await superuser.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint") > now:
            return
        await asyncio.sleep(0.05)
    pytest.fail("somebody writes for a minute")


async def test_a_superuser_who_disables_the_trigger_is_noticed(superuser: Any, seals: PostgresSeals) -> None:
    for name in ("before", "between"):
        for _ in range(5):
            await superuser.execute(_WRITE, "operator", name)
        await _nobody_else_writes(superuser)
        assert await seals.seal(1000) is not None
    assert await seals.seal(1000) is None, "nothing new"
    assert await seals.broken() == []
    for what, sql in TAMPERING.items():
        transaction = superuser.transaction()
        await transaction.start()
        for table in ("audit_log", "audit_seals"):
            await superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        await superuser.execute(sql)
        assert await superuser.fetch("SELECT id FROM broken_audit_seals(NULL)"), what
        await transaction.rollback()
    assert await seals.broken() == []


async def test_what_is_still_being_written_waits_for_its_seal(urls: Urls, superuser: Any, seals: PostgresSeals) -> None:
    """A transaction that began first and ends last: its row is in a later seal, and no seal is broken by it."""
    slow = await asyncpg.connect(urls.superuser)
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(_WRITE, "operator", "slow")
    await superuser.execute(_WRITE, "operator", "quick")
    await seals.seal(1000)
    await transaction.commit()
    await slow.close()
    await _nobody_else_writes(superuser)
    assert await seals.seal(1000) is not None
    assert await seals.broken() == []
    sealed = await superuser.fetchval("SELECT sum(entries) FROM audit_seals")
    assert sealed == await superuser.fetchval("SELECT count(*) FROM audit_log")


async def test_seals_cover_the_log_in_batches(superuser: Any, seals: PostgresSeals) -> None:
    for number in range(12):
        await superuser.execute(_WRITE, "operator", str(number))
    await _nobody_else_writes(superuser)
    made = []
    while (seal := await seals.seal(5)) is not None:
        made.append(seal.entries)
    assert len(made) >= 2
    assert sum(made) == 12
    assert await seals.broken() == []


async def test_a_broken_chain_fails_the_run_and_what_is_new_is_sealed_all_the_same(
    superuser: Any, seals: PostgresSeals
) -> None:
    await superuser.execute(_WRITE, "operator", "before")
    await _nobody_else_writes(superuser)
    activities = SealActivities(seals)
    assert await activities.seal(SealOrder(most=1000)) is not None
    assert await activities.seal(SealOrder(most=1000)) is None
    await superuser.execute("ALTER TABLE audit_log DISABLE TRIGGER append_only")
    await superuser.execute("UPDATE audit_log SET actor = 'nobody at all' WHERE actor = 'before'")
    await superuser.execute("ALTER TABLE audit_log ENABLE TRIGGER append_only")
    await superuser.execute(_WRITE, "operator", "after")
    await _nobody_else_writes(superuser)
    newest = await superuser.fetchval("SELECT max(id) FROM audit_seals")
    with pytest.raises(ApplicationError, match="do not fit"):
        await activities.seal(SealOrder(most=1000))
    assert await superuser.fetchval("SELECT max(id) FROM audit_seals") == newest + 1


async def test_the_stack_seals_by_its_schedule(stack: Stack, temporal: Client, operator: Customer) -> None:
    await _log(operator)
    handle = temporal.get_schedule_handle("seal-audit-log/pitstop")
    before = (await handle.describe()).info.num_actions
    await handle.trigger()
    for _ in range(100):
        info = (await handle.describe()).info
        if info.num_actions > before and not info.running_actions:
            break
        await asyncio.sleep(0.1)
    action = info.recent_actions[-1].action
    assert isinstance(action, ScheduleActionExecutionStartWorkflow)
    run = temporal.get_workflow_handle(action.workflow_id, run_id=action.first_execution_run_id)
    sealed = await run.result()
    assert sealed["entries"] >= 1
    assert len(sealed["digest"]) == 64
