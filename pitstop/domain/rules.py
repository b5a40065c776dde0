"""A mechanic's own rules, and the bookings that stand against them."""

from dataclasses import dataclass
from datetime import date
from enum import Enum, StrEnum
from uuid import UUID

from pitstop.domain.hours import Span, WeeklySpan


class Keep(Enum):
    """In the place of a value: it stays as it is."""

    AS_IT_IS = "as_it_is"


@dataclass(frozen=True, slots=True)
class DayHours:
    """A date with hours of its own; none: a day off."""

    day: date
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class OfferedService:
    """The longer of these buffers (minutes) and the service's own holds."""

    service_id: UUID
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """What a mechanic sets. `exceptions` and `services` None: they stay as they are."""

    timezone: str
    weekly: tuple[WeeklySpan, ...]
    minimum_notice_minutes: int
    horizon_days: int
    exceptions: tuple[DayHours, ...] | None = None
    services: tuple[OfferedService, ...] | None = None
    max_sessions_per_day: int | Keep | None = Keep.AS_IT_IS
    holiday_region: str | Keep | None = Keep.AS_IT_IS


class ConflictReason(StrEnum):
    """Why the rules would not allow a booking that stands; the most telling one where there are several."""

    NOT_OFFERED = "not_offered"
    TIME_OFF = "time_off"
    OUTSIDE_HOURS = "outside_hours"
    DAILY_LIMIT = "daily_limit"
    OFFLINE = "offline"


class ReservationStatus(StrEnum):
    """Where a reservation of a mechanic's time stands."""

    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class UnknownTimezone(Exception):
    """The database has no such time zone."""


class UnknownRegion(Exception):
    """There are no public holidays on record for this region; `known` are the parts of its country that have some."""

    def __init__(self, region: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(region)
        self.known = known


class UnknownService(Exception):
    """There is no such service; `place` is where it stands among those that were sent."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place
