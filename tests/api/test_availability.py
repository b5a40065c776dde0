"""The search for free slots: order, pages, zones, days of 23 and 25 hours, buffers."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.api.conftest import fields_of
from tests.support.people import Customer
from tests.support.shop import Shop, add_mechanic

QUARTER = timedelta(minutes=15)
ZONES = ("America/Toronto", "Europe/London", "Australia/Sydney")
Slots = list[dict[str, Any]]


async def search(http: httpx.AsyncClient, stack: Stack, shop: Shop, start: datetime, **query: Any) -> dict[str, Any]:
    """The page of the shop's slots in the day from `start` on."""
    asked = {"service_id": str(shop.service_id), "from": start.isoformat()}
    asked["to"] = (start + timedelta(days=1)).isoformat()
    answer = await http.get(f"{stack.api_url}/v1/availability", params=asked | query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def starts_of(slots: Slots) -> list[datetime]:
    return [datetime.fromisoformat(slot["start"]) for slot in slots]


@pytest.fixture
async def second(shop: Shop, database: "asyncpg.Pool[asyncpg.Record]") -> UUID:
    """Another mechanic of the shop, in Lisbon."""
    other = uuid4()
    async with database.acquire() as connection:
        await connection.execute(
            "INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, minimum_notice_minutes)"
            " VALUES ($1, 'Ana Lima', 'Europe/Lisbon', 'PT', 'Lisboa', '1000', '1 Rua', 0)",
            other,
        )
        await add_mechanic(connection, shop, other)
    return other


async def test_one_entry_for_each_mechanic_and_start_in_order(
    http: httpx.AsyncClient, stack: Stack, shop: Shop, second: UUID
) -> None:
    start = shop.start()
    slots = (await search(http, stack, shop, start))["slots"]
    mechanics = sorted([str(shop.mechanic_id), str(second)])
    expected = [(start + n * QUARTER, mechanic) for n in range(96) for mechanic in mechanics]
    assert [(datetime.fromisoformat(slot["start"]), slot["mechanic_id"]) for slot in slots] == expected
    assert all(set(slot) >= {"mechanic_id", "start", "end"} and slot["start"].endswith("Z") for slot in slots)
    spans = {datetime.fromisoformat(slot["end"]) - datetime.fromisoformat(slot["start"]) for slot in slots}
    assert spans == {shop.duration}
    only = (await search(http, stack, shop, start, mechanic_id=str(second)))["slots"]
    assert only == [slot for slot in slots if slot["mechanic_id"] == str(second)]


@pytest.mark.parametrize("limit", [1, 7, 192, 193])
async def test_pages_leave_nothing_out_and_repeat_nothing(
    http: httpx.AsyncClient, stack: Stack, shop: Shop, second: UUID, limit: int
) -> None:
    start = shop.start()
    whole = await search(http, stack, shop, start)
    assert whole["next_cursor"] is None
    expected: Slots = whole["slots"] if limit > 1 else whole["slots"][:5]
    gathered: Slots = []
    cursor: dict[str, str] = {}
    while len(gathered) < len(expected):
        page = await search(http, stack, shop, start, limit=limit, **cursor)
        assert len(page["slots"]) <= limit
        gathered += page["slots"]
        cursor = {"cursor": page["next_cursor"]}
    assert gathered == expected
    assert limit == 1 or page["next_cursor"] is None


async def test_bounds_are_half_open(http: httpx.AsyncClient, stack: Stack, shop: Shop) -> None:
    start = shop.start()
    to = (start + QUARTER).isoformat()
    assert starts_of((await search(http, stack, shop, start, to=to))["slots"]) == [start]
    late = start + timedelta(microseconds=1)
    assert starts_of((await search(http, stack, shop, late, to=to))["slots"]) == []


def _next_change(longer: bool) -> tuple[ZoneInfo, datetime]:
    """A zone and the local midnight of its next day of 25 (or 23) hours that a horizon of a year reaches."""
    for name in ZONES:
        zone = ZoneInfo(name)
        day = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        for _ in range(355):
            day = (day + timedelta(days=1)).replace(fold=0)
            tomorrow = day + timedelta(days=1)
            hours = (tomorrow.astimezone(UTC) - day.astimezone(UTC)) / timedelta(hours=1)
            if hours == (25 if longer else 23):
                return zone, day
    raise AssertionError("no such day within a year")


@pytest.mark.parametrize("longer", [False, True])
async def test_days_on_which_the_clocks_change(
    http: httpx.AsyncClient, stack: Stack, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]", longer: bool
) -> None:
    """Hours from midnight to six are five or seven real ones; every start in them is there once."""
    zone, day = _next_change(longer)
    await database.execute(
        "UPDATE mechanics SET timezone = $2, horizon_days = 365 WHERE id = $1", shop.mechanic_id, zone.key
    )
    await database.execute("DELETE FROM availability_rules WHERE mechanic_id = $1", shop.mechanic_id)
    await database.execute(
        "INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time) VALUES ($1, $2, '00:00', '06:00')",
        shop.mechanic_id,
        day.weekday(),
    )
    slots = (await search(http, stack, shop, day.astimezone(UTC), timezone=zone.key))["slots"]
    opens = day.astimezone(UTC)
    hours = 7 if longer else 5
    assert starts_of(slots) == [opens + n * QUARTER for n in range((hours - 1) * 4 + 1)]
    assert [slot["local_start"] for slot in slots] == [start.astimezone(zone).isoformat() for start in starts_of(slots)]
    clocks = [slot["local_start"][11:16] for slot in slots]
    assert (len(clocks) > len(set(clocks))) is longer


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "UTC"])
async def test_local_start_is_the_same_instant(http: httpx.AsyncClient, stack: Stack, shop: Shop, zone: str) -> None:
    for slot in (await search(http, stack, shop, shop.start(), timezone=zone))["slots"]:
        local = datetime.fromisoformat(slot["local_start"])
        start = datetime.fromisoformat(slot["start"])
        assert local == start
        assert local.utcoffset() == start.astimezone(ZoneInfo(zone)).utcoffset()


@pytest.mark.parametrize(("before", "after"), [(0, 15), (30, 0), (15, 30), (0, 0)])
async def test_a_hold_takes_its_slot_and_buffers_out_of_the_search(
    customer: Customer,
    rival: Customer,
    http: httpx.AsyncClient,
    stack: Stack,
    shop: Shop,
    database: "asyncpg.Pool[asyncpg.Record]",
    before: int,
    after: int,
) -> None:
    await database.execute(
        "UPDATE services SET buffer_before_minutes = $2, buffer_after_minutes = $3 WHERE id = $1",
        shop.service_id,
        before,
        after,
    )
    day = shop.start()
    taken = day + timedelta(hours=10)
    free = starts_of((await search(http, stack, shop, day))["slots"])
    await customer.book(shop, taken)
    left = starts_of((await search(http, stack, shop, day))["slots"])
    reach = timedelta(minutes=60 + before + after)
    assert left == [start for start in free if not taken - reach < start < taken + reach]
    overlapping = await rival.post(rival.request(shop, taken + reach - QUARTER))
    assert (overlapping.status_code, overlapping.json()["code"]) == (409, "slot_unavailable")
    await rival.book(shop, taken + reach)
    await rival.book(shop, taken - reach)


async def test_starts_follow_one_another_on_the_grid(http: httpx.AsyncClient, stack: Stack, shop: Shop) -> None:
    starts = starts_of((await search(http, stack, shop, shop.start()))["slots"])
    assert {later - earlier for earlier, later in pairwise(starts)} == {QUARTER}


@pytest.mark.parametrize(("name", "listed"), [("service_id", "services"), ("mechanic_id", "mechanics")])
async def test_unknown_ids_are_said_to_be_unknown(
    http: httpx.AsyncClient, stack: Stack, shop: Shop, name: str, listed: str
) -> None:
    start = shop.start()
    asked = {"service_id": str(shop.service_id), "from": start.isoformat(), "to": (start + QUARTER).isoformat()}
    answer = await http.get(f"{stack.api_url}/v1/availability", params=asked | {name: str(uuid4())})
    assert answer.status_code == 422
    assert fields_of(answer) == [f"query.{name}"]
    assert listed in answer.json()["detail"]
