"""Who may set and read rules, and what is refused with the field and the remedy."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.api.conftest import problem_of
from tests.mechanics.conftest import Desk, noon, seat
from tests.support.people import Issuer
from tests.support.shop import Shop

READS = (("GET", "/schedule"), ("GET", "/time-off"), ("GET", "/reservations"))
SOME = "0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d"


async def _writes(desk: Desk) -> list[tuple[str, str, dict[str, Any] | None]]:
    span = {"start": noon(3).isoformat(), "end": noon(4).isoformat()}
    return [
        ("PUT", "/schedule", await desk.schedule()),
        ("PUT", "/online", {"online": False}),
        ("POST", "/time-off", span),
        ("DELETE", f"/time-off/{(await desk.away(noon(7), noon(8)))['id']}", None),
    ]


@pytest.mark.parametrize(
    ("role", "own_id", "reads", "writes"),
    [
        ("mechanic", False, 404, 404),
        ("customer", True, 403, 403),
        ("customer", False, 403, 403),
        ("service", True, 403, 403),
        ("operator", True, 200, 403),
    ],
)
async def test_only_the_mechanic_itself(
    desk: Desk,
    issuer: Issuer,
    stack: Stack,
    http: httpx.AsyncClient,
    shop: Shop,
    role: str,
    own_id: bool,
    reads: int,
    writes: int,
) -> None:
    """Not somebody else of its role, and not another role of its name. Nothing has changed."""
    other = await seat(issuer, stack, http, shop, str(shop.mechanic_id if own_id else uuid4()), role)
    everything = await _writes(desk)
    before = [(await desk.call(*each)).json() for each in READS]
    for method, path, body in everything:
        answer = await other.call(method, path, body)
        assert (answer.status_code, problem_of(answer)["status"]) == (writes, writes), (method, path)
    for method, path in READS:
        assert (await other.call(method, path)).status_code == reads, path
    assert [(await desk.call(*each)).json() for each in READS] == before


async def test_a_mechanic_that_there_is_not(issuer: Issuer, stack: Stack, http: httpx.AsyncClient, desk: Desk) -> None:
    nobody = uuid4()
    for role in ("mechanic", "operator"):
        stranger = await seat(issuer, stack, http, Shop(nobody, nobody, nobody), str(nobody), role)
        for method, path in READS:
            answer = await stranger.call(method, path)
            assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found"), (role, path)
    me = await seat(issuer, stack, http, Shop(nobody, nobody, nobody), str(nobody), "mechanic")
    for method, path, body in await _writes(desk):
        assert (await me.call(method, path, body)).status_code == 404, path


async def test_without_a_token(desk: Desk, http: httpx.AsyncClient) -> None:
    for method, path in (
        *READS,
        ("PUT", "/schedule"),
        ("PUT", "/online"),
        ("POST", "/time-off"),
        ("DELETE", f"/time-off/{SOME}"),
    ):
        answer = await http.request(method, f"{desk.who.api_url}/v1/mechanics/{desk.mechanic_id}{path}")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), path


def _week(*spans: tuple[int, str, str]) -> list[dict[str, Any]]:
    return [{"weekday": weekday, "start": start, "end": end} for weekday, start, end in spans]


def _dates(*days: tuple[int, list[tuple[str, str]]]) -> list[dict[str, Any]]:
    return [
        {"date": str(noon(day).date()), "hours": [{"start": start, "end": end} for start, end in hours]}
        for day, hours in days
    ]


# What is sent in the place of a schedule's field; which field the answer names, and what its remedy says.
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "zone": ({"timezone": "America/Torronto"}, "timezone", "IANA"),
    "zone-of-no-place": ({"timezone": "EST"}, "timezone", "IANA"),
    "overlap": ({"weekly": _week((0, "09:00", "12:00"), (0, "11:45", "13:00"))}, "weekly.1", "overlaps body.weekly.0"),
    "twice": ({"weekly": _week((0, "09:00", "12:00"), (0, "09:00", "12:00"))}, "weekly.1", "Monday 09:00 to 12:00"),
    "within": ({"weekly": _week((2, "10:00", "11:00"), (2, "09:00", "12:00"))}, "weekly.1", "overlaps"),
    "over-midnight": ({"weekly": _week((1, "22:00", "02:00"), (2, "01:00", "03:00"))}, "weekly.1", "overlaps"),
    "sunday-into-monday": ({"weekly": _week((0, "00:00", "01:00"), (6, "23:00", "00:30"))}, "weekly.1", "Sunday"),
    "whole-days-and-more": ({"weekly": _week((3, "00:00", "24:00"), (3, "05:00", "06:00"))}, "weekly.1", "overlaps"),
    "no-length": ({"weekly": _week((0, "09:00", "09:00"))}, "weekly.0.end", "00:00 to 24:00"),
    "late": ({"weekly": _week((0, "24:00", "03:00"))}, "weekly.0.start", "23:59"),
    "later": ({"weekly": _week((0, "09:00", "24:01"))}, "weekly.0.end", "24:00"),
    "no-clock": ({"weekly": _week((0, "9:00", "17:00"))}, "weekly.0.start", "09:00"),
    "eighth-day": ({"weekly": _week((7, "09:00", "17:00"))}, "weekly.0.weekday", "6"),
    "day-as-text": ({"weekly": [{"weekday": "0", "start": "09:00", "end": "17:00"}]}, "weekly.0.weekday", "integer"),
    "too-many": ({"weekly": _week(*[(0, "09:00", "09:01")] * 101)}, "weekly", "100"),
    "date-twice": ({"exceptions": _dates((3, []), (4, []), (3, [("09:00", "10:00")]))}, "exceptions.2.date", "in one"),
    "no-date": ({"exceptions": [{"date": "2027-02-30", "hours": []}]}, "exceptions.0.date", "exists"),
    "an-instant": ({"exceptions": [{"date": "2027-02-03T00:00:00Z", "hours": []}]}, "exceptions.0.date", "2026-12-24"),
    "overlap-on-a-date": (
        {"exceptions": _dates((3, [("09:00", "12:00"), ("23:00", "09:30"), ("11:00", "13:00")]))},
        "exceptions.0.hours.2",
        "overlaps",
    ),
    "no-length-on-a-date": ({"exceptions": _dates((3, [("10:00", "10:00")]))}, "exceptions.0.hours.0.end", "later end"),
    "too-many-dates": ({"exceptions": _dates(*[(3, [])] * 367)}, "exceptions", "366"),
    "no-notice": ({"minimum_notice_minutes": -1}, "minimum_notice_minutes", "0"),
    "half-a-minute": ({"minimum_notice_minutes": 0.5}, "minimum_notice_minutes", "integer"),
    "horizon": ({"horizon_days": 366}, "horizon_days", "365"),
    "no-horizon": ({"horizon_days": 0}, "horizon_days", "1"),
    "no-sessions": ({"max_sessions_per_day": 0}, "max_sessions_per_day", "1"),
    "region": ({"holiday_region": "CA-XX"}, "holiday_region", "CA-ON"),
    "country": ({"holiday_region": "XX"}, "holiday_region", "ISO 3166"),
    "region-in-words": ({"holiday_region": "Ontario"}, "holiday_region", "CA-ON"),
    "service": ({"services": [{"service_id": SOME}]}, "services.0.service_id", "GET /v1/services"),
    "service-twice": ({"services": [{"service_id": SOME}] * 2}, "services.1.service_id", "once"),
    "buffer": (
        {"services": [{"service_id": SOME, "buffer_after_minutes": 1441}]},
        "services.0.buffer_after_minutes",
        "1440",
    ),
    "unknown": ({"online": True}, "online", "remove it"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
async def test_a_schedule_that_is_wrong_changes_nothing(desk: Desk, what: str) -> None:
    changes, field, remedy = WRONG[what]
    before = await desk.schedule()
    answer = await desk.put(**{"horizon_days": 77} | changes)
    assert answer.status_code == 422, answer.text
    [error] = problem_of(answer)["errors"]
    assert error["field"] == f"body.{field}"
    assert remedy in error["message"]
    assert await desk.schedule() == before


@pytest.mark.parametrize("field", ["timezone", "weekly", "minimum_notice_minutes", "horizon_days"])
async def test_the_four_required_fields(desk: Desk, field: str) -> None:
    schedule = await desk.schedule()
    for body in (
        {name: value for name, value in schedule.items() if name != field},
        schedule | {field: None},
    ):
        answer = await desk.call("PUT", "/schedule", body)
        assert [error["field"] for error in problem_of(answer)["errors"]] == [f"body.{field}"]


async def test_spans_that_touch_are_fine(desk: Desk) -> None:
    whole_days = _week(*((day, "00:00", "24:00") for day in range(7)))
    for weekly in (
        whole_days,
        [each | {"end": "00:00"} for each in whole_days],
        _week((0, "02:00", "12:00"), (0, "12:00", "24:00"), (1, "00:00", "05:00"), (6, "20:00", "02:00")),
    ):
        answer = await desk.put(weekly=weekly)
        assert answer.status_code == 200, answer.text
    assert (await desk.schedule())["weekly"] == weekly


@pytest.mark.parametrize(
    ("start", "end", "field", "remedy"),
    [
        (3, 3, "end", "later than `start`"),
        (4, 3, "end", "later than `start`"),
        (3, 370, "end", "366 days"),
        (-4, -3, "end", "future"),
    ],
)
async def test_time_off_that_is_wrong(desk: Desk, start: int, end: int, field: str, remedy: str) -> None:
    answer = await desk.call("POST", "/time-off", {"start": noon(start).isoformat(), "end": noon(end).isoformat()})
    assert answer.status_code == 422, answer.text
    [error] = problem_of(answer)["errors"]
    assert (error["field"], remedy in error["message"]) == (f"body.{field}", True)
    assert (await desk.call("GET", "/time-off", **{"from": noon(-30).isoformat()})).json()["items"] == []


async def test_time_off_that_has_begun_and_a_long_one(desk: Desk) -> None:
    await desk.away(noon(-3), noon(3))
    await desk.away(noon(3), noon(3) + timedelta(days=366))
    for body in ({"reason": "a\nb"}, {"reason": ""}, {"reason": "x" * 201}, {"why": "x"}):
        span = {"start": noon(5).isoformat(), "end": noon(6).isoformat()}
        assert (await desk.call("POST", "/time-off", span | body)).status_code == 422, body


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/reservations", {"from": noon(3).isoformat(), "to": noon(3).isoformat()}, "to"),
        ("/reservations", {"status": "holding"}, "status"),
        ("/reservations", {"cursor": "x"}, "cursor"),
        ("/time-off", {"from": noon(3).isoformat(), "to": noon(2).isoformat()}, "to"),
        ("/time-off", {"limit": 0}, "limit"),
        ("/schedule", {"x": 1}, "x"),
    ],
)
async def test_queries_that_are_wrong(desk: Desk, path: str, query: dict[str, Any], field: str) -> None:
    answer = await desk.call("GET", path, **query)
    assert [error["field"] for error in problem_of(answer)["errors"]] == [f"query.{field}"]


@pytest.mark.parametrize("online", [None, 1, "true", "no"])
async def test_online_is_true_or_false(desk: Desk, online: Any) -> None:
    answer = await desk.call("PUT", "/online", {"online": online})
    assert [error["field"] for error in problem_of(answer)["errors"]] == ["body.online"]
