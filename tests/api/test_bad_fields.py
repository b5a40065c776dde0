"""A body that is JSON but wrong: refused for the field that is at fault, before anything is held."""

from copy import deepcopy
from typing import Any
from uuid import uuid4

import pytest

from tests.api.conftest import fields_of
from tests.support.people import Customer
from tests.support.shop import Shop

Json = dict[str, Any]
pytestmark = pytest.mark.usefixtures("nothing_held")

CONTROLS = ["\0", "\r\nBcc: all@example.com", "a\nb", "\x1b[31m", "\x7f", "\x85", "a\u2028b", "a\u202eb", "\u2066a"]
INSTANTS: list[Any] = [
    *("2026-12-01", "2026-12-01T15:00:00", "2026-12-01T15", "20261201T150000Z", "15:00", "tomorrow", "", " ", "null"),
    *("2026-13-01T15:00:00Z", "2026-02-29T15:00:00Z", "2026-12-00T15:00:00Z", "2026-12-01T24:00:00Z"),
    *("2026-12-01T15:60:00Z", "2026-12-01T15:00:60Z", "2026-12-01T15:00:00+25:00", "2026-12-01T15:00:00+0500"),
    *("0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "-2026-12-01T15:00:00Z", "0001-01-01T00:00:00+14:00"),
    *("9999-12-31T23:59:59-14:00", "2026-12-01T15:00:00Z\n", " 2026-12-01T15:00:00Z", "2026-12-01T15:00:00[UTC]"),
    *("2026-12-01T15:00:00.1234567Z", "2026-12-01T15:00:00Z; DROP TABLE bookings", "２０２６-12-01T15:00:00Z"),  # noqa: RUF001
    *(1_796_137_200, 1_796_137_200.0, "1796137200", True, [], {}, ["2026-12-01T15:00:00Z"]),
]
ZONES: list[Any] = [
    *("", " ", "america/toronto", "AMERICA/TORONTO", "America/Toronto ", "America/Atlantis", "EST5EDT4", "posixrules"),
    *("posix/America/Toronto", "right/UTC", "../etc/passwd", "/etc/passwd", "America/../UTC", "localtime", "Factory"),
    *("UTC+5", "+05:00", "America/Toronto\0", "x" * 65, "A" * 10_000, 5, None, [], {}, True),
]
EMAILS: list[Any] = [
    *(
        "",
        "a",
        "@",
        "a@",
        "@example.com",
        "a@b",
        "a b@example.com",
        "a@example..com",
        "a@@example.com",
        "a@example.com,",
    ),
    *(
        "a@example.com, b@example.com",
        "Camille <a@example.com>",
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        "a@localhost",
        ".a@x.ca",
    ),
    *(
        "a@example.com\r\nBcc: b@example.com",
        "a\n@example.com",
        "a@exam\0ple.com",
        f"{'a' * 250}@x.ca",
        f"a@{'x' * 250}.ca",
    ),
    *(5, None, [], {}, True),
]
TEXTS: list[Any] = ["", " ", "\t", "x" * 201, 5, None, True, [], {}, 1.5]
UUIDS: list[Any] = ["", "x", "00000000-0000-4000-8000-0000000000", 5, None, True, [], {}, "' OR 1=1", "\0", "0" * 33]
COUNTRIES: list[Any] = ["", "C", "CAN", "ca", "C1", "ÇA", "CA\n", 5, None, [], {}]
PHONES: list[Any] = [
    "",
    "5550123",
    "+0165550123",
    "+1 416 155 0123",
    "+1416555012345678",
    "tel:+14165550123",
    "+14165550123 ext. 4",
    "+1416555O123",
    "+14165550123\n",
    5,
    {},
]
INTAKES: list[Any] = [
    *(None, [], "x", 5, True, {"x": "\0"}, {"\0": 1}, {"x": {"y": ["\x1b"]}}, {"x": "y" * 32_001}, {"x" * 32_001: 1}),
    *({"x": 2**53 + 1}, {"x": -(10**400)}, {"x": ["y"] * 11_000}),
]
FIELDS: dict[str, list[Any]] = {
    "service_id": UUIDS,
    "plan_id": UUIDS,
    "mechanic_id": [value for value in UUIDS if value is not None],
    "start": INSTANTS,
    "timezone": ZONES,
    "customer": [None, [], "x", 5],
    "customer.id": [value for value in UUIDS if value is not None],
    "customer.name": TEXTS + CONTROLS,
    "customer.email": EMAILS,
    "customer.phone": PHONES,
    "location": [None, [], "x", 5],
    "location.country": COUNTRIES,
    "location.city": TEXTS + CONTROLS,
    "location.postal_code": [*TEXTS, *CONTROLS, "x" * 17],
    "intake": INTAKES,
}


def placed(body: Json, path: str, value: Any) -> Json:
    """The body with this value at the dotted path."""
    changed = deepcopy(body)
    place = changed
    *parents, name = path.split(".")
    for parent in parents:
        place = place[parent]
    place[name] = value
    return changed


@pytest.mark.parametrize("path", FIELDS)
async def test_a_wrong_value_is_refused_by_its_name(customer: Customer, shop: Shop, path: str) -> None:
    body = customer.request(shop, shop.start())
    for value in FIELDS[path]:
        answer = await customer.post(placed(body, path, value))
        assert answer.status_code == 422, (value, answer.text)
        assert answer.json()["code"] == "invalid_request", (value, answer.text)
        assert all(f"{field}.".startswith(f"body.{path}.") for field in fields_of(answer)), (value, answer.text)
        assert fields_of(answer), value


REQUIRED = [
    *("service_id", "plan_id", "start", "timezone", "customer", "location", "customer.name", "customer.email"),
    *("location.country", "location.city", "location.postal_code"),
]


@pytest.mark.parametrize("path", REQUIRED)
async def test_what_is_missing_is_asked_for(customer: Customer, shop: Shop, path: str) -> None:
    body = customer.request(shop, shop.start())
    *parents, name = path.split(".")
    place = body
    for parent in parents:
        place = place[parent]
    del place[name]
    answer = await customer.post(body)
    assert answer.status_code == 422
    assert fields_of(answer) == [f"body.{path}"]
    assert "required" in answer.json()["detail"]


@pytest.mark.parametrize("level", ["", "customer.", "location."])
@pytest.mark.parametrize("name", ["amount", "Start", "start ", "__class__", "customer_id", "é", ""])
async def test_unknown_fields_at_every_level(customer: Customer, shop: Shop, level: str, name: str) -> None:
    body = placed(customer.request(shop, shop.start()), f"{level}{name}", 1)
    answer = await customer.post(body)
    assert answer.status_code == 422
    assert fields_of(answer) == [f"body.{level}{name}"]
    assert "remove" in answer.json()["detail"]


async def test_ten_thousand_mistakes_get_a_short_answer(customer: Customer, shop: Shop) -> None:
    answer = await customer.post(customer.request(shop, shop.start()) | {f"x{n}" * 3: n for n in range(10_000)})
    assert answer.status_code == 422
    assert len(answer.content) < 10_000
    answer = await customer.post(customer.request(shop, shop.start()) | {"x" * 200_000: 1})
    assert answer.status_code == 422
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("name", ["mechanic_id", "service_id", "start"])
async def test_the_check_is_as_strict(customer: Customer, shop: Shop, name: str) -> None:
    body = customer.request(shop, shop.start())
    asked = {field: body[field] for field in ("mechanic_id", "service_id", "start")}
    url = f"{customer.api_url}/v1/availability/check"
    for value in FIELDS[name]:
        answer = await customer.http.post(url, json=asked | {name: value})
        assert answer.status_code == 422, value
        assert {field.split(".")[1] for field in fields_of(answer)} == {name}
    answer = await customer.http.post(url, json=asked | {"plan_id": str(uuid4())})
    assert (answer.status_code, fields_of(answer)) == (422, ["body.plan_id"])
    missing = await customer.http.post(url, json={})
    assert sorted(fields_of(missing)) == ["body.mechanic_id", "body.service_id", "body.start"]
