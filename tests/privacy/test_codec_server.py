"""Operators read in the Temporal UI what nobody else does: the protocol as the UI speaks it, and who is refused."""

import json
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import httpx
import jwt
import pytest
from fastapi.responses import HTMLResponse
from google.protobuf.json_format import MessageToDict, Parse
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client

from api.composition import Rooms
from api.routes import sign_in
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.operator_sessions import OperatorSessions
from pitstop.settings import Settings
from tests.privacy.conftest import Caller
from tests.support.people import Customer, Issuer
from tests.support.shop import Shop
from tests.support.time import Clock

Json = dict[str, Any]
COOKIE = "pitstop_operator"


def _origin(stack: Stack) -> dict[str, str]:
    return {"Origin": stack.temporal_ui_url, "X-Namespace": stack.temporal_namespace}


async def _sealed(client: Client, *values: Any) -> Json:
    payloads = await client.data_converter.encode(values)
    body: Json = MessageToDict(Payloads(payloads=payloads))
    return body


async def _decode(stack: Stack, body: Any, headers: dict[str, str]) -> httpx.Response:
    """As the UI asks: by a client of its own, which has no cookie of another test's."""
    async with httpx.AsyncClient() as browser:
        content = body if isinstance(body, bytes) else json.dumps(body)
        headers = {"Content-Type": "application/json"} | headers
        return await browser.post(f"{stack.api_url}/codec/decode", content=content, headers=headers)


async def _sign_in(stack: Stack, token: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as browser:
        return await browser.post(f"{stack.api_url}/operators/sign-in", data={"token": token}, headers=headers)


def _cookie(answer: httpx.Response) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={answer.cookies[COOKIE]}"}


def _said(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    return [json.loads(payload.data) for payload in Parse(answer.content, Payloads()).payloads]


async def test_an_operator_reads_by_token_and_by_cookie(stack: Stack, operator: Customer, temporal: Client) -> None:
    body = await _sealed(temporal, "hold the slot", {"a": 1})
    assert "hold" not in json.dumps(body)
    answer = await _decode(stack, body, operator.headers | _origin(stack))
    assert _said(answer) == ["hold the slot", {"a": 1}]
    assert answer.headers["Access-Control-Allow-Origin"] == stack.temporal_ui_url
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Cache-Control"] == "no-store"
    signed_in = await _sign_in(stack, operator.token)
    assert "Signed in until" in signed_in.text
    assert _said(await _decode(stack, body, _cookie(signed_in) | _origin(stack))) == ["hold the slot", {"a": 1}]


async def test_the_cookie_is_no_token_and_goes_nowhere_else(stack: Stack, operator: Customer) -> None:
    signed_in = await _sign_in(stack, operator.token)
    header = signed_in.headers["Set-Cookie"]
    assert {"HttpOnly", "Path=/codec", "SameSite=lax"} <= set(re.split("; ", header))
    assert 0 < int(re.search(r"Max-Age=(\d+)", header)[1]) <= 3600  # type: ignore[index]
    assert operator.token not in header
    cookie = _cookie(signed_in)
    async with httpx.AsyncClient() as browser:
        for path in ("/v1/bookings", "/v1/audit-log"):
            assert (await browser.get(f"{stack.api_url}{path}", headers=cookie)).status_code == 401
            bearer = {"Authorization": f"Bearer {signed_in.cookies[COOKIE]}"}
            assert (await browser.get(f"{stack.api_url}{path}", headers=bearer)).status_code == 401


def test_in_production_the_cookie_is_for_tls_and_for_another_site() -> None:
    """Temporal Cloud's UI is another site: from there only `SameSite=None` goes along, which has to be `Secure`."""
    answer = HTMLResponse()
    rooms = cast(Rooms, SimpleNamespace(settings=SimpleNamespace(environment="production")))
    sign_in._keep(answer, rooms, "x", datetime.now(UTC) + timedelta(hours=1))
    assert {"HttpOnly", "Secure", "SameSite=none"} <= set(re.split("; ", answer.headers["set-cookie"]))


@pytest.mark.parametrize("role", ["customer", "mechanic", "service"])
async def test_nobody_else_reads(stack: Stack, caller: Caller, temporal: Client, role: str) -> None:
    body, who = await _sealed(temporal, "x"), await caller(str(uuid4()), role)
    answer = await _decode(stack, body, who.headers | _origin(stack))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert answer.headers["Access-Control-Allow-Origin"] == stack.temporal_ui_url, "so that the UI can say why"
    refused = await _sign_in(stack, who.token)
    assert (refused.status_code, COOKIE in refused.cookies) == (403, False)


async def test_without_being_known_nobody_reads(stack: Stack, operator: Customer, temporal: Client) -> None:
    body = await _sealed(temporal, "x")
    sessions = OperatorSessions(Settings(manage_link_secret=stack.environment["PITSTOP_MANAGE_LINK_SECRET"]))
    now = datetime.now(UTC)
    ended, _ = sessions.open("operator-1", now + timedelta(hours=9), now - timedelta(hours=2))
    forged = jwt.encode({"sub": "x", "aud": "pitstop-operator-session", "exp": now + timedelta(hours=1)}, "x" * 32)
    link = jwt.encode(
        {"sub": str(uuid4()), "aud": "pitstop-manage-link", "exp": now + timedelta(hours=1)},
        stack.environment["PITSTOP_MANAGE_LINK_SECRET"],
    )
    for cookie in ("", "x", ended, forged, link, operator.token):
        answer = await _decode(stack, body, {"Cookie": f"{COOKIE}={cookie}"} | _origin(stack))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), cookie
    assert (await _decode(stack, body, {"Authorization": "Bearer x"} | _origin(stack))).status_code == 401
    assert (await _sign_in(stack, "x")).status_code == 401
    fresh, _ = sessions.open("operator-1", now + timedelta(hours=9), now)
    assert (await _decode(stack, body, {"Cookie": f"{COOKIE}={fresh}"} | _origin(stack))).status_code == 200


async def test_a_session_ends_with_its_token(stack: Stack, http: httpx.AsyncClient) -> None:
    wish = {"sub": "operator-1", "role": "operator", "ttl_seconds": 60}
    token = (await http.post(f"{stack.issuer_url}/token", json=wish)).json()["access_token"]
    header = (await _sign_in(stack, token)).headers["Set-Cookie"]
    assert int(re.search(r"Max-Age=(\d+)", header)[1]) <= 60  # type: ignore[index]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None, "http://127.0.0.1:1"])
async def test_another_page_gets_nothing_by_the_cookie(
    stack: Stack, operator: Customer, temporal: Client, origin: str | None
) -> None:
    body, cookie = await _sealed(temporal, "x"), _cookie(await _sign_in(stack, operator.token))
    headers = {"Origin": origin} if origin else {}
    answer = await _decode(stack, body, cookie | headers)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_form_of_another_page_does_not_sign_in_or_out(stack: Stack, operator: Customer) -> None:
    for said in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await _sign_in(stack, operator.token, **said)
        assert (answer.status_code, COOKIE in answer.cookies) == (403, False)


async def test_a_browser_asks_before(stack: Stack, http: httpx.AsyncClient) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace,authorization",
    }
    url = f"{stack.api_url}/codec/decode"
    allowed = await http.options(url, headers=asked | _origin(stack))
    assert allowed.status_code == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == stack.temporal_ui_url
    refused = await http.options(url, headers=asked | {"Origin": "https://evil.example"})
    assert not [name for name in refused.headers if name.startswith("access-control")]


@pytest.mark.parametrize("body", [b"", b"[]", b"x", b'{"payloads": 5}', b"\xff"])
async def test_nonsense_is_refused(stack: Stack, operator: Customer, body: bytes) -> None:
    answer = await _decode(stack, body, operator.headers | _origin(stack))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


async def test_what_cannot_be_opened_stays_as_it_is(stack: Stack, operator: Customer, temporal: Client) -> None:
    body = await _sealed(temporal, "one", "two")
    lost = {"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA==", "encryption-key-id": "Z29uZQ=="}, "data": "AAAA"}
    body["payloads"].insert(1, lost)
    answer = await _decode(stack, body, operator.headers | _origin(stack))
    assert answer.json()["payloads"][1] == lost
    log = await operator.get("/v1/audit-log", action="payloads.open", limit=1)
    [entry] = log.json()["items"]
    assert entry["detail"] == {"namespace": stack.temporal_namespace, "payloads": 3, "not_readable": 1}


async def test_every_opening_is_on_record(stack: Stack, issuer: Issuer, operator: Customer, temporal: Client) -> None:
    name = f"operator-{uuid4()}"
    cookie = _cookie(await _sign_in(stack, await issuer.token(name, "operator")))
    await _decode(stack, await _sealed(temporal, "secret words"), cookie | _origin(stack))
    log = (await operator.get("/v1/audit-log", actor=name)).json()["items"]
    assert [entry["action"] for entry in log] == ["payloads.open", "operator.sign_in"]
    assert "secret words" not in json.dumps(log)


async def test_a_bookings_summary_is_read_as_the_ui_reads_it(
    stack: Stack, customer: Customer, operator: Customer, shop: Shop, clock: Clock
) -> None:
    booking = await customer.book(shop, shop.start())
    description = (await clock.workflow(booking).describe()).raw_description
    summary = MessageToDict(description.execution_config.user_metadata.summary)
    answer = await _decode(stack, {"payloads": [summary]}, operator.headers | _origin(stack))
    assert _said(answer) == [f"Brake check with Zoé Bélanger, {shop.start():%Y-%m-%d %H:%M} UTC"]
