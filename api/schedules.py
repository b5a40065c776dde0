"""A mechanic's own rules as clients send and get them."""

from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from api.fields import (
    CalendarDay,
    EndTime,
    HolidayRegion,
    Instant,
    Reason,
    StartTime,
    Timezone,
)
from api.rule_examples import SCHEDULE
from api.schemas import Cursor, Sent, ServiceId
from pitstop.domain.booking import BookingStatus
from pitstop.domain.catalogue import SessionKind
from pitstop.domain.rules import ConflictReason, ReservationStatus

LONGEST_TIME_OFF = timedelta(days=366)
_YEAR_MINUTES = 365 * 24 * 60
Weekday = Annotated[int, Field(strict=True, ge=0, le=6, description="0 is Monday.", examples=[0])]
Buffer = Annotated[int, Field(strict=True, ge=0, le=1440, examples=[15])]


class Hours(Sent):
    start: StartTime
    end: EndTime


class WeeklyHours(Hours):
    weekday: Weekday


class DateHours(Sent):
    date: CalendarDay
    hours: list[Hours] = Field(max_length=12, description="The only hours of this date. None: a day off.")


class Offered(Sent):
    service_id: ServiceId
    buffer_before_minutes: Buffer = Field(default=0, description="The longer of this and the service's own holds.")
    buffer_after_minutes: Buffer = 0


class ScheduleIn(Sent):
    """Times are local ones of `timezone`. The first four fields are required; another one left out stays as it is."""

    timezone: Timezone
    weekly: list[WeeklyHours] = Field(max_length=100, description="Working hours; several spans a day, none overlap.")
    minimum_notice_minutes: int = Field(strict=True, ge=0, le=_YEAR_MINUTES, examples=[120])
    horizon_days: int = Field(strict=True, ge=1, le=365, description="How far ahead one can book.", examples=[60])
    exceptions: list[DateHours] = Field(
        default_factory=list, max_length=366, description="Dates with hours of their own, from yesterday on."
    )
    max_sessions_per_day: Annotated[int, Field(strict=True, ge=1, le=96)] | None = Field(
        default=None, description="null: no limit.", examples=[6]
    )
    holiday_region: HolidayRegion | None = Field(
        default=None, description="Its public holidays are days off. null: none is."
    )
    services: list[Offered] = Field(default_factory=list, max_length=200, description="What the mechanic offers.")

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [SCHEDULE]})


class HoursOut(BaseModel):
    start: str = Field(description="Local time.")
    end: str = Field(description="At or before the start: on the next day. 24:00 is the end of the day.")


class WeeklyOut(HoursOut):
    weekday: int = Field(description="0 is Monday.")


class DateOut(BaseModel):
    date: date
    hours: list[HoursOut] = Field(description="The only hours of this date. None: a day off.")


class OfferedOut(BaseModel):
    service_id: UUID
    buffer_before_minutes: int
    buffer_after_minutes: int


class Schedule(BaseModel):
    """A mechanic's rules. Times are local ones of `timezone`. They can be sent back as they are."""

    timezone: str
    weekly: list[WeeklyOut]
    minimum_notice_minutes: int
    horizon_days: int
    exceptions: list[DateOut] = Field(description="Dates with hours of their own, from yesterday on.")
    max_sessions_per_day: int | None = Field(description="null: no limit.")
    holiday_region: str | None = Field(description="Its public holidays are days off. null: none is.")
    services: list[OfferedOut]


class Conflict(BaseModel):
    """A booking that stands, and that the rules would not allow. It stays as it is.

    `held_beside`: the time is only held, for a booking that is somewhere else: its customer is thinking about it (a
    workshop has proposed it), who cannot take it now; or pays a difference for it, and then the booking comes here.
    One that is with another mechanic as yet is not listed.
    """

    booking_id: UUID
    start: datetime
    end: datetime
    status: BookingStatus
    reason: ConflictReason
    held_beside: bool


class Conflicts(BaseModel):
    conflicts: list[Conflict] = Field(description="All of the mechanic's bookings that the rules would not allow now.")


class ScheduleSet(Schedule, Conflicts):
    pass


class OnlineIn(Sent):
    online: bool = Field(strict=True, examples=[False])


class OnlineSet(Conflicts):
    online: bool


class TimeOffIn(Sent):
    start: Instant
    end: Instant = Field(examples=["2026-12-08T14:00:00Z"])
    reason: Reason | None = Field(default=None, description="For the mechanic and for operators.")

    @field_validator("end")
    @classmethod
    def _span(cls, end: datetime, info: ValidationInfo) -> datetime:
        start = info.data.get("start")
        if start and end <= start:
            raise ValueError("must be later than `start`")
        if start and end - start > LONGEST_TIME_OFF:
            raise ValueError(f"must be {LONGEST_TIME_OFF.days} days after `start` at most; add the rest as another one")
        return end


class TimeOff(BaseModel):
    id: UUID
    start: datetime
    end: datetime
    reason: str | None


class TimeOffAdded(TimeOff, Conflicts):
    pass


class TimeOffPage(BaseModel):
    items: list[TimeOff]
    next_cursor: str | None


class PeriodQuery(Sent):
    from_: Instant | None = Field(default=None, alias="from", examples=["2026-12-01T00:00:00Z"])
    to: Instant | None = Field(default=None, examples=["2026-12-08T00:00:00Z"])
    cursor: Cursor | None = None
    limit: int = Field(default=50, ge=1, le=200, examples=[50])

    @field_validator("to")
    @classmethod
    def _order(cls, to: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("from_")
        if to and start and to <= start:
            raise ValueError("must be later than `from`")
        return to


class TimeOffQuery(PeriodQuery):
    """What overlaps `from` to `to`; without `from`: what is not over."""


class ReservationQuery(PeriodQuery):
    """`from` and `to` bound the start, half-open."""

    status: ReservationStatus | None = Field(default=None, examples=["confirmed"])


class Reservation(BaseModel):
    id: UUID
    booking_id: UUID
    service_id: UUID
    start: datetime
    end: datetime
    blocked_from: datetime = Field(description="The start less the buffer before it.")
    blocked_until: datetime
    status: ReservationStatus
    hold_expires_at: datetime | None


class ReservationPage(BaseModel):
    items: list[Reservation]
    next_cursor: str | None


class Offer(BaseModel):
    """An immediate session that the mechanic may take: what is needed to decide. Whoever takes it is told the rest."""

    booking_id: UUID
    service_id: UUID
    service_name: str
    kind: SessionKind
    plan_name: str
    duration_minutes: int
    amount: int
    currency: str
    first_name: str = Field(description="The customer's.")
    city: str
    country: str
    distance: int = Field(description="0: the same postal area, 1: the same city, 2: the same country, 3: elsewhere.")
    preferred: bool = Field(description="Whether the customer has asked for this mechanic.")
    offered_at: datetime
    offered_until: datetime


class OfferPage(BaseModel):
    items: list[Offer]
    next_cursor: None = None
