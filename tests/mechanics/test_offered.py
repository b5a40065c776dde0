"""Each rule changes at once what customers are offered."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.mechanics.conftest import AROUND_THE_CLOCK, Desk, Search, noon
from tests.support.people import Customer
from tests.support.shop import Shop

HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


def _every_quarter(since: datetime, until: datetime) -> list[datetime]:
    """The starts of an hour's sessions within these hours."""
    return [since + n * QUARTER for n in range((until - HOUR - since) // QUARTER + 1)]


def _midnight(days: int) -> datetime:
    return noon(days).replace(hour=0)


async def test_what_is_set_is_read_and_can_be_sent_back(desk: Desk, shop: Shop) -> None:
    other = {
        "timezone": "America/Toronto",
        "weekly": [
            {"weekday": 0, "start": "09:00", "end": "12:00"},
            {"weekday": 0, "start": "12:00", "end": "24:00"},
            {"weekday": 6, "start": "22:00", "end": "02:30"},
        ],
        "minimum_notice_minutes": 45,
        "horizon_days": 90,
        "exceptions": [
            {"date": str(noon(9).date()), "hours": []},
            {"date": str(noon(10).date()), "hours": [{"start": "08:15", "end": "09:45"}]},
        ],
        "max_sessions_per_day": 4,
        "holiday_region": "CA-ON",
        "services": [
            {"service_id": str(shop.service_id), "buffer_before_minutes": 10, "buffer_after_minutes": 20},
        ],
    }
    assert await desk.set(**other) == other | {"conflicts": []}
    assert await desk.schedule() == other
    assert await desk.set() == other | {"conflicts": []}


async def test_an_added_field_that_is_left_out_stays(desk: Desk) -> None:
    day_off = {"date": str(noon(5).date()), "hours": []}
    before = await desk.set(max_sessions_per_day=3, holiday_region="CA", exceptions=[day_off])
    required = {name: before[name] for name in ("timezone", "weekly", "minimum_notice_minutes", "horizon_days")}
    after = await desk.call("PUT", "/schedule", required | {"horizon_days": 30})
    assert after.json() == before | {"horizon_days": 30}
    cleared = await desk.set(max_sessions_per_day=None, holiday_region=None, exceptions=[], services=[])
    assert [cleared[name] for name in ("max_sessions_per_day", "holiday_region", "exceptions", "services")] == [
        *(None, None),
        *([], []),
    ]


async def test_weekly_hours_over_midnight_from_sunday_into_monday(desk: Desk, search: Search) -> None:
    await desk.set(
        weekly=[{"weekday": 6, "start": "22:00", "end": "02:00"}, {"weekday": 6, "start": "08:00", "end": "09:30"}]
    )
    sunday = _midnight(7) + timedelta(days=6 - _midnight(7).weekday())
    night = _every_quarter(sunday + 22 * HOUR, sunday + 26 * HOUR)
    assert await search.starts(sunday, timedelta(days=7)) == [
        *_every_quarter(sunday + 8 * HOUR, sunday + 9.5 * HOUR),
        *night,
    ]


async def test_the_zone_in_which_hours_are_meant(desk: Desk, search: Search) -> None:
    hours = [{"weekday": day, "start": "09:00", "end": "11:00"} for day in range(7)]
    await desk.set(timezone="Asia/Kathmandu", weekly=hours)
    nine_there = noon(3).replace(hour=3, minute=15)
    assert await search.starts(_midnight(3)) == _every_quarter(nine_there, nine_there + 2 * HOUR)


async def test_a_date_with_hours_of_its_own_and_a_day_off(desk: Desk, search: Search) -> None:
    await desk.set(
        exceptions=[
            {"date": str(_midnight(3).date()), "hours": [{"start": "10:00", "end": "12:00"}]},
            {"date": str(_midnight(4).date()), "hours": []},
        ]
    )
    assert await search.starts(_midnight(3)) == _every_quarter(noon(3) - 2 * HOUR, noon(3))
    assert await search.starts(_midnight(4)) == []
    assert await search.reason(noon(4)) == "time_off"
    assert len(await search.starts(_midnight(5))) == 96


async def test_time_off_and_back(desk: Desk, search: Search) -> None:
    away = await desk.away(noon(3), noon(3) + 2 * HOUR, "Dentist")
    assert await search.reason(noon(3)) == "time_off"
    assert await search.reason(noon(3) - HOUR) is None, "touching is fine"
    assert await search.reason(noon(3) + 2 * HOUR) is None
    assert (await desk.call("DELETE", f"/time-off/{away['id']}")).status_code == 204
    assert await search.reason(noon(3)) is None
    assert (await desk.call("DELETE", f"/time-off/{away['id']}")).status_code == 404


async def test_offline_and_back(desk: Desk, search: Search) -> None:
    assert await desk.go_online(False) == {"online": False, "conflicts": []}
    assert (await search.starts(_midnight(3)), await search.reason(noon(3))) == ([], "offline")
    assert await desk.go_online(True) == {"online": True, "conflicts": []}
    assert await search.reason(noon(3)) is None


async def test_notice_and_horizon(desk: Desk, search: Search) -> None:
    await desk.set(minimum_notice_minutes=48 * 60, horizon_days=5)
    assert await search.reason(noon(1)) == "too_soon"
    assert await search.reason(noon(3)) is None
    assert await search.reason(noon(7)) == "too_far"
    offered = await search.starts(datetime.now(UTC), timedelta(days=9))
    assert offered[0] >= datetime.now(UTC) + timedelta(hours=47)
    assert offered[-1] <= datetime.now(UTC) + timedelta(days=5)


async def test_no_more_sessions_a_day_than_wished(desk: Desk, search: Search, shop: Shop, customer: Customer) -> None:
    await desk.set(max_sessions_per_day=1)
    await customer.book(shop, noon(3))
    assert await search.starts(_midnight(3)) == []
    assert await search.reason(noon(4)) is None
    await desk.set(max_sessions_per_day=None)
    assert await search.reason(noon(3) + 3 * HOUR) is None


async def test_longer_buffers_of_their_own(desk: Desk, search: Search, shop: Shop, customer: Customer) -> None:
    await customer.book(shop, noon(3))
    assert await search.reason(noon(3) + 1.25 * HOUR) is None, "the service asks for a quarter of an hour after it"
    longer = {"service_id": str(shop.service_id), "buffer_before_minutes": 60, "buffer_after_minutes": 0}
    await desk.set(services=[longer])
    assert await search.reason(noon(3) + 1.25 * HOUR) == "taken"
    assert await search.reason(noon(3) + 2.25 * HOUR) is None
    assert await search.reason(noon(3) - HOUR) == "taken", "the service's quarter still holds: 0 does not shorten it"


async def test_a_service_that_is_offered_no_more(desk: Desk, search: Search, shop: Shop) -> None:
    before = (await desk.schedule())["services"]
    await desk.set(services=[])
    assert await search.reason(noon(3)) == "not_offered"
    await desk.set(services=before)
    assert await search.reason(noon(3)) is None


async def test_no_hours_at_all(desk: Desk, search: Search) -> None:
    await desk.set(weekly=[])
    assert await search.reason(noon(3)) == "outside_hours"
    await desk.set(weekly=AROUND_THE_CLOCK)
    assert await search.reason(noon(3)) is None


async def test_a_schedule_that_was_read_before_midnight(desk: Desk) -> None:
    """Dates that are over are dropped, not refused; yesterday's hours may still run."""
    days = [noon(ago).date() for ago in (-40, -2, -1, 0, 1)]
    read = await desk.set(exceptions=[{"date": str(day), "hours": []} for day in days])
    assert [each["date"] for each in read["exceptions"]] == [str(day) for day in days[2:]]


async def test_reservations_are_listed_in_pages(desk: Desk, shop: Shop, customer: Customer) -> None:
    starts = [noon(3) + hours * HOUR for hours in (0, 3, 6)]
    booked = [await customer.book(shop, start) for start in reversed(starts)]
    await customer.pay(booked[0])
    await customer.sees(booked[0], "confirmed")
    first = (await desk.call("GET", "/reservations", limit=2)).json()
    rest = (await desk.call("GET", "/reservations", limit=2, cursor=first["next_cursor"])).json()
    items = first["items"] + rest["items"]
    assert [datetime.fromisoformat(item["start"]) for item in items] == starts
    assert [(item["booking_id"], item["status"]) for item in items] == [
        *((booking["id"], "reserved") for booking in (booked[2], booked[1])),
        (booked[0]["id"], "confirmed"),
    ]
    assert datetime.fromisoformat(items[0]["blocked_until"]) == starts[0] + shop.duration + shop.buffer_after
    assert rest["next_cursor"] is None
    for query, expected in (
        ({"status": "confirmed"}, items[2:]),
        ({"status": "cancelled"}, []),
        ({"from": starts[1].isoformat(), "to": starts[2].isoformat()}, items[1:2]),
    ):
        assert (await desk.call("GET", "/reservations", **query)).json()["items"] == expected


async def test_a_hold_that_has_run_out_is_expired(desk: Desk, shop: Shop, customer: Customer, database: Any) -> None:
    """Whatever its row says: a sweep may be late."""
    await customer.book(shop, noon(3))
    await database.execute(
        "UPDATE slot_reservations SET expires_at = now() - interval '1 minute' WHERE mechanic_id = $1", shop.mechanic_id
    )
    assert (await desk.call("GET", "/reservations", status="reserved")).json()["items"] == []
    assert len((await desk.call("GET", "/reservations", status="expired")).json()["items"]) == 1


async def test_time_off_is_listed_in_pages(desk: Desk, database: Any, shop: Shop) -> None:
    past = noon(-3)
    await database.execute(
        "INSERT INTO time_off (mechanic_id, during) VALUES ($1, tstzrange($2, $3))", shop.mechanic_id, past, past + HOUR
    )
    made = [await desk.away(noon(days), noon(days) + HOUR, f"{days}") for days in (3, 4, 5)]
    first = (await desk.call("GET", "/time-off", limit=2)).json()
    rest = (await desk.call("GET", "/time-off", limit=2, cursor=first["next_cursor"])).json()
    expected = [{name: each[name] for name in ("id", "start", "end", "reason")} for each in made]
    assert first["items"] + rest["items"] == expected
    assert rest["next_cursor"] is None
    within = {"from": noon(4).isoformat(), "to": (noon(4) + QUARTER).isoformat()}
    assert (await desk.call("GET", "/time-off", **within)).json()["items"] == expected[1:2]
    everything = (await desk.call("GET", "/time-off", to=noon(9).isoformat())).json()["items"]
    assert len(everything) == 4, "without a beginning: also what is over"


async def test_the_same_time_off_again_is_the_same(desk: Desk) -> None:
    first, second = [await desk.away(noon(3), noon(4), reason) for reason in ("Holiday", "Again")]
    assert first == second
    assert len((await desk.call("GET", "/time-off")).json()["items"]) == 1
    assert (await desk.call("DELETE", f"/time-off/{uuid4()}")).status_code == 404
