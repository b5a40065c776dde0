"""What the rules mean, said as slowly and plainly as possible: minute by minute, in local time, no interval algebra.

The product answers with set arithmetic in the database; this is the second opinion. It knows nothing of the database,
and takes its zones from `zoneinfo`. Everything in it lies on whole minutes, except the asker's clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

remembered = lru_cache(maxsize=100_000)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LIVE = ("reserved", "confirmed")


@dataclass(frozen=True, slots=True)
class Span:
    """Local time. A span that ends at or before its start runs into the next day: if both are equal, for 24 hours."""

    opens: time
    closes: time

    @property
    def over_midnight(self) -> bool:
        return self.closes <= self.opens


@dataclass(frozen=True, slots=True)
class Absence:
    start: datetime
    end: datetime


@dataclass(frozen=True, eq=False)
class Mechanic:
    id: UUID
    timezone: str
    weekly: dict[int, list[Span]]
    exceptions: dict[date, list[Span]] = field(default_factory=dict)
    # The public holidays of the region that the mechanic has chosen.
    holidays: frozenset[date] = frozenset()
    holiday_region: str | None = None
    time_off: list[Absence] = field(default_factory=list)
    online: bool = True
    notice: timedelta = timedelta(0)
    horizon: timedelta = timedelta(days=60)
    daily_limit: int | None = None
    workshop_id: UUID | None = None
    # Before and after; none when the mechanic does not offer the service.
    buffers: tuple[timedelta, timedelta] | None = (timedelta(0), timedelta(0))


@dataclass(frozen=True, slots=True)
class Service:
    id: UUID
    duration: timedelta
    step: timedelta
    before: timedelta = timedelta(0)
    after: timedelta = timedelta(0)
    in_person: bool = False
    active: bool = True


@dataclass(frozen=True, slots=True)
class Bay:
    id: UUID
    workshop_id: UUID
    active: bool = True


@dataclass(frozen=True, slots=True)
class Reservation:
    booking_id: UUID
    mechanic_id: UUID
    start: datetime
    end: datetime
    blocked_from: datetime
    blocked_to: datetime
    status: str
    lapses_at: datetime
    bay_id: UUID | None = None

    def live(self, at: datetime) -> bool:
        return self.status == "confirmed" or (self.status == "reserved" and self.lapses_at > at)

    def overlaps(self, start: datetime, end: datetime) -> bool:
        return self.blocked_from < end and start < self.blocked_to


@dataclass(frozen=True, eq=False)
class World:
    """Worlds and mechanics are only equal to themselves: what has been worked out once for one is kept for it."""

    service: Service
    mechanics: list[Mechanic]
    bays: list[Bay] = field(default_factory=list)
    reservations: list[Reservation] = field(default_factory=list)

    def mechanic(self, id: UUID) -> Mechanic:
        return next(mechanic for mechanic in self.mechanics if mechanic.id == id)

    def moving(self, booking_id: UUID) -> "World":
        """As a booking sees it that is to be moved: its own reservation is not in its way."""
        others = [reservation for reservation in self.reservations if reservation.booking_id != booking_id]
        return replace(self, reservations=others)


@cache
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@remembered
def wall(mechanic: Mechanic, instant: datetime) -> datetime:
    """What the clock on the mechanic's wall shows; an instant has one such time, whatever the clocks do."""
    return instant.astimezone(zone(mechanic.timezone)).replace(tzinfo=None)


def minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += MINUTE


def spans_of(mechanic: Mechanic, day: date) -> list[Span]:
    if day in mechanic.exceptions:
        return mechanic.exceptions[day]
    if day in mechanic.holidays:
        return []
    return mechanic.weekly.get(day.weekday(), [])


def is_special(mechanic: Mechanic, day: date) -> bool:
    """Nothing that began on the evening before reaches into such a day."""
    return day in mechanic.exceptions or day in mechanic.holidays


def is_day_off(mechanic: Mechanic, day: date) -> bool:
    return is_special(mechanic, day) and not spans_of(mechanic, day)


@remembered
def is_open(mechanic: Mechanic, instant: datetime) -> bool:
    now = wall(mechanic, instant)
    today, clock = now.date(), now.time()
    if any(span.opens <= clock and (span.over_midnight or clock < span.closes) for span in spans_of(mechanic, today)):
        return True
    if is_special(mechanic, today):
        return False
    return any(span.over_midnight and clock < span.closes for span in spans_of(mechanic, today - DAY))


@remembered
def is_away(mechanic: Mechanic, instant: datetime) -> bool:
    return any(absence.start <= instant < absence.end for absence in mechanic.time_off)


def on_grid(mechanic: Mechanic, service: Service, start: datetime) -> bool:
    clock = wall(mechanic, start)
    since_midnight = timedelta(
        hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond
    )
    return since_midnight % service.step == timedelta(0)


def blocked_by(mechanic: Mechanic, service: Service, start: datetime) -> tuple[datetime, datetime]:
    """The session with its buffers: of the service's and the mechanic's, the longer."""
    before, after = mechanic.buffers or (timedelta(0), timedelta(0))
    return start - max(before, service.before), start + service.duration + max(after, service.after)


def bays_of(world: World, mechanic: Mechanic) -> list[Bay]:
    return [bay for bay in world.bays if bay.workshop_id == mechanic.workshop_id and bay.active]


def is_taken(world: World, mechanic: Mechanic, start: datetime, at: datetime) -> bool:
    live = [reservation for reservation in world.reservations if reservation.live(at)]
    blocked = blocked_by(mechanic, world.service, start)
    theirs = [reservation for reservation in live if reservation.mechanic_id == mechanic.id]
    if any(reservation.overlaps(*blocked) for reservation in theirs):
        return True
    that_day = [other for other in theirs if wall(mechanic, other.start).date() == wall(mechanic, start).date()]
    if mechanic.daily_limit is not None and len(that_day) >= mechanic.daily_limit:
        return True
    return world.service.in_person and all(
        any(other.bay_id == bay.id and other.overlaps(*blocked) for other in live) for bay in bays_of(world, mechanic)
    )


def is_offered(world: World, mechanic: Mechanic, start: datetime) -> bool:
    if mechanic.buffers is None or not world.service.active or not on_grid(mechanic, world.service, start):
        return False
    return not world.service.in_person or bool(bays_of(world, mechanic))


@remembered
def reasons(world: World, mechanic: Mechanic, start: datetime, at: datetime) -> set[str]:
    """Every reason that holds against this slot; none: it can be booked."""
    session = list(minutes(start.replace(second=0, microsecond=0), start + world.service.duration))
    days = {wall(mechanic, minute).date() for minute in session}
    away = any(is_away(mechanic, minute) for minute in session)
    found = {
        "not_offered": not is_offered(world, mechanic, start),
        "offline": not mechanic.online,
        "too_soon": start < at + mechanic.notice,
        "too_far": start > at + mechanic.horizon,
        "outside_hours": not all(is_open(mechanic, minute) for minute in session),
        "time_off": away or any(is_day_off(mechanic, day) for day in days),
        "taken": is_taken(world, mechanic, start, at),
    }
    return {reason for reason, holds in found.items() if holds}


def starts(world: World, mechanic: Mechanic, since: datetime, until: datetime) -> list[datetime]:
    """Every instant in the span (half-open) that lies on the grid of the mechanic's wall clock."""
    return [start for start in minutes(since.astimezone(UTC), until) if on_grid(mechanic, world.service, start)]


def can_be_taken_again(world: World, mechanic: Mechanic, start: datetime, at: datetime) -> bool:
    """For a payment that comes late: notice and horizon were right when it was held, but the past is past."""
    return start >= at and not reasons(world, mechanic, start, at) - {"too_soon", "too_far"}


def own_time_is_free(world: World, mechanic: Mechanic, start: datetime, end: datetime, at: datetime) -> bool:
    """As `is_slot_available` asks: open and free, whatever the service."""
    free = all(
        is_open(mechanic, minute) and not is_away(mechanic, minute)
        for minute in minutes(start.replace(second=0, microsecond=0), end)
    )
    return (
        mechanic.online
        and free
        and not any(
            other.mechanic_id == mechanic.id and other.live(at) and other.overlaps(start, end)
            for other in world.reservations
        )
    )


def bookable(world: World, since: datetime, until: datetime, at: datetime) -> list[tuple[datetime, UUID]]:
    """What a search has to show, by start and then mechanic."""
    return sorted(
        (start, mechanic.id)
        for mechanic in world.mechanics
        for start in starts(world, mechanic, since, until)
        if not reasons(world, mechanic, start, at)
    )
