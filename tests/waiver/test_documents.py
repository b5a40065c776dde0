"""Documents: published by operators, in force from a time on, never changed; and which version may be signed."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tests.support.databases import Urls
from tests.support.people import Customer
from tests.waiver.conftest import Booked, MakeSigner, Someone


async def _publish(who: Customer, texts: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
    mark = uuid4().hex
    body = {"texts": texts or {"en": f"Waiver {mark}\n\nText.", "fr": f"Décharge {mark}\n\nTexte."}} | more
    return await who.http.post(f"{who.api_url}/v1/waiver-documents", json=body, headers=who.headers)


async def _current(http: httpx.AsyncClient, url: str, language: str = "en") -> Any:
    answer = await http.get(f"{url}/v1/waiver-documents/current", params={"language": language})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_first_comes_with_the_product(database: Any) -> None:
    rows = await database.fetch(
        "SELECT language, body, sha256 FROM waiver_documents WHERE version = 1 ORDER BY language"
    )
    assert [row["language"] for row in rows] == ["en", "fr"]
    for row in rows:
        assert hashlib.sha256(row["body"].encode()).digest() == row["sha256"]


async def test_anybody_reads_it_in_two_languages(http: httpx.AsyncClient, url: str) -> None:
    texts = [await _current(http, url, language) for language in ("en", "fr")]
    assert texts[0]["version"] == texts[1]["version"]
    for each in texts:
        assert hashlib.sha256(each["text"].encode()).hexdigest() == each["sha256"]
    answer = await http.get(f"{url}/v1/waiver-documents/current", params={"language": "de"})
    assert answer.status_code == 422


async def test_an_operator_publishes_the_next_version(operator: Customer, http: httpx.AsyncClient, url: str) -> None:
    before = (await _current(http, url))["version"]
    texts = {"en": f"Waiver {uuid4().hex}\r\n\r\nNew.\r\n", "fr": f"Décharge {uuid4().hex}"}
    answer = await _publish(operator, texts)
    assert answer.status_code == 201, answer.text
    assert answer.json()["version"] == before + 1
    current = await _current(http, url)
    assert (current["version"], current["text"]) == (before + 1, texts["en"].replace("\r\n", "\n").strip())
    again = await _publish(operator, texts)
    assert (again.status_code, again.json()["version"]) == (200, before + 1), "a request that is repeated"
    log = (await operator.get("/v1/audit-log", action="waiver.publish", limit=1)).json()["items"]
    assert log[0]["detail"]["version"] == before + 1
    assert log[0]["detail"]["sha256"]["en"] == current["sha256"]


@pytest.mark.parametrize("role", ["customer", "mechanic", "service"])
async def test_nobody_else_publishes(someone: Someone, role: str) -> None:
    answer = await _publish(await someone(role, str(uuid4())))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "texts",
    [
        {"en": "x"},
        {"en": "x", "fr": ""},
        {"en": "x", "fr": " \n "},
        {"en": "x", "fr": "a\x00b"},
        {"en": "x", "fr": "y", "de": "z"},
    ],
)
async def test_what_is_no_document(operator: Customer, texts: dict[str, Any]) -> None:
    assert (await _publish(operator, texts)).status_code == 422


async def test_when_it_comes_into_force(operator: Customer, http: httpx.AsyncClient, url: str) -> None:
    now = datetime.now(UTC)
    assert (await _publish(operator, in_force_from=(now - timedelta(hours=1)).isoformat())).status_code == 422
    # Until then no other could come into force.
    for never in (now + timedelta(days=367), datetime.max.replace(tzinfo=UTC)):
        assert (await _publish(operator, in_force_from=never.isoformat())).status_code == 422
    before = await _current(http, url)
    soon = now + timedelta(seconds=8)
    later = await _publish(operator, in_force_from=soon.isoformat())
    assert later.status_code == 201
    assert await _current(http, url) == before
    assert (await _publish(operator)).status_code == 422, "it would be overtaken by one that was published before it"
    await _until(soon)
    assert (await _current(http, url))["version"] == later.json()["version"]


async def _until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()) + 0.1)


async def test_an_outdated_version_is_not_signed_and_the_current_one_is_named(
    operator: Customer, booked: Booked, signer: MakeSigner
) -> None:
    who = await signer(await booked())
    old = await who.current()
    assert (await _publish(operator)).status_code == 201
    for wrong in (old, old + 2):
        answer = await who.sign(document_version=wrong)
        assert (answer.status_code, answer.json()["code"]) == (409, "waiver_outdated")
        assert f"Version {old + 1} " in answer.json()["detail"]
    assert (await who.sign()).status_code == 200


async def test_the_version_that_was_asked_for_may_be_signed(
    operator: Customer, booked: Booked, signer: MakeSigner, database: Any
) -> None:
    """Whoever was sent one this morning signs that one, though another has come since."""
    case = await booked()
    who, other = await signer(case), await signer(await booked())
    old = await who.current()
    async with database.acquire() as connection, connection.transaction():
        # Whether the kind is among those of `notifications` is not this test's to say.
        await connection.execute("ALTER TABLE notifications DROP CONSTRAINT IF EXISTS notifications_kind_check")
        await connection.execute(
            "INSERT INTO notifications (key, booking_id, kind, status, sent_at)"
            " VALUES ($1, $2, 'waiver_request', 'sent', clock_timestamp())",
            f"{case.booking_id}/waiver_request",
            case.booking_id,
        )
    assert (await _publish(operator)).status_code == 201
    assert (await who.sign(document_version=old)).status_code == 200
    assert (await other.sign(document_version=old)).json()["code"] == "waiver_outdated"
    assert (await who.read())["waiver_status"] == "signed"


async def test_a_newer_version_takes_no_signature_away(operator: Customer, booked: Booked, signer: MakeSigner) -> None:
    who = await signer(await booked())
    await who.sign()
    assert (await _publish(operator)).status_code == 201
    assert (await who.read())["waiver_status"] == "signed"


@pytest.mark.parametrize("role", [None, "pitstop_owner", "pitstop_api", "pitstop_worker"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE waiver_documents SET in_force_from = now()",
        "UPDATE waiver_documents SET body = body",
        "DELETE FROM waiver_documents",
        "TRUNCATE waiver_documents CASCADE",
    ],
)
async def test_a_published_one_never_changes(urls: Urls, role: str | None, change: str) -> None:
    connection = await asyncpg.connect(urls.superuser)
    try:
        if role:
            await connection.execute(f"SET ROLE {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(change)
    finally:
        await connection.close()


async def test_its_hash_is_that_of_its_text(database: Any) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="hash_of_its_text"):
        await database.execute(
            "INSERT INTO waiver_documents (version, language, body, sha256, in_force_from)"
            " VALUES (100, 'en', 'x', sha256('y'), now())"
        )


async def test_two_operators_at_once_publish_one_after_the_other(operator: Customer) -> None:
    answers = await asyncio.gather(*(_publish(operator) for _ in range(5)))
    # One that began later and came first is in force already.
    made = sorted(answer.json()["version"] for answer in answers if answer.status_code == 201)
    assert made == list(range(made[0], made[0] + len(made)))
    assert {answer.status_code for answer in answers} <= {201, 422}
