"""Evidence is added and never changed: by no role, not even a superuser's, as long as the triggers are there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from pitstop.domain.waiver import WaiverStatus
from tests.support.databases import Urls
from tests.support.rows import Case, add_signature
from tests.waiver.conftest import Booked, MakeSigner

_BECOME = "SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)"
_SIGN = "SELECT sign_waiver($1, waiver_in_force(now()), 'en', 'A B', '203.0.113.7', 'x', interval '1 day')"
_STATUS = "SELECT waiver_status($1)"


@asynccontextmanager
async def _as(url: str, *caller: str) -> AsyncIterator[Any]:
    """A transaction that leaves nothing behind."""
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        if caller:
            await connection.execute(_BECOME, *caller)
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


_EMPTY = "UPDATE waiver_signatures SET signed_name = '', address = '', user_agent = '', salt = NULL"
CHANGES = [
    "UPDATE waiver_signatures SET signed_name = 'Somebody Else'",
    "UPDATE waiver_signatures SET accepted_at = now()",
    "UPDATE waiver_signatures SET version = 1",
    "UPDATE waiver_signatures SET signed_name = '', address = '', user_agent = ''",
    f"{_EMPTY}, erased_at = now()",
    _EMPTY.replace("address = ''", "address = 'x'") + ", erased_at = 'infinity'",
    f"{_EMPTY}, erased_at = 'infinity', version = 9",
    f"{_EMPTY}, erased_at = 'infinity', sha256 = ''",
    "DELETE FROM waiver_signatures",
    "TRUNCATE waiver_signatures",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_nobody_changes_a_signature(urls: Urls, booked: Booked, database: Any, change: str) -> None:
    await add_signature(database, await booked())
    for url, role in (
        (urls.api, None),
        (urls.worker, None),
        (urls.audit, None),
        (urls.superuser, None),
        (urls.superuser, "pitstop_owner"),
    ):
        async with _as(url) as connection:
            if role:
                await connection.execute(f"SET LOCAL ROLE {role}")
            try:
                done = await connection.execute(change)
            except asyncpg.InsufficientPrivilegeError:
                continue
            assert done == "UPDATE 0", (role, url)


async def test_without_the_trigger_a_superuser_does(urls: Urls, booked: Booked, database: Any) -> None:
    await add_signature(database, await booked())
    async with _as(urls.superuser) as connection:
        await connection.execute("ALTER TABLE waiver_signatures DISABLE TRIGGER append_only")
        assert await connection.execute(CHANGES[0]) != "UPDATE 0"


async def test_the_worker_empties_what_need_not_be_kept_and_no_more(urls: Urls, booked: Booked, database: Any) -> None:
    signature = await add_signature(database, await booked())
    empty = _EMPTY + ", erased_at = {} WHERE id = $1"
    async with _as(urls.worker) as connection:
        assert await connection.execute(empty.format("keep_until"), signature) == "UPDATE 1"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(empty.format("keep_until"), signature)


async def test_the_api_signs_through_the_function_only(urls: Urls, booked: Booked) -> None:
    case = await booked()
    async with _as(urls.api, "customer", str(case.customer_id)) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO waiver_signatures"
                " (booking_id, version, language, sha256, signed_name, address, user_agent, signer_role, signer,"
                " keep_until)"
                " SELECT $1, version, language, sha256, 'A', '', '', 'link', '', now() FROM waiver_documents",
                case.booking_id,
            )


async def test_the_database_itself_asks_who_signs(urls: Urls, booked: Booked) -> None:
    case = await booked(by="service")
    expected = {
        ("customer", str(case.customer_id)): "signed",
        ("link", str(case.booking_id)): "signed",
        ("service", case.created_by): "signed",
        ("customer", case.created_by): "not_found",
        ("service", str(case.customer_id)): "not_found",
        ("mechanic", str(case.shop.mechanic_id)): "not_found",
        ("operator", "operator-1"): "not_found",
        ("operator", case.created_by): "not_found",
        ("", ""): "not_found",
    }
    for caller, outcome in expected.items():
        async with _as(urls.api, *caller) as connection:
            assert await connection.fetchval(_SIGN, case.booking_id) == outcome, caller
    for url in (urls.worker, urls.audit):
        async with _as(url) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetchval(_SIGN, case.booking_id)


async def test_no_operator_publishes_in_anothers_name(urls: Urls) -> None:
    publish = (
        "INSERT INTO waiver_documents (version, language, body, sha256, in_force_from, published_by_role, published_by)"
        " VALUES (1000, 'en', 'x', sha256('x'), now(), 'operator', $1)"
    )
    for caller, allowed in ((("operator", "me"), True), (("operator", "you"), False), (("customer", "me"), False)):
        async with _as(urls.api, *caller) as connection:
            if allowed:
                await connection.execute(publish, "me")
                continue
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(publish, "me")


async def _tamper(connection: Any, case: Case) -> None:
    """Somebody rewrites the document that was signed, its hash with it: no constraint is broken."""
    await connection.execute("SET LOCAL session_replication_role = replica")
    await connection.execute(
        "UPDATE waiver_documents SET body = body || ' More.', sha256 = sha256(convert_to(body || ' More.', 'UTF8'))"
        " WHERE version = (SELECT version FROM waiver_signatures WHERE booking_id = $1)",
        case.booking_id,
    )


async def test_a_signature_that_fits_no_document_counts_for_nothing(urls: Urls, booked: Booked, database: Any) -> None:
    case = await booked()
    await add_signature(database, case)
    async with _as(urls.superuser) as connection:
        assert await connection.fetchval(_STATUS, case.booking_id) == WaiverStatus.SIGNED
        await _tamper(connection, case)
        assert await connection.fetchval(_STATUS, case.booking_id) == WaiverStatus.REQUIRED


async def test_a_name_that_was_rewritten_contradicts_the_sealed_log(
    urls: Urls, booked: Booked, signer: MakeSigner, database: Any
) -> None:
    who = await signer(await booked())
    await who.sign("Camille Roy")
    logged = "SELECT detail ->> 'digest' FROM audit_log WHERE action = 'waiver.sign' AND object_id = $1"
    digest = await database.fetchval(logged, str(who.case.booking_id))
    query = "SELECT waiver_digest(w) FROM waiver_signatures AS w WHERE booking_id = $1"
    assert await database.fetchval(query, who.case.booking_id) == digest
    async with _as(urls.superuser) as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        change = "UPDATE waiver_signatures SET signed_name = 'Camilla Roy' WHERE booking_id = $1"
        await connection.execute(change, who.case.booking_id)
        assert await connection.fetchval(query, who.case.booking_id) != digest


async def test_others_have_no_state_to_see(urls: Urls, booked: Booked) -> None:
    case = await booked()
    for caller, status in (
        (("customer", str(case.customer_id)), "required"),
        (("customer", case.created_by + "x"), None),
    ):
        async with _as(urls.api, *caller) as connection:
            assert await connection.fetchval(_STATUS, case.booking_id) == status
