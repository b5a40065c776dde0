"""A body that can be read in two ways, or in none: refused with what would be right, before anything is held."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.conftest import problem_of
from tests.support.people import Customer
from tests.support.shop import Shop

pytestmark = pytest.mark.usefixtures("nothing_held")
LIMIT = 256 * 1024
PATHS = ["/v1/bookings", "/v1/availability/check"]


async def send(customer: Customer, path: str, content: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    usual = {"Content-Type": "application/json", "Idempotency-Key": "key"}
    answer = await customer.http.post(
        f"{customer.api_url}{path}", content=content, headers=customer.headers | usual | headers
    )
    return answer.status_code, problem_of(answer)


def _nested(depth: int, opening: str, closing: str) -> bytes:
    return (opening * depth + "1" + closing * depth).encode()


MALFORMED = {
    "half": b'{"start": ',
    "word": b"hello",
    "single-quotes": b"{'start': 1}",
    "trailing-comma": b'{"start": 1,}',
    "two": b"{}{}",
    "comment": b"{} // so",
    "control": b'{"a": "\x00"}',
    "not-utf-8": b'{"a": "\xff\xfe"}',
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "overlong": b'{"a": "\xc0\x80"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "utf-32": '{"a": 1}'.encode("utf-32-le"),
    "bom": b"\xef\xbb\xbf{}",
    "lists": _nested(10_000, "[", "]"),
    "objects": _nested(10_000, '{"a":', "}"),
    "unclosed": b"[" * 100_000,
    "nan": b'{"start": NaN}',
    "infinity": b'{"intake": {"a": Infinity}}',
    "minus-infinity": b'{"intake": [-Infinity]}',
    "digits": b'{"intake": {"a": ' + b"9" * 5000 + b"}}",
    "twice": b'{"start": "2026-12-01T15:00:00Z", "start": "2026-12-01T16:00:00Z"}',
    "twice-within": b'{"customer": {"email": "a@example.com", "email": "b@example.com"}}',
    "twice-escaped": b'{"a": 1, "\\u0061": 2}',
    "twice-surrogate": b'{"\\ud800": 1, "\\ud800": 2}',
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", MALFORMED)
async def test_not_json(customer: Customer, path: str, name: str) -> None:
    status, problem = await send(customer, path, MALFORMED[name])
    assert (status, problem["code"]) == (400, "malformed_json")
    assert "UTF-8" in problem["detail"]


WRONG: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "list-of-bodies": b"[{}]",
    "text": b'"{}"',
    "number": b"5",
    "huge": b"1e999",
    "true": b"true",
    "surrogate-key": b'{"\\ud800": 1}',
    "surrogate-value": b'{"timezone": "\\udfff"}',
    "deep": _nested(900, '{"intake":', "}"),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", WRONG)
async def test_not_an_object_that_is_known_here(customer: Customer, path: str, name: str) -> None:
    status, problem = await send(customer, path, WRONG[name])
    assert (status, problem["code"]) == (422, "invalid_request")
    assert all(error["field"].startswith("body") for error in problem["errors"])


SURROGATES = ["name", "city", "timezone", "intake-key", "intake-value", "unknown"]


@pytest.mark.parametrize("where", SURROGATES)
async def test_halves_of_surrogate_pairs(customer: Customer, shop: Shop, where: str) -> None:
    body = customer.request(shop, shop.start())
    half = "x\ud83d"
    changes: dict[str, dict[str, Any]] = {
        "name": {"customer": body["customer"] | {"name": half}},
        "city": {"location": body["location"] | {"city": half}},
        "timezone": {"timezone": half},
        "intake-key": {"intake": {"a": {half: 1}}},
        "intake-value": {"intake": {"a": [half]}},
        "unknown": {half: 1},
    }
    content = json.dumps(body | changes[where]).encode()
    status, problem = await send(customer, "/v1/bookings", content)
    assert (status, problem["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("value", ["[" * 9 + "]" * 9, '{"a":' * 9 + "1" + "}" * 9, "[" * 900 + "]" * 900, "1e999"])
async def test_intake_that_is_too_deep_or_infinite(customer: Customer, shop: Shop, value: str) -> None:
    body = json.dumps(customer.request(shop, shop.start(), intake={"a": "HERE"})).replace('"HERE"', value)
    status, problem = await send(customer, "/v1/bookings", body.encode())
    assert status == 422, problem
    assert problem["errors"][0]["field"].startswith("body.intake")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "x", "application/xml"],
)
@pytest.mark.parametrize("path", PATHS)
async def test_another_content_type(customer: Customer, shop: Shop, path: str, kind: str) -> None:
    content = json.dumps(customer.request(shop, shop.start())).encode()
    status, problem = await send(customer, path, content, **{"Content-Type": kind})
    assert (status, problem["code"]) == (415, "unsupported_media_type")
    assert "application/json" in problem["detail"]


async def test_no_other_encoding_of_the_body(customer: Customer, shop: Shop) -> None:
    """UTF-8 and uncompressed, whatever the headers claim: the body is read in one way only."""
    body = json.dumps(customer.request(shop, shop.start(), customer={"name": "Zoé", "email": "z@example.com"}, x=1))
    for content, headers in (
        (body.encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}),
        (body.encode("utf-7"), {"Content-Type": "application/json; charset=utf-7"}),
        (gzip.compress(body.encode()), {"Content-Encoding": "gzip"}),
        (zlib.compress(bytes(20_000_000)), {"Content-Encoding": "deflate"}),
    ):
        status, _ = await send(customer, "/v1/bookings", content, **headers)
        assert status in (400, 422), headers


async def _pieces(size: int) -> AsyncIterator[bytes]:
    yield b'{"intake": "'
    for _ in range(size // 4096):
        yield b"x" * 4096
    yield b'"}'


@pytest.mark.parametrize("path", [*PATHS, "/webhooks/stripe"])
async def test_too_large_a_body(customer: Customer, path: str) -> None:
    whole = b'"' + b"x" * LIMIT + b'"'
    for content in (whole, _pieces(LIMIT)):
        status, problem = await send(customer, path, content)
        assert (status, problem["code"]) == (413, "body_too_large")
        assert "256 KB" in problem["detail"]


async def test_the_largest_body(customer: Customer) -> None:
    """It is read; what it says is refused."""
    whole = b'"' + b"x" * (LIMIT - 2) + b'"'
    assert (await send(customer, "/v1/bookings", whole))[0] == 422
    assert (await send(customer, "/v1/bookings", _pieces(LIMIT - 8192)))[0] == 422


async def test_a_large_body_is_refused_before_it_has_come(customer: Customer) -> None:
    """By the length that it claims: nobody waits for the rest."""
    host, port = customer.api_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/bookings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999999999\r\n\r\n{"
    )
    await writer.drain()
    status = await asyncio.wait_for(reader.readline(), 10)
    assert b" 413 " in status
    writer.close()
