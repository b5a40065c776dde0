"""Real days on which clocks change, and zones of odd offsets: what is offered, written by hand in UTC.

Each row is one working day of one mechanic, whose session lasts `length` minutes and may start every `step`. Hours are
those of the date named, and end on the next one where they run over midnight.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.availability import product, reference
from tests.availability.conftest import Desk
from tests.availability.reference import DAY, Mechanic, Service, Span, World
from tests.availability.zones import Agreement

ZOE = UUID(int=7)


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    timezone: str
    day: date
    hours: str
    length: int
    step: int
    # UTC; a time that is earlier than the one before it is on the next day.
    first_day: date
    starts: str

    def __str__(self) -> str:
        return f"{self.timezone.rpartition('/')[2]}-{self.day}-{self.what}".replace(" ", "-")


def _d(text: str) -> date:
    return date.fromisoformat(f"2026-{text}")


TORONTO, LONDON, LORD_HOWE = "America/Toronto", "Europe/London", "Australia/Lord_Howe"
ST_JOHNS, SANTIAGO, BEIRUT = "America/St_Johns", "America/Santiago", "Asia/Beirut"

ROWS = [
    # 02:00 EST becomes 03:00 EDT at 07:00Z.
    Row("no two o'clock", TORONTO, _d("03-08"), "01:00-05:00", 60, 60, _d("03-08"), "06:00 07:00 08:00"),
    Row("across the gap", TORONTO, _d("03-08"), "01:00-04:00", 90, 30, _d("03-08"), "06:00 06:30"),
    Row("closes in the gap", TORONTO, _d("03-08"), "00:00-02:30", 60, 30, _d("03-08"), "05:00 05:30 06:00"),
    Row("opens in the gap", TORONTO, _d("03-08"), "02:30-05:00", 60, 60, _d("03-08"), "07:00 08:00"),
    Row("hours in the gap only", TORONTO, _d("03-08"), "02:00-03:00", 15, 15, _d("03-08"), ""),
    Row(
        "night into spring",
        *(TORONTO, _d("03-07"), "22:00-06:00", 60, 60, _d("03-08")),
        "03:00 04:00 05:00 06:00 07:00 08:00 09:00",
    ),
    # 02:00 EDT becomes 01:00 EST at 06:00Z.
    Row("one o'clock twice", TORONTO, _d("11-01"), "00:00-04:00", 60, 60, _d("11-01"), "04:00 05:00 06:00 07:00 08:00"),
    Row("closes in both", TORONTO, _d("11-01"), "00:00-01:30", 30, 30, _d("11-01"), "04:00 04:30 05:00 06:00"),
    Row("opens in both", TORONTO, _d("11-01"), "01:30-03:00", 30, 30, _d("11-01"), "05:30 06:30 07:00 07:30"),
    Row(
        "night into autumn",
        *(TORONTO, _d("10-31"), "22:00-06:00", 60, 60, _d("11-01")),
        "02:00 03:00 04:00 05:00 06:00 07:00 08:00 09:00 10:00",
    ),
    # 01:00 GMT becomes 02:00 BST at 01:00Z, and back at 01:00Z.
    Row("no one o'clock", LONDON, _d("03-29"), "00:00-04:00", 60, 60, _d("03-29"), "00:00 01:00 02:00"),
    Row("one o'clock twice", LONDON, _d("10-25"), "00:00-03:00", 60, 60, _d("10-24"), "23:00 00:00 01:00 02:00"),
    # Half an hour back, from 02:00 to 01:30, at 15:00Z; half an hour forward, from 02:00 to 02:30, at 15:30Z.
    Row("half past one twice", LORD_HOWE, _d("04-05"), "00:00-04:00", 60, 60, _d("04-04"), "13:00 14:00 15:30 16:30"),
    Row(
        "half past one twice, by half hours",
        *(LORD_HOWE, _d("04-05"), "00:00-04:00", 30, 30, _d("04-04")),
        "13:00 13:30 14:00 14:30 15:00 15:30 16:00 16:30 17:00",
    ),
    Row("no two o'clock", LORD_HOWE, _d("10-04"), "00:00-05:00", 60, 60, _d("10-03"), "13:30 14:30 16:00 17:00"),
    Row(
        "no two o'clock, by half hours",
        *(LORD_HOWE, _d("10-04"), "00:00-05:00", 60, 30, _d("10-03")),
        "13:30 14:00 14:30 15:00 15:30 16:00 16:30 17:00",
    ),
    # +5:45 all year: starts are on the wall's full hours, which are quarters to the hour in UTC.
    Row("full hours", "Asia/Kathmandu", _d("05-12"), "09:00-12:00", 60, 60, _d("05-12"), "03:15 04:15 05:15"),
    Row(
        "full hours from twenty past", "Asia/Kathmandu", _d("05-12"), "09:20-12:00", 60, 60, _d("05-12"), "04:15 05:15"
    ),
    Row("over midnight", "Asia/Kathmandu", _d("05-12"), "22:00-01:00", 60, 60, _d("05-12"), "16:15 17:15 18:15"),
    # -3:30 in winter, -2:30 in summer; 02:00 becomes 03:00 at 05:30Z, and 01:00 at 04:30Z.
    Row("winter", ST_JOHNS, _d("01-14"), "09:00-12:00", 60, 60, _d("01-14"), "12:30 13:30 14:30"),
    Row("no two o'clock", ST_JOHNS, _d("03-08"), "01:00-05:00", 60, 60, _d("03-08"), "04:30 05:30 06:30"),
    Row("one o'clock twice", ST_JOHNS, _d("11-01"), "00:00-03:00", 60, 60, _d("11-01"), "02:30 03:30 04:30 05:30"),
    # At midnight: 24:00 becomes 23:00 at 03:00Z, 00:00 becomes 01:00 at 04:00Z.
    Row("eleven twice", SANTIAGO, _d("04-04"), "22:00-02:00", 60, 60, _d("04-05"), "01:00 02:00 03:00 04:00 05:00"),
    Row("no midnight", SANTIAGO, _d("09-05"), "22:00-02:00", 60, 60, _d("09-06"), "02:00 03:00 04:00"),
    # At midnight: 00:00 becomes 01:00 at 22:00Z, and 23:00 at 21:00Z.
    Row("no midnight", BEIRUT, _d("03-28"), "22:00-02:00", 60, 60, _d("03-28"), "20:00 21:00 22:00"),
    Row("opens at no midnight", BEIRUT, _d("03-29"), "00:00-03:00", 60, 60, _d("03-28"), "22:00 23:00"),
    Row("eleven twice", BEIRUT, _d("10-24"), "22:00-02:00", 60, 60, _d("10-24"), "19:00 20:00 21:00 22:00 23:00"),
]
# Around the clock: how many sessions start on such a day, and the first of them.
LENGTHS = [
    (TORONTO, _d("03-08"), 60, 23, "2026-03-08T05:00Z"),
    (TORONTO, _d("03-15"), 60, 24, "2026-03-15T04:00Z"),
    (TORONTO, _d("11-01"), 60, 25, "2026-11-01T04:00Z"),
    (LONDON, _d("03-29"), 60, 23, "2026-03-29T00:00Z"),
    (LONDON, _d("10-25"), 60, 25, "2026-10-24T23:00Z"),
    (LORD_HOWE, _d("10-04"), 30, 47, "2026-10-03T13:30Z"),
    (LORD_HOWE, _d("04-05"), 30, 49, "2026-04-04T13:00Z"),
    (SANTIAGO, _d("09-06"), 60, 23, "2026-09-06T04:00Z"),
    (SANTIAGO, _d("04-04"), 60, 25, "2026-04-04T03:00Z"),
]


def _instants(first_day: date, clocks: str) -> list[datetime]:
    found: list[datetime] = []
    for clock in clocks.split():
        instant = datetime.combine(found[-1].date() if found else first_day, time.fromisoformat(clock), UTC)
        found.append(instant + DAY if found and instant < found[-1] else instant)
    return found


def _world(timezone: str, day: date, hours: str, length: int, step: int) -> World:
    opens, closes = (time.fromisoformat(clock) for clock in hours.split("-"))
    weekly = {day.weekday(): [Span(opens, closes)]}
    service = Service(UUID(int=1), timedelta(minutes=length), timedelta(minutes=step))
    return World(service, [Mechanic(ZOE, timezone, weekly)])


async def _answers(connection: Any, world: World, day: date) -> tuple[list[datetime], list[datetime], list[datetime]]:
    """The starts that are shown, those of all quarters of an hour that pass the check, and those that can be held."""
    noon = datetime.combine(day, time(12), UTC)
    since, until, at = noon - 2 * DAY, noon + 2 * DAY, noon - 7 * DAY
    async with product.undone(connection):
        await product.write(connection, world)
        async with product.undone(connection):
            await product.become(connection, "pitstop_api")
            shown = [start for start, _ in await product.search(connection, world, since, until, at)]
            slots = [(since + timedelta(minutes=15) * number, ZOE) for number in range(4 * 96)]
            refusals = await product.checks(connection, world, slots, at)
        passed = [start for (start, _), refusal in zip(slots, refusals, strict=True) if refusal is None]
        tried = [start + move for start in shown for move in (timedelta(0), timedelta(minutes=15))]
        held = [
            start
            for start in tried
            if (await product.try_hold(connection, world, world.mechanics[0], start, at)).terms is not None
        ]
    return shown, passed, held


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_day(desk: Desk, row: Row) -> None:
    world = _world(row.timezone, row.day, row.hours, row.length, row.step)
    expected = _instants(row.first_day, row.starts)
    shown, passed, held = desk.run(_answers(desk.connection, world, row.day))
    assert shown == expected
    assert passed == expected
    assert set(held) == set(expected)
    since = datetime.combine(row.day, time(12), UTC) - 2 * DAY
    assert [start for start, _ in reference.bookable(world, since, since + 4 * DAY, since - 5 * DAY)] == expected


@pytest.mark.parametrize(("timezone", "day", "length", "count", "first"), LENGTHS)
def test_how_long_the_day_is(desk: Desk, timezone: str, day: date, length: int, count: int, first: str) -> None:
    """Hours of 00:00 to 00:00 are the whole day, however long it is; the sessions fill it without a hole."""
    world = _world(timezone, day, "00:00-00:00", length, length)
    shown, passed, held = desk.run(_answers(desk.connection, world, day))
    expected = [datetime.fromisoformat(first) + timedelta(minutes=length) * number for number in range(count)]
    assert shown == passed == expected
    assert set(held) >= set(expected)


async def _hold_all(connection: Any, world: World, starts: list[datetime], at: datetime) -> list[bool]:
    async with product.undone(connection):
        await product.write(connection, world)
        outcomes = []
        for start in starts:
            booking = await product.open_booking(connection, world, world.mechanics[0], start)
            outcomes.append((await product.hold(product.OneConnection(connection), booking, at)).terms is not None)
        return outcomes


def test_a_local_time_that_comes_twice_is_two_sessions(desk: Desk) -> None:
    """01:00 EDT and 01:00 EST are an hour apart: both can be had, and together they leave no room in between."""
    world = _world(TORONTO, _d("11-01"), "00:00-04:00", 60, 30)
    both = _instants(_d("11-01"), "05:00 06:00")
    assert [reference.wall(world.mechanics[0], start).time() for start in both] == [time(1), time(1)]
    starts = [*both, *_instants(_d("11-01"), "04:30 05:30 06:30 07:00")]
    held = desk.run(_hold_all(desk.connection, world, starts, both[0] - DAY))
    assert held == [True, True, False, False, False, True]


def test_the_zones_of_these_dates_are_the_same_to_python(desk: Desk) -> None:
    """The table is about PostgreSQL. It holds for the reference as well only where the two sets of zone data agree."""
    agreement = Agreement()
    for row in ROWS:
        noon = datetime.combine(row.day, time(12), UTC)
        assert desk.run(agreement.holds(desk.connection, row.timezone, noon - 7 * DAY, noon + 7 * DAY)), row.timezone
