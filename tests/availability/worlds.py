"""Worlds at random: mechanics with their rules, reservations and bays, close around one instant where things happen."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from tests.availability import reference, zones
from tests.availability.reference import DAY, Absence, Bay, Mechanic, Reservation, Service, Span, World

Draw = Any


@dataclass(frozen=True, slots=True)
class Question:
    """A search of [since, until) at this instant of the asker's clock."""

    world: World
    since: datetime
    until: datetime
    at: datetime
    page: int
    # The session's own zone, which must make no difference.
    session_zone: str


def _minutes(*choices: int) -> st.SearchStrategy[timedelta]:
    return st.sampled_from(choices).map(lambda number: timedelta(minutes=number))


def _between(least: int, most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(least, most).map(lambda number: timedelta(minutes=number))


def _quarters(least: int, most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(least, most).map(lambda number: timedelta(minutes=15 * number))


def _ids(prefix: int, number: int = 0) -> st.SearchStrategy[UUID]:
    """In any order; the last byte is the number."""
    return st.integers(0, 2**32).map(lambda above: UUID(int=(prefix << 64) | (above << 8) | number))


# Near midnight and where clocks change, on the hour, a minute beside it, anywhere.
CLOCKS = st.one_of(
    st.builds(time, st.sampled_from([0, 0, 1, 2, 3, 22, 23]), st.sampled_from([0, 0, 15, 30, 45, 1, 59])),
    st.builds(time, st.integers(0, 23), st.sampled_from([0, 0, 30])),
    st.builds(time, st.integers(0, 23), st.integers(0, 59)),
)
SPANS = st.builds(Span, CLOCKS, CLOCKS)
HOURS = st.lists(SPANS, max_size=3, unique_by=lambda span: span.opens)
# Wide enough for whatever else there is to decide.
WIDE = st.sampled_from(
    [
        [Span(time(0), time(0))],
        [Span(time(22), time(22))],
        [Span(time(0, 30), time(23, 15))],
        [Span(time(0), time(2, 30)), Span(time(2, 30), time(0))],
    ]
)


@st.composite
def weekly(draw: Draw) -> dict[int, list[Span]]:
    patterns = draw(st.lists(st.one_of(WIDE, WIDE, HOURS), min_size=1, max_size=3))
    return {weekday: draw(st.sampled_from(patterns)) for weekday in range(7)}


@st.composite
def anchors(draw: Draw, zone: str) -> datetime:
    """Where something happens: a clock change, a local midnight, or nothing in particular."""
    changes = zones.clock_changes(zone)
    day = draw(st.dates(date(zones.FIRST_YEAR, 1, 8), date(zones.LAST_YEAR, 12, 20)))
    midnight = datetime(day.year, day.month, day.day, tzinfo=reference.zone(zone)).astimezone(UTC)
    if changes and draw(st.sampled_from([True, True, True, False])):
        return draw(st.sampled_from(changes))  # type: ignore[no-any-return]
    return midnight + draw(st.one_of(st.just(timedelta(0)), _quarters(0, 96)))  # type: ignore[no-any-return]


@st.composite
def services(draw: Draw) -> Service:
    buffers = _minutes(0, 0, 5, 15, 30, 90)
    return Service(
        id=draw(_ids(1)),
        duration=draw(_minutes(60, 1, 15, 30, 30, 45, 60, 60, 90, 240, 1440)),
        step=draw(_minutes(30, 15, 10, 15, 20, 30, 45, 60, 60, 90, 120, 1440)),
        before=draw(buffers),
        after=draw(buffers),
        in_person=draw(st.sampled_from([False, False, True])),
        active=draw(st.sampled_from([True] * 19 + [False])),
    )


def _nearby(draw: Draw, zone: str, anchor: datetime) -> date:
    days: int = draw(st.integers(-1, 1))
    return (anchor.astimezone(reference.zone(zone)) + days * DAY).date()


@st.composite
def mechanics(draw: Draw, number: int, zone: str, anchor: datetime, workshops: list[UUID], days_ahead: int) -> Mechanic:
    own_zone = draw(st.sampled_from([zone, zone, zone, *zones.ZONES]))
    few = st.sampled_from([0, 0, 0, 1, 2])
    region = draw(st.sampled_from([None, f"CA-{number}"]))
    holidays = [_nearby(draw, own_zone, anchor) for _ in range(draw(few))] if region else []
    away = [anchor + draw(_between(-1200, 1200)) for _ in range(draw(few))]
    lengths = _between(1, 600)
    buffers = st.tuples(_minutes(0, 10, 45, 75), _minutes(0, 10, 45, 75))
    return Mechanic(
        id=draw(_ids(2, number)),
        timezone=own_zone,
        weekly=draw(weekly()),
        exceptions={_nearby(draw, own_zone, anchor): draw(HOURS) for _ in range(draw(few))},
        holidays=frozenset(holidays),
        holiday_region=region,
        time_off=[Absence(start, start + draw(lengths)) for start in away],
        online=draw(st.sampled_from([True] * 14 + [False])),
        notice=draw(st.one_of(_minutes(0), _minutes(0, 120), _between(0, days_ahead * 1440 + 600))),
        horizon=draw(st.sampled_from([60, 60, 365, days_ahead + 1, max(1, days_ahead)])) * DAY,
        daily_limit=draw(st.sampled_from([None, 1, 1, 2])),
        workshop_id=draw(st.sampled_from([workshops[0]] * 5 + [workshops[-1], None])),
        buffers=draw(st.one_of(*[buffers] * 7, st.none())) if number else draw(buffers),
    )


@st.composite
def reservations(
    draw: Draw, world: World, number: int, anchor: datetime, at: datetime, chosen_mechanic: Mechanic
) -> Reservation:
    start = anchor + draw(st.one_of(_quarters(-40, 56), _between(-700, 900)))
    end = start + draw(_minutes(1, 30, 60, 60, 120))
    buffers = _minutes(0, 0, 15, 30)
    status = draw(st.sampled_from(["confirmed", "confirmed", "reserved", "reserved", "expired", "cancelled"]))
    bays = [bay.id for bay in world.bays]
    return Reservation(
        booking_id=UUID(int=(3 << 64) | number),
        mechanic_id=chosen_mechanic.id,
        start=start,
        end=end,
        blocked_from=start - draw(buffers),
        blocked_to=end + draw(buffers),
        status=status,
        lapses_at=at + draw(_minutes(-5, 0, 5)),
        bay_id=draw(st.sampled_from([*bays, None])) if bays else None,
    )


@st.composite
def questions(draw: Draw) -> Question:
    zone = draw(st.sampled_from(zones.ZONES))
    anchor = draw(anchors(zone))
    days_ahead = draw(st.sampled_from([0, 1, 1, 2, 3]))
    at = anchor - days_ahead * DAY - draw(_between(-30, 600)) + timedelta(seconds=draw(st.sampled_from([0, 0, 7.25])))
    workshops = [UUID(int=(4 << 64) | number) for number in range(draw(st.sampled_from([1, 1, 2])))]
    bays = [
        Bay(
            UUID(int=(5 << 64) | number),
            draw(st.sampled_from([workshops[0]] * 3 + workshops)),
            draw(st.sampled_from([True] * 4 + [False])),
        )
        for number in range(draw(st.sampled_from([1, 1, 2, 2, 3, 0])))
    ]
    team = [
        draw(mechanics(number, zone, anchor, workshops, days_ahead))
        for number in range(draw(st.sampled_from([1, 2, 2, 3])))
    ]
    world = World(draw(services()), team, bays)
    world.reservations.extend(
        draw(reservations(world, number, anchor, at, draw(st.sampled_from(team))))
        for number in range(draw(st.integers(0, 5)))
    )
    since = anchor - draw(st.one_of(_quarters(8, 40), _between(0, 700)))
    return Question(
        world=world,
        since=since,
        until=anchor + draw(st.one_of(_quarters(12, 56), _between(1, 900))),
        at=at,
        page=draw(st.integers(1, 7)),
        session_zone=draw(st.sampled_from(["UTC", "UTC", zone, "America/Toronto"])),
    )
