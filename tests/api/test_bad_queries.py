"""Queries, headers, paths and methods that are wrong: each a 4xx that names what, and no address answers with a 5xx."""

import asyncio
import base64
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.api.conftest import fields_of, problem_of
from tests.support.people import Customer
from tests.support.shop import Shop

SOME = "00000000-0000-4000-8000-0000000000a1"


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


CURSORS = [
    *("x", "é", "====", "a" * 201, "\0", _cursor("x"), _cursor("|"), _cursor(f"2026-12-01T00:00:00|{SOME}")),
    *(_cursor("2026-12-01T00:00:00+00:00|x"), _cursor(f"0001-01-01T00:00:00+14:00|{SOME}"), _cursor("\0|\0")),
    _cursor(f"9999-12-31T23:59:59-14:00|{SOME}"),
]
LIMITS = ["0", "-1", "1000000", "x", "", "1.5", "1e2", "9" * 5000, "\0", "０x"]  # noqa: RUF001
WRONG: dict[str, dict[str, list[str]]] = {
    "/v1/mechanics": {
        "service_id": ["x", "", "\0"],
        "country": ["", "c", "CAN", "\0"],
        "city": ["", "\0", "x" * 101, "a\nb"],
        "x": ["1"],
    },
    "/v1/availability": {
        "service_id": ["x", ""],
        "mechanic_id": ["x", ""],
        "from": [
            "x",
            "",
            "2026-12-01",
            "2026-12-01T00:00:00",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
        ],
        "to": ["x", "", "2026-12-01T00:00:00 05:00", "\0"],
        "timezone": ["x", "", "america/toronto", "../etc/passwd", "posixrules", "\0"],
        "cursor": CURSORS,
        "limit": LIMITS,
        "x": ["1"],
    },
    "/v1/bookings": {
        "status": ["x", "", "CONFIRMED", "\0"],
        "mechanic_id": ["x", ""],
        "from": ["x", "2026-12-01"],
        "to": ["x", ""],
        "cursor": CURSORS,
        "limit": LIMITS,
        "customer_id": [SOME],
    },
    f"/v1/bookings/{SOME}": {"token": ["x" * 2001], "x": ["1"]},
    f"/v1/bookings/{SOME}/events": {"token": ["x" * 2001], "x": ["1"]},
    "/v1/services": {"x": ["1"], "\0": ["1"], "é": [""]},
}


def _usual(path: str, shop: Shop) -> dict[str, Any]:
    if path != "/v1/availability":
        return {}
    start = shop.start()
    return {
        "service_id": str(shop.service_id),
        "from": start.isoformat(),
        "to": (start + timedelta(days=1)).isoformat(),
    }


@pytest.mark.parametrize("path", WRONG)
async def test_a_wrong_parameter_is_named(customer: Customer, shop: Shop, path: str) -> None:
    for name, values in WRONG[path].items():
        for value in values:
            answer = await customer.get(path, **_usual(path, shop) | {name: value})
            assert answer.status_code == 422, (name, value, answer.text)
            assert fields_of(answer) == [f"query.{name}"], (name, value)


@pytest.mark.parametrize("path", ["/v1/mechanics", "/v1/availability", "/v1/bookings"])
async def test_a_parameter_given_twice(customer: Customer, shop: Shop, path: str) -> None:
    twice = {"country": ["CA", "CA"]} if path == "/v1/mechanics" else {"limit": ["1", "2"]}
    answer = await customer.get(path, **_usual(path, shop) | twice)
    assert answer.status_code == 422
    assert fields_of(answer) == [f"query.{next(iter(twice))}"]


@pytest.mark.parametrize("missing", ["service_id", "from", "to"])
async def test_what_a_search_must_say(customer: Customer, shop: Shop, missing: str) -> None:
    asked = _usual("/v1/availability", shop)
    del asked[missing]
    assert fields_of(await customer.get("/v1/availability", **asked)) == [f"query.{missing}"]


@pytest.mark.parametrize(
    ("from_days", "to_days", "word"),
    [(2, 1, "later"), (1, 1, "later"), (1, 64, "62 days"), (-2, -1, "future"), (-9999, 9999, "62 days")],
)
async def test_spans_that_cannot_be_searched(
    customer: Customer, shop: Shop, from_days: int, to_days: int, word: str
) -> None:
    start = shop.start(days=0)
    span = {"from": start + timedelta(days=from_days), "to": start + timedelta(days=to_days)}
    asked = _usual("/v1/availability", shop) | {name: at.isoformat() for name, at in span.items()}
    answer = await customer.get("/v1/availability", **asked)
    assert answer.status_code == 422
    assert fields_of(answer) == ["query.to"]
    assert word in answer.json()["detail"]


async def test_the_longest_span_and_one_that_has_begun(customer: Customer, shop: Shop) -> None:
    start = shop.start(days=0)
    for first, days in ((start, 62), (start - timedelta(days=61), 62), (start + timedelta(days=900_000), 1)):
        span = {"from": first.isoformat(), "to": (first + timedelta(days=days)).isoformat()}
        answer = await customer.get("/v1/availability", **_usual("/v1/availability", shop) | span | {"limit": 5})
        assert answer.status_code == 200, answer.text


async def test_a_list_whose_span_ends_before_it_begins(customer: Customer) -> None:
    answer = await customer.get("/v1/bookings", **{"from": "2026-12-02T00:00:00Z", "to": "2026-12-01T00:00:00Z"})
    assert (answer.status_code, fields_of(answer)) == (422, ["query.to"])


@pytest.mark.usefixtures("nothing_held")
@pytest.mark.parametrize("key", [None, "", "x" * 256, "clé".encode(), b"\xff\xfe", "a\tb", ["one", "two"]])
async def test_a_wrong_idempotency_key(customer: Customer, shop: Shop, key: Any) -> None:
    keys = key if isinstance(key, list) else [] if key is None else [key]
    headers = [*customer.headers.items(), *(("Idempotency-Key", each) for each in keys)]
    body = customer.request(shop, shop.start())
    answer = await customer.http.post(f"{customer.api_url}/v1/bookings", json=body, headers=headers)
    assert answer.status_code == 422
    assert fields_of(answer) == ["header.Idempotency-Key"]


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, str(2**63)])
async def test_a_wrong_last_event_id(customer: Customer, last: str) -> None:
    headers = customer.headers | {"Last-Event-ID": last}
    answer = await customer.http.get(f"{customer.api_url}/v1/bookings/{uuid4()}/events", headers=headers)
    assert answer.status_code == 422
    assert fields_of(answer) == ["header.Last-Event-ID"]


@pytest.mark.parametrize("id", ["x", "%00", "1", "%27%20OR%201=1", "a" * 5000, "%ff", "%F0%9F%9A%97", f"{SOME}x"])
@pytest.mark.parametrize("view", ["", "/events", "/invite.ics"])
async def test_a_wrong_id(customer: Customer, id: str, view: str) -> None:
    answer = await customer.get(f"/v1/bookings/{id}{view}")
    assert answer.status_code == 422
    assert fields_of(answer) == ["path.id"]


UNKNOWN = [
    "/",
    "/v1",
    "/v1/",
    "/v1/services/",
    "/v2/services",
    "/v1/%00",
    "/v1/é",
    "/v1/bookings/",
    "//",
    "/v1/../../etc",
]


@pytest.mark.parametrize(
    "path", [*UNKNOWN[1:], "/webhooks", "/health", f"/v1/bookings/{SOME}/x", "/static/%00", "/static/%2e%2e/x"]
)
async def test_unknown_addresses(customer: Customer, path: str) -> None:
    answer = await customer.get(path)
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found")


ALLOWED = {
    "/v1/services": "GET",
    "/v1/bookings": "GET, POST",
    f"/v1/bookings/{SOME}": "GET",
    "/v1/availability/check": "POST",
}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"])
@pytest.mark.parametrize("path", ALLOWED)
async def test_other_methods(customer: Customer, method: str, path: str) -> None:
    answer = await customer.http.request(method, f"{customer.api_url}{path}", headers=customer.headers)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == ALLOWED[path]
    assert method == "HEAD" or problem_of(answer)["code"] == "method_not_allowed"


CHECK = b"POST /v1/availability/check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
RAW = {
    "byte-in-path": b"GET /v1/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "byte-in-query": b"GET /v1/services?\xff=1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "byte-in-value": b"GET /v1/mechanics?city=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "no-host": b"GET /v1/services?x HTTP/1.1\r\n\r\n",
    "garbage": b"\x00\x01\x02\r\n\r\n",
    "negative-length": b"POST /v1/bookings HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two-lengths": b"POST /v1/bookings HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "bad-chunk": b"POST /v1/bookings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "huge-header": b"GET /v1/services?x=1 HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
    "many-headers": b"GET /v1/services?x=1 HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "huge-token": b"GET /v1/bookings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"y" * 100_000 + b"\r\n\r\n",
    "length-and-chunks": CHECK
    + b"Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "no-such-encoding": CHECK + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
    "two-encodings": CHECK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "blank-before-colon": CHECK + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "signed-length": CHECK + b"Content-Length: +2\r\n\r\n{}",
    "folded-header": b"GET /v1/services?x HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "line-ends": b"GET /v1/services?x HTTP/1.1\nHost: x\n\n",
    "return-in-header": b"GET /v1/services?x HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
    "connect": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "nul-header": b"GET /v1/bookings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \x00\r\n\r\n",
    "bytes-token": b"GET /v1/bookings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    "huge-query": b"GET /v1/mechanics?city=" + b"y" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
async def test_what_no_client_library_would_send(customer: Customer, name: str) -> None:
    """A 4xx, or the connection's end."""
    host, port = customer.api_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(RAW[name])
        status = await asyncio.wait_for(reader.readline(), 10)
    except ConnectionError:
        status = b""
    finally:
        writer.close()
    assert status == b"" or status.split()[1][:1] == b"4", status
