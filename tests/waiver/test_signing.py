"""Signing by the API: who, what, when; what is kept of it, and what is refused."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.support.people import Customer, events
from tests.waiver.conftest import Booked, Json, MakeSigner, Someone

PROBLEM = "application/problem+json"


def _code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == PROBLEM, answer.text
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("kind", ["in_person", "diagnostic"])
async def test_what_a_signature_keeps(booked: Booked, signer: MakeSigner, database: Any, kind: str) -> None:
    who = await signer(await booked(kind))
    assert (await who.read())["waiver_status"] == "required"
    answer = await who.sign("  Zoé Łukasz-O'Brien ")
    assert answer.status_code == 200, answer.text
    state = answer.json()
    assert (state["waiver_status"], state["booking_id"]) == ("signed", str(who.case.booking_id))
    [row] = await database.fetch("SELECT * FROM waiver_signatures WHERE booking_id = $1", who.case.booking_id)
    document = await database.fetchrow(
        "SELECT * FROM waiver_documents WHERE version = $1 AND language = 'en'", row["version"]
    )
    assert row["signed_name"] == "Zoé Łukasz-O'Brien"
    assert (row["sha256"], row["address"], row["user_agent"]) == (document["sha256"], "127.0.0.1", "Browser/1.0")
    assert (row["signer_role"], row["signer"]) == ("customer", str(who.case.customer_id))
    assert state["signatures"][0]["sha256"] == document["sha256"].hex()
    read = await who.read()
    assert (read["waiver_status"], events(read)) == ("signed", ["waiver_signed"])


@pytest.mark.parametrize("kind", ["video", "chat"])
async def test_other_kinds_need_none(booked: Booked, signer: MakeSigner, kind: str) -> None:
    who = await signer(await booked(kind))
    assert (await who.read())["waiver_status"] == "not_required"
    assert _code(await who.sign()) == (409, "waiver_not_required")


async def test_the_kind_is_that_of_the_bookings_moment(booked: Booked, signer: MakeSigner, database: Any) -> None:
    """A service that is another kind of session tomorrow changes nothing of what was booked today."""
    case = await booked("in_person")
    await database.execute("UPDATE services SET kind = 'video' WHERE id = $1", case.shop.service_id)
    assert (await (await signer(case)).read())["waiver_status"] == "required"


async def test_signing_again_keeps_both(booked: Booked, signer: MakeSigner) -> None:
    who = await signer(await booked())
    first = (await who.sign("Camille Roy")).json()["signatures"]
    both = (await who.sign("C. Roy", language="fr")).json()["signatures"]
    assert both[:1] == first
    assert [(each["signed_name"], each["language"]) for each in both] == [("Camille Roy", "en"), ("C. Roy", "fr")]
    assert events(await who.read()) == ["waiver_signed", "waiver_signed"]


async def test_the_name_is_in_no_timeline_and_no_log(
    booked: Booked, signer: MakeSigner, operator: Customer, database: Any
) -> None:
    who, name = await signer(await booked()), f"Xanthippe{uuid4().hex[:8]}"
    await who.sign(name)
    entries = (await operator.get("/v1/audit-log", object_id=str(who.case.booking_id))).json()["items"]
    assert [entry["action"] for entry in entries if entry["outcome"] == "done"] == ["waiver.sign"]
    assert name not in str(entries)
    assert name not in str((await who.read())["timeline"])
    kept = "SELECT count(*) FROM audit_log WHERE action = 'waiver.sign' AND object_id = $1"
    assert await database.fetchval(kept, str(who.case.booking_id)) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"accepted": False}, "body.accepted"),
        ({"accepted": None}, "body.accepted"),
        ({"accepted": "true"}, "body.accepted"),
        ({"accepted": 1}, "body.accepted"),
        *(
            ({"signed_name": name}, "body.signed_name")
            for name in ("", "   ", "123", "…", "x" * 201, "a\nb", "a\x00b", "a\u202eb", "\ud800", 7, None)
        ),
        *(({"document_version": bad}, "body.document_version") for bad in (0, -1, "1", 1.5, True, 2**31)),
        ({"language": "de"}, "body.language"),
        ({"accepted_at": "2020-01-01T00:00:00Z"}, "body.accepted_at"),
        ({"address": "1.2.3.4"}, "body.address"),
    ],
)
async def test_what_is_no_signature(booked: Booked, signer: MakeSigner, changes: Json, field: str) -> None:
    who = await signer(await booked())
    body = {"signed_name": "Camille Roy", "document_version": await who.current(), "accepted": True} | changes
    content, sent = json.dumps(body), who.headers | {"Content-Type": "application/json"}
    answer = await who.http.post(who.path, content=content, headers=sent)
    assert _code(answer) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == field
    assert (await who.read())["waiver_status"] == "required"


@pytest.mark.parametrize(
    "status", ["awaiting_payment", "expired", "cancelled", "refunded", "no_show", "completed", "in_progress"]
)
async def test_what_does_not_stand_or_has_begun_is_not_signed(booked: Booked, signer: MakeSigner, status: str) -> None:
    assert _code(await (await signer(await booked(status=status))).sign()) == (409, "not_signable")


async def test_an_immediate_session_is_signed_before_it_is_taken(booked: Booked, signer: MakeSigner) -> None:
    assert (await (await signer(await booked("diagnostic", "pending"))).sign()).status_code == 200


async def test_who_may_sign(booked: Booked, signer: MakeSigner, someone: Someone, database: Any) -> None:
    """The customer by token or link; a service for what it booked; nobody else, and others find no booking."""
    case = await booked(by="service")
    who = await signer(case)
    version = await who.current()
    body = {"signed_name": "Camille Roy", "document_version": version, "accepted": True}
    expected = {
        ("service", case.created_by): 200,
        ("service", str(uuid4())): 404,
        ("service", str(case.customer_id)): 404,
        ("customer", str(uuid4())): 404,
        ("mechanic", str(case.shop.mechanic_id)): 403,
        ("operator", "operator-1"): 403,
    }
    for (role, subject), status in expected.items():
        caller = await someone(role, subject)
        answer = await who.http.post(who.path, json=body, headers=caller.headers)
        assert answer.status_code == status, (role, answer.text)
    assert (await who.http.post(who.path, json=body)).status_code == 401
    assert (await who.http.post(who.path, json=body, params={"token": "x.y.z"})).status_code == 404
    other = await signer(await booked())
    assert (await who.http.post(who.path, json=body, params={"token": other.link})).status_code == 404
    assert (await who.by_link()).status_code == 200
    rows = await database.fetch(
        "SELECT signer_role, signer FROM waiver_signatures WHERE booking_id = $1 ORDER BY accepted_at", case.booking_id
    )
    assert [tuple(row) for row in rows] == [("service", case.created_by), ("link", str(case.booking_id))]


async def test_an_agent_is_text_and_has_an_end(booked: Booked, signer: MakeSigner, database: Any) -> None:
    who = await signer(await booked())
    body = {"signed_name": "Camille Roy", "document_version": await who.current(), "accepted": True}
    token = who.headers["Authorization"].encode()
    for agent in (b"x" * 3000, "Zo\u00e9\x85[31m".encode("latin-1"), b""):
        headers = {b"Authorization": token, b"User-Agent": agent}
        answer = await who.http.post(who.path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
    agents = [
        row["user_agent"]
        for row in await database.fetch(
            "SELECT user_agent FROM waiver_signatures WHERE booking_id = $1 ORDER BY accepted_at",
            UUID(str(who.case.booking_id)),
        )
    ]
    assert agents == ["x" * 500, "Zo\u00e9 [31m", ""]


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE waiver_signatures; --", "<script>alert(1)</script>", "{{7*7}} a", "%s a"]
)
async def test_a_name_is_a_name(booked: Booked, signer: MakeSigner, name: str) -> None:
    who = await signer(await booked())
    assert (await who.sign(name)).json()["signatures"][0]["signed_name"] == name
    page = await who.http.get(f"{who.url}/bookings/{who.case.booking_id}/waiver", params={"token": who.link})
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "49 a" not in page.text
    pdf = await who.http.get(f"{who.path}.pdf", headers=who.headers)
    assert (pdf.status_code, pdf.headers["content-type"]) == (200, "application/pdf")
