"""A workshop's dashboard as clients get it."""

from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from api.examples import Json
from api.fields import CalendarDay
from api.schemas import Sent
from pitstop.domain.booking import BookingStatus

LONGEST = timedelta(days=62)
WorkshopStatus = Literal["awaiting", "proposed", "confirmed", "declined", "lapsed"]


class DashboardQuery(Sent):
    """Whole days in the workshop's zone, both included; without them: today."""

    first: CalendarDay | None = Field(default=None, alias="from", examples=["2026-12-01"])
    last: CalendarDay | None = Field(default=None, alias="to", examples=["2026-12-07"])

    @field_validator("last")
    @classmethod
    def _order(cls, last: date | None, info: ValidationInfo) -> date | None:
        first = info.data.get("first")
        if last is None:
            return None
        if first is None:
            raise ValueError("needs `from`")
        if last < first:
            raise ValueError("must not be earlier than `from`")
        if last - first >= LONGEST:
            raise ValueError(f"must be within {LONGEST.days} days from `from`; ask in parts")
        return last


class BookedThere(BaseModel):
    booking_id: UUID
    version: int
    status: BookingStatus
    workshop_status: WorkshopStatus | None
    workshop_answer_by: datetime | None
    bay_id: UUID | None
    bay: str | None
    mechanic_id: UUID
    mechanic: str
    service: str
    customer: str
    start: datetime
    end: datetime


class BayUse(BaseModel):
    bay_id: UUID
    name: str
    active: bool
    booked_minutes: int = Field(description="Sessions without the time around them.")
    open_minutes: int = Field(description="While at least one of the workshop's mechanics has working hours.")
    utilisation: float | None = Field(description="The one by the other; null: never open.")


class Money(BaseModel):
    currency: str
    amount: int


class Day(BaseModel):
    day: date
    bookings: int = Field(description="All that were paid, by the day of their session.")
    completed: int
    cancelled: int
    no_show: int
    revenue: list[Money] = Field(description="What stays of the money of bookings that have ended.")


class ReferralCount(BaseModel):
    made: int = Field(description="To this workshop or its mechanics, in these days.")
    booked: int = Field(description="Those of them that are booked by now.")


class Dashboard(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    timezone: str
    bookings: list[BookedThere] = Field(description="By bay, then start; the first 2,000.")
    more: bool = Field(description="There are more than these: ask for fewer days.")
    waiting: list[BookedThere] = Field(description="Of any day, the most urgent first.")
    bays: list[BayUse]
    days: list[Day]
    referrals: ReferralCount


_BOOKED: Json = {
    "booking_id": "7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11",
    "version": 4,
    "status": "confirmed",
    "workshop_status": "awaiting",
    "workshop_answer_by": "2026-11-24T18:00:00Z",
    "bay_id": "0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d",
    "bay": "1",
    "mechanic_id": "00000000-0000-4000-8000-0000000000a1",
    "mechanic": "Zoé Bélanger",
    "service": "Brake check",
    "customer": "Camille Roy",
    "start": "2026-12-01T15:00:00Z",
    "end": "2026-12-01T16:00:00Z",
}
DASHBOARD: Json = {
    "from": "2026-12-01",
    "to": "2026-12-01",
    "timezone": "America/Toronto",
    "bookings": [_BOOKED],
    "more": False,
    "waiting": [_BOOKED],
    "bays": [
        {
            "bay_id": "0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d",
            "name": "1",
            "active": True,
            "booked_minutes": 60,
            "open_minutes": 480,
            "utilisation": 0.125,
        }
    ],
    "days": [
        {
            "day": "2026-12-01",
            "bookings": 1,
            "completed": 0,
            "cancelled": 0,
            "no_show": 0,
            "revenue": [{"currency": "cad", "amount": 0}],
        }
    ],
    "referrals": {"made": 2, "booked": 1},
}
