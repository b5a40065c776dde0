"""The page: read, typed, ticked, signed, proven; by a form, without a script."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.people import Customer
from tests.waiver.conftest import Booked, MakeSigner, Signer


class _Form(HTMLParser):
    """The form as a browser would send it: where to, and its fields with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.fields = "", {}  # type: str, dict[str, dict[str, str | None]]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "form":
            assert named["method"] == "post"
            self.action = named["action"] or ""
        elif tag == "input":
            self.fields[named["name"] or ""] = named


def _text(page: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


async def _read(who: Signer, **query: str) -> httpx.Response:
    path = f"{who.url}/bookings/{who.case.booking_id}/waiver"
    return await who.http.get(path, params={"token": who.link} | query)


async def _send(who: Signer, page: httpx.Response, **typed: str) -> httpx.Response:
    form = _Form(page.text)
    data = {"document_version": form.fields["document_version"]["value"] or ""} | typed
    return await who.http.post(f"{who.url}{form.action}", data=data, headers={"User-Agent": "Phone/2"})


async def test_read_type_tick_sign(booked: Booked, signer: MakeSigner, database: Any) -> None:
    who = await signer(await booked())
    page = await _read(who)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "To be signed" in _text(page)
    answer = await _send(who, page, signed_name="Zoé <b>Roy</b>", accepted="yes")
    assert answer.status_code == 303
    signed = await who.http.get(f"{who.url}{answer.headers['location']}")
    assert "Zoé &lt;b&gt;Roy&lt;/b&gt;" in signed.text
    assert "<b>" not in signed.text
    [row] = await database.fetch("SELECT * FROM waiver_signatures WHERE booking_id = $1", who.case.booking_id)
    assert row["sha256"].hex() in signed.text
    assert row["accepted_at"].isoformat() in signed.text
    assert (row["signer_role"], row["user_agent"], row["address"]) == ("link", "Phone/2", "127.0.0.1")
    pdf = re.search(r'href="([^"]+waiver\.pdf[^"]*)"', signed.text)
    assert pdf
    evidence = await who.http.get(f"{who.url}{unescape(pdf[1])}")
    assert (evidence.status_code, evidence.headers["content-type"]) == (200, "application/pdf")


async def test_what_it_says_to_the_browser(booked: Booked, signer: MakeSigner) -> None:
    who = await signer(await booked())
    page = await _read(who)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "script-src" not in policy
    assert "<script" not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert 'name="viewport"' in page.text
    assert not re.findall(r'(?:src|href|action)="(?!/)', page.text), "everything is from here"
    fields = _Form(page.text).fields
    assert fields["signed_name"]["autocomplete"] == "name"
    for name in ("signed_name", "accepted"):
        assert "required" in fields[name]
        assert f'<label for="{name}">' in page.text


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"signed_name": "Camille Roy"}, "Tick the box"),
        ({"signed_name": "Camille Roy", "accepted": "no"}, "Tick the box"),
        ({"signed_name": " ", "accepted": "yes"}, "Type your name"),
        ({"accepted": "yes"}, "Type your name"),
        ({"signed_name": "x" * 201, "accepted": "yes"}, "Type your name"),
        ({"signed_name": "a\u202eb", "accepted": "yes"}, "Type your name"),
    ],
)
async def test_what_is_missing_is_said(booked: Booked, signer: MakeSigner, typed: dict[str, str], says: str) -> None:
    who = await signer(await booked())
    answer = await _send(who, await _read(who), **typed)
    assert answer.status_code == 422
    assert says in _text(answer)
    typed_before = _Form(answer.text).fields["signed_name"]["value"]
    assert typed_before == typed.get("signed_name", "")
    assert (await who.read())["waiver_status"] == "required"


async def test_in_french(booked: Booked, signer: MakeSigner, database: Any) -> None:
    who = await signer(await booked())
    page = await _read(who, language="fr")
    assert '<html lang="fr">' in page.text
    assert "Tapez votre nom complet" in _text(page)
    assert 'hreflang="en"' in page.text
    assert (await _send(who, page, signed_name="Zoé Roy", accepted="yes")).status_code == 303
    query = "SELECT language FROM waiver_signatures WHERE booking_id = $1"
    assert await database.fetchval(query, who.case.booking_id) == "fr"
    assert '<html lang="en">' in (await _read(who, language="xx")).text


async def test_a_document_that_changed_while_it_was_read(
    booked: Booked, signer: MakeSigner, operator: Customer
) -> None:
    who = await signer(await booked())
    page, mark = await _read(who), uuid4().hex
    texts = {"en": f"Waiver\n\nNew clause {mark}.", "fr": f"Décharge {mark}"}
    await who.http.post(f"{who.url}/v1/waiver-documents", json={"texts": texts}, headers=operator.headers)
    answer = await _send(who, page, signed_name="Camille Roy", accepted="yes")
    assert answer.status_code == 409
    assert "has changed" in _text(answer)
    assert mark in answer.text, "the new one is there to read"
    assert (await _send(who, answer, signed_name="Camille Roy", accepted="yes")).status_code == 303


@pytest.mark.parametrize("version", ["", "x", "-1", "9" * 40, "1; DROP TABLE bookings"])
async def test_a_version_that_is_none(booked: Booked, signer: MakeSigner, version: str) -> None:
    who = await signer(await booked())
    answer = await _send(who, await _read(who), signed_name="Camille Roy", accepted="yes", document_version=version)
    assert answer.status_code == 409


@pytest.mark.parametrize(("kind", "status"), [("video", "confirmed"), ("in_person", "cancelled")])
async def test_nothing_to_sign(booked: Booked, signer: MakeSigner, kind: str, status: str) -> None:
    who = await signer(await booked(kind, status))
    page = await _read(who)
    assert page.status_code == 200
    assert "nothing to sign" in _text(page)
    assert "<form" not in page.text
    path = f"{who.url}/bookings/{who.case.booking_id}/waiver"
    form = {"document_version": str(await who.current()), "signed_name": "Camille Roy", "accepted": "yes"}
    assert (await who.http.post(path, params={"token": who.link}, data=form)).status_code == 409


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303),
        ({"Origin": "null"}, 303),
        ({}, 303),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
    ],
)
async def test_where_the_form_was_sent_from(
    booked: Booked, signer: MakeSigner, headers: dict[str, str], code: int
) -> None:
    who = await signer(await booked())
    path = f"{who.url}/bookings/{who.case.booking_id}/waiver"
    form = {"document_version": str(await who.current()), "signed_name": "Camille Roy", "accepted": "yes"}
    answer = await who.http.post(path, params={"token": who.link}, data=form, headers=headers)
    assert answer.status_code == code
    assert (await who.read())["waiver_status"] == ("signed" if code == 303 else "required")


async def test_another_link_opens_nothing(booked: Booked, signer: MakeSigner, http: httpx.AsyncClient) -> None:
    who, other = await signer(await booked()), await signer(await booked())
    path = f"{who.url}/bookings/{who.case.booking_id}/waiver"
    form = {"document_version": "1", "signed_name": "Camille Roy", "accepted": "yes"}
    for token in (other.link, "", "x", "x" * 3000):
        assert (await http.get(path, params={"token": token})).status_code == 404
        assert (await http.post(path, params={"token": token}, data=form)).status_code == 404
    assert (await who.read())["waiver_status"] == "required"


async def test_the_bookings_page_leads_there(booked: Booked, signer: MakeSigner) -> None:
    for kind, there in (("in_person", True), ("diagnostic", True), ("video", False)):
        who = await signer(await booked(kind))
        page = await who.http.get(f"{who.url}/manage/{who.case.booking_id}", params={"token": who.link})
        assert (f"/bookings/{who.case.booking_id}/waiver?token=" in page.text) is there
        assert page.status_code == 200
