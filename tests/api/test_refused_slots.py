"""Why a slot cannot be had: the check says the reason, and a booking is refused for it and leaves nothing behind."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.api.conftest import fields_of, held
from tests.support.people import Customer
from tests.support.shop import Shop, open_shop

# Makes one start impossible; gives back what differs from the usual request, and the field that is to be named.
Arrangement = Callable[["asyncpg.Pool[asyncpg.Record]", Shop], Awaitable[dict[str, Any]]]


async def _past(database: Any, shop: Shop) -> dict[str, Any]:
    return {"start": shop.start(days=-1).isoformat()}


async def _within_notice(database: Any, shop: Shop) -> dict[str, Any]:
    await database.execute("UPDATE mechanics SET minimum_notice_minutes = 120 WHERE id = $1", shop.mechanic_id)
    return {"start": shop.start(days=0, hours=1.5).isoformat()}


async def _beyond_horizon(database: Any, shop: Shop) -> dict[str, Any]:
    return {"start": shop.start(days=61).isoformat()}


async def _end_of_time(database: Any, shop: Shop) -> dict[str, Any]:
    return {"start": "9999-12-31T23:45:00Z"}


async def _beginning_of_time(database: Any, shop: Shop) -> dict[str, Any]:
    return {"start": "0001-01-01T00:00:00Z"}


async def _closed(database: Any, shop: Shop) -> dict[str, Any]:
    await database.execute("DELETE FROM availability_rules WHERE mechanic_id = $1", shop.mechanic_id)
    return {}


async def _away(database: Any, shop: Shop) -> dict[str, Any]:
    # Ends within the session: a part is enough.
    await database.execute(
        "INSERT INTO time_off (mechanic_id, during) VALUES ($1, tstzrange($2, $3))",
        shop.mechanic_id,
        shop.start() - timedelta(days=1),
        shop.start() + timedelta(minutes=1),
    )
    return {}


async def _offline(database: Any, shop: Shop) -> dict[str, Any]:
    await database.execute("UPDATE mechanics SET online = FALSE WHERE id = $1", shop.mechanic_id)
    return {}


async def _unknown_mechanic(database: Any, shop: Shop) -> dict[str, Any]:
    return {"mechanic_id": str(uuid4())}


async def _mechanic_of_another_service(database: Any, shop: Shop) -> dict[str, Any]:
    return {"mechanic_id": str((await open_shop(database)).mechanic_id)}


async def _unknown_service(database: Any, shop: Shop) -> dict[str, Any]:
    return {"service_id": str(uuid4())}


async def _withdrawn_service(database: Any, shop: Shop) -> dict[str, Any]:
    await database.execute("UPDATE services SET active = FALSE WHERE id = $1", shop.service_id)
    return {}


def _off_grid_by(**span: float) -> Arrangement:
    async def arrange(database: Any, shop: Shop) -> dict[str, Any]:
        return {"start": (shop.start() + timedelta(**span)).isoformat()}

    return arrange


REFUSALS = [
    pytest.param(_past, "too_soon", "start", id="past"),
    pytest.param(_within_notice, "too_soon", "start", id="too-soon"),
    pytest.param(_beginning_of_time, "too_soon", "start", id="year-1"),
    pytest.param(_beyond_horizon, "too_far", "start", id="too-far"),
    pytest.param(_end_of_time, "too_far", "start", id="year-9999"),
    pytest.param(_closed, "outside_hours", "start", id="closed"),
    pytest.param(_away, "time_off", "start", id="away"),
    pytest.param(_offline, "offline", "mechanic_id", id="offline"),
    pytest.param(_off_grid_by(minutes=1), "not_offered", "start", id="minute-off"),
    pytest.param(_off_grid_by(seconds=1), "not_offered", "start", id="second-off"),
    pytest.param(_off_grid_by(microseconds=-1), "not_offered", "start", id="microsecond-off"),
    pytest.param(_unknown_mechanic, "not_offered", "mechanic_id", id="unknown-mechanic"),
    pytest.param(_mechanic_of_another_service, "not_offered", "mechanic_id", id="other-mechanic"),
    pytest.param(_unknown_service, "not_offered", "service_id", id="unknown-service"),
    pytest.param(_withdrawn_service, "not_offered", "service_id", id="withdrawn-service"),
]


@pytest.mark.parametrize(("arrange", "reason", "field"), REFUSALS)
@pytest.mark.usefixtures("nothing_held")
async def test_the_check_and_the_booking_say_why(
    customer: Customer,
    shop: Shop,
    database: "asyncpg.Pool[asyncpg.Record]",
    arrange: Arrangement,
    reason: str,
    field: str,
) -> None:
    body = customer.request(shop, shop.start()) | await arrange(database, shop)
    asked = {name: body[name] for name in ("mechanic_id", "service_id", "start")}
    verdict = await customer.http.post(f"{customer.api_url}/v1/availability/check", json=asked)
    assert verdict.json() == {"available": False, "reason": reason}
    refused = await customer.post(body)
    assert (refused.status_code, refused.json()["code"]) == (422, "slot_not_offered")
    assert fields_of(refused) == [f"body.{field}"]


async def test_free_then_taken(customer: Customer, rival: Customer, shop: Shop) -> None:
    body = customer.request(shop, shop.start())
    asked = {name: body[name] for name in ("mechanic_id", "service_id", "start")}
    url = f"{customer.api_url}/v1/availability/check"
    assert (await customer.http.post(url, json=asked)).json() == {"available": True, "reason": None}
    await customer.book(shop, shop.start())
    assert (await customer.http.post(url, json=asked)).json() == {"available": False, "reason": "taken"}
    refused = await rival.post(rival.request(shop, shop.start()))
    assert (refused.status_code, refused.json()["code"]) == (409, "slot_unavailable")


@pytest.mark.usefixtures("nothing_held")
async def test_plan_of_another_service(
    customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    other = await open_shop(database)
    for plan in (other.plan_id, uuid4()):
        refused = await customer.post(customer.request(shop, shop.start(), plan_id=str(plan)))
        assert (refused.status_code, refused.json()["code"]) == (422, "slot_not_offered")
        assert fields_of(refused) == ["body.plan_id"]


@pytest.mark.usefixtures("nothing_held")
async def test_what_cannot_be_had_at_once(
    customer: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """Immediate sessions are for some services only (tests/immediate)."""
    await database.execute("UPDATE services SET immediate = FALSE WHERE id = $1", shop.service_id)
    refused = await customer.post(customer.request(shop, shop.start()) | {"start": None})
    assert (refused.status_code, refused.json()["code"]) == (422, "slot_not_offered")
    assert fields_of(refused) == ["body.start"]


async def test_any_mechanic_is_refused_as_the_one_who_is_nearest_to_being_free(
    customer: Customer, rival: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    await rival.book(shop, shop.start())
    taken = await customer.post(customer.request(shop, shop.start(), mechanic_id=None))
    assert (taken.status_code, taken.json()["code"]) == (409, "slot_unavailable")
    past = await customer.post(customer.request(shop, shop.start(days=-1), mechanic_id=None))
    assert (past.status_code, past.json()["code"]) == (422, "slot_not_offered")
    assert "too_soon" in past.json()["detail"]
    assert await held(database, shop) == (1, 1)


async def test_a_start_may_be_written_with_any_offset(customer: Customer, shop: Shop) -> None:
    start = datetime.fromisoformat(shop.start().isoformat())
    written = start.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%Sz")
    assert (await customer.book(shop, start) | {})["start"] == start.isoformat().replace("+00:00", "Z")
    later = start + timedelta(hours=2)
    shifted = (later + timedelta(hours=5, minutes=45)).strftime("%Y-%m-%dt%H:%M:%S+05:45")
    for text, slot in ((written, start), (shifted, later)):
        answer = await customer.post(customer.request(shop, start) | {"start": text})
        assert answer.status_code == (409 if slot == start else 201), answer.text
    assert datetime.fromisoformat(answer.json()["start"]) == later
