"""A change moves no booking: it names those that the new rules would not allow, and they stay as they are."""

from datetime import date, datetime, timedelta

from tests.mechanics.conftest import AROUND_THE_CLOCK, Desk, Json, conflicts, noon
from tests.support.people import Customer
from tests.support.shop import Shop

HOUR = timedelta(hours=1)


def _without(day: date) -> list[Json]:
    return [span for span in AROUND_THE_CLOCK if span["weekday"] != day.weekday()]


async def test_each_kind_of_rule_names_what_it_would_not_allow(desk: Desk, shop: Shop, customer: Customer) -> None:
    booking = await customer.book(shop, noon(3))
    other = await customer.book(shop, noon(4))
    before, services = await customer.read(booking), (await desk.schedule())["services"]

    changed = await desk.set(weekly=_without(noon(3).date()))
    assert conflicts(changed) == [(booking["id"], "outside_hours")]
    [conflict] = changed["conflicts"]
    assert [datetime.fromisoformat(conflict[end]) for end in ("start", "end")] == [noon(3), noon(3) + HOUR]
    assert conflict["status"] == "awaiting_payment"
    assert conflicts(await desk.set(weekly=AROUND_THE_CLOCK)) == []

    day_off = [{"date": str(noon(4).date()), "hours": []}]
    assert conflicts(await desk.set(exceptions=day_off)) == [(other["id"], "time_off")]
    elsewhen = [{"date": str(noon(4).date()), "hours": [{"start": "12:15", "end": "20:00"}]}]
    assert conflicts(await desk.set(exceptions=elsewhen)) == [(other["id"], "outside_hours")]
    assert conflicts(await desk.set(exceptions=[])) == []

    assert conflicts(await desk.set(services=[])) == [(booking["id"], "not_offered"), (other["id"], "not_offered")]
    assert conflicts(await desk.set(services=services)) == []

    away = await desk.away(noon(3) - HOUR, noon(3) + HOUR / 4)
    assert conflicts(away) == [(booking["id"], "time_off")]
    offline = await desk.go_online(False)
    assert conflicts(offline) == [(booking["id"], "time_off"), (other["id"], "offline")]
    assert conflicts(await desk.go_online(True)) == [(booking["id"], "time_off")]

    # A mechanic moves to another zone: its hours move, the bookings do not.
    await desk.call("DELETE", f"/time-off/{away['id']}")
    noons = [{"weekday": day, "start": "12:00", "end": "13:00"} for day in range(7)]
    assert conflicts(await desk.set(weekly=noons)) == []
    assert len(conflicts(await desk.set(timezone="Asia/Kathmandu"))) == 2
    read = await customer.read(booking)
    assert [flag["reason"] for flag in read["flags"]] == ["outside_hours"]
    assert read | {"flags": []} == before, "it was never touched, and is flagged"


async def test_over_the_daily_limit_are_those_that_were_booked_last(desk: Desk, shop: Shop, customer: Customer) -> None:
    booked = [await customer.book(shop, noon(3) + hours * HOUR) for hours in (6, 0, 3)]
    await customer.book(shop, noon(4))
    assert conflicts(await desk.set(max_sessions_per_day=3)) == []
    assert conflicts(await desk.set(max_sessions_per_day=2)) == [(booked[2]["id"], "daily_limit")]
    limited = await desk.set(max_sessions_per_day=1)
    assert conflicts(limited) == [(booked[1]["id"], "daily_limit"), (booked[2]["id"], "daily_limit")]


async def test_notice_horizon_and_buffers_are_those_of_the_booking(desk: Desk, shop: Shop, customer: Customer) -> None:
    await customer.book(shop, noon(3))
    longer = [{"service_id": str(shop.service_id), "buffer_before_minutes": 600, "buffer_after_minutes": 600}]
    changed = await desk.set(minimum_notice_minutes=5 * 24 * 60, horizon_days=1, services=longer)
    assert conflicts(changed) == []
