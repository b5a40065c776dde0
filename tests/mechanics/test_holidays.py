"""Public holidays as days off: filled in when a mechanic names a region, topped up by the sweep."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client

from pitstop.devstack.stackfile import Stack
from pitstop.domain.rules import UnknownRegion
from pitstop.gateways.holiday_library import HolidayLibrary
from pitstop.postgres.holidays import PostgresHolidays, years_ahead
from pitstop.postgres.pool import open_pool
from tests.mechanics.conftest import Desk, Search, conflicts
from tests.support.people import Customer
from tests.support.shop import Shop
from tests.support.sweep import sweep

HOUR = timedelta(hours=1)
# Regions that no other test names.
NEW_YEARS_REGION, SWEPT, FORGOTTEN, MOVED = "NZ", "NZ-AUK", "NZ-OTA", "NZ-WGN"


def _new_year() -> datetime:
    """Noon of the next 1 January, which is a holiday everywhere."""
    return datetime(datetime.now(UTC).year + 1, 1, 1, 12, tzinfo=UTC)


async def _days(database: Any, region: str) -> list[date]:
    return [r["day"] for r in await database.fetch("SELECT day FROM public_holidays WHERE region = $1", region)]


async def test_a_holiday_is_a_day_off_unless_it_has_hours_of_its_own(
    desk: Desk, search: Search, shop: Shop, customer: Customer
) -> None:
    await desk.set(horizon_days=365)
    booking = await customer.book(shop, _new_year())
    named = await desk.set(holiday_region=NEW_YEARS_REGION)
    assert conflicts(named) == [(booking["id"], "time_off")]
    assert await search.reason(_new_year() + 3 * HOUR) == "time_off"
    hours = [{"date": str(_new_year().date()), "hours": [{"start": "10:00", "end": "20:00"}]}]
    assert conflicts(await desk.set(exceptions=hours)) == []
    assert await search.reason(_new_year() + 3 * HOUR) is None
    assert await search.reason(_new_year() + 12 * HOUR) == "time_off", "2 January is one there as well"
    assert conflicts(await desk.set(exceptions=[], holiday_region=None)) == []
    assert await search.reason(_new_year() + 12 * HOUR) is None


async def test_all_that_can_be_booked_is_on_record(desk: Desk, database: Any) -> None:
    await desk.set(holiday_region=NEW_YEARS_REGION)
    today = datetime.now(UTC).date()
    row = await database.fetchrow("SELECT * FROM holiday_calendars WHERE region = $1", NEW_YEARS_REGION)
    last = (today + timedelta(days=365)).year + 1
    assert (row["since"], row["through"]) == (date(today.year, 1, 1), date(last, 12, 31))
    found = await _days(database, NEW_YEARS_REGION)
    assert sorted(found) == sorted(HolidayLibrary().days(NEW_YEARS_REGION, range(today.year, last + 1)))
    assert {day.year for day in found} >= set(range(today.year, last + 1))


async def test_a_region_that_is_refused_leaves_nothing(desk: Desk, database: Any) -> None:
    before = await desk.schedule()
    assert (await desk.put(holiday_region="AD-ZZ", horizon_days=7)).status_code == 422
    services = [{"service_id": "0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d"}]
    assert (await desk.put(holiday_region="AD", services=services)).status_code == 422
    assert await desk.schedule() == before


async def _age(database: Any, region: str, made_up: date) -> None:
    """As if it was looked up a year ago, and with a day in it that is none."""
    await database.execute(
        "UPDATE holiday_calendars SET through = through - 365, refreshed_on = refreshed_on - 365 WHERE region = $1",
        region,
    )
    await database.execute("DELETE FROM public_holidays WHERE region = $1 AND day > now() + interval '1 year'", region)
    await database.execute("INSERT INTO public_holidays VALUES ($1, $2, 'Made up')", region, made_up)


async def test_the_sweep_tops_up_what_is_in_use(
    desk: Desk, database: Any, temporal: Client, stack: Stack, shop: Shop
) -> None:
    await desk.set(holiday_region=FORGOTTEN)
    await database.execute("UPDATE mechanics SET holiday_region = NULL WHERE holiday_region = $1", FORGOTTEN)
    await desk.set(holiday_region=SWEPT)
    whole, moved = set(await _days(database, SWEPT)), datetime.now(UTC).date() + timedelta(days=40)
    while moved in whole:
        moved += timedelta(days=1)
    for region in (SWEPT, FORGOTTEN):
        await _age(database, region, moved)
    await sweep(temporal, stack)
    assert set(await _days(database, SWEPT)) == whole
    assert moved in await _days(database, FORGOTTEN), "nobody takes these off any more"
    await desk.set(holiday_region=FORGOTTEN)
    assert moved not in await _days(database, FORGOTTEN), "and they are looked up when somebody does again"


class Moved:
    """A later library, in which the law has changed; or one that has lost the region."""

    def __init__(self, days: dict[date, str] | None) -> None:
        self._days = days

    def days(self, region: str, years: Iterable[int]) -> dict[date, str]:
        if region != MOVED:
            return HolidayLibrary().days(region, years)
        if self._days is None:
            raise UnknownRegion(region)
        return self._days


async def test_days_to_come_are_replaced_and_past_ones_stay(desk: Desk, database: Any, stack: Stack) -> None:
    await desk.set(holiday_region=MOVED)
    today = datetime.now(UTC).date()
    past = {day for day in await _days(database, MOVED) if day < today}
    new = today + timedelta(days=100)
    async with open_pool(stack.worker_database_url, 1, "test") as pool:
        for days, tomorrow in (({new: "Moved"}, 1), (None, 2)):
            await PostgresHolidays(pool, Moved(days)).top_up(today + timedelta(days=tomorrow), 1000)
            assert {day for day in await _days(database, MOVED) if day > today} == {new}, "one that is lost stays, too"
        assert {day for day in await _days(database, MOVED) if day < today} == past
        # It looks once a day.
        await PostgresHolidays(pool, Moved({})).top_up(today, 1000)
        assert new in await _days(database, MOVED)


def test_which_years_are_kept() -> None:
    assert list(years_ahead(date(2026, 1, 1))) == [2026, 2027, 2028]
    assert list(years_ahead(date(2027, 12, 31))) == [2027, 2028, 2029]
    assert list(years_ahead(date(2028, 1, 1))) == [2028, 2029], "2028 has 366 days"


@pytest.mark.parametrize("region", ["CA-ON", "US-NY", "GB-SCT", "DE-BY", "FR", "AU-NSW", "NP"])
def test_regions_that_are_known(region: str) -> None:
    assert len(HolidayLibrary().days(region, [2026, 2027])) > 10


def test_what_the_parts_of_a_country_are() -> None:
    for unknown in ("CA-XX", "XX", "XX-ON", "UK", "NL-Midden", "ca-ON", ""):
        with pytest.raises(UnknownRegion) as refused:
            HolidayLibrary().days(unknown, [2026])
        assert set(refused.value.known) in (
            set(),
            {f"CA-{p}" for p in "AB BC MB NB NL NS NT NU ON PE QC SK YT".split()},
        )
    assert date(2026, 2, 16) in HolidayLibrary().days("CA-ON", [2026])
    assert date(2026, 2, 16) not in HolidayLibrary().days("CA-QC", [2026])
