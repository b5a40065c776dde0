"""The waitlist as clients send and get it."""

from datetime import datetime, time
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.config import JsonDict

from api.fields import Instant, Intake, TimeOfDay, Timezone
from api.schemas import Cursor, Customer, Location, Sent
from pitstop.domain.waitlist import LONGEST_SPAN, EntryStatus

_EXAMPLE: JsonDict = {
    "service_id": "00000000-0000-4000-8000-0000000000b1",
    "plan_id": "00000000-0000-4000-8000-00000000b101",
    "mechanic_id": None,
    "from": "2026-12-01T05:00:00Z",
    "to": "2026-12-02T05:00:00Z",
    "timezone": "America/Toronto",
    "earliest": "09:00",
    "latest": "16:30",
    "customer": {"name": "Camille Roy", "email": "camille@example.com"},
    "location": {"country": "CA", "city": "Toronto", "postal_code": "M5V 2T6"},
    "intake": {"vehicle": "2019 Civic", "problem": "Squeals when braking"},
}


class WaitlistIn(Sent):
    """Starts from `from` on and before `to`: 62 days at most. With `earliest` and `latest`, both or neither, they also
    lie between these local times of `timezone`, ends included."""

    service_id: UUID
    plan_id: UUID
    mechanic_id: UUID | None = Field(default=None, description="null: any mechanic who would do.")
    from_: Instant = Field(alias="from", examples=["2026-12-01T05:00:00Z"])
    to: Instant = Field(examples=["2026-12-02T05:00:00Z"])
    timezone: Timezone
    earliest: TimeOfDay | None = Field(default=None, examples=["09:00"])
    latest: TimeOfDay | None = Field(default=None, validate_default=True, examples=["16:30"])
    customer: Customer
    location: Location
    intake: Intake = Field(default_factory=dict)

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    @field_validator("to")
    @classmethod
    def _span(cls, to: datetime, info: ValidationInfo) -> datetime:
        start = info.data.get("from_")
        if start and to <= start:
            raise ValueError("must be later than `from`")
        if start and to - start > LONGEST_SPAN:
            raise ValueError(f"must be {LONGEST_SPAN.days} days after `from` at most")
        return to

    @field_validator("latest")
    @classmethod
    def _times(cls, latest: str | None, info: ValidationInfo) -> str | None:
        earliest = info.data.get("earliest")
        if "earliest" in info.data and (latest is None) != (earliest is None):
            raise ValueError("goes with `earliest`: give both, or neither")
        if latest and earliest and latest < earliest:
            raise ValueError("must not be before `earliest`")
        return latest


class OfferOut(BaseModel):
    """A booking that is held for whoever waits. GET /v1/bookings/{id}/payment says how to pay for it."""

    booking_id: UUID
    mechanic_id: UUID
    start: datetime
    end: datetime
    hold_expires_at: datetime
    amount: int
    currency: str


class WaitlistEntry(BaseModel):
    id: UUID
    status: EntryStatus
    position: int | None = Field(
        description="How many wait for the same and come first, and one more. null: at an end."
    )
    service_id: UUID
    plan_id: UUID
    mechanic_id: UUID | None
    customer_id: UUID
    from_: datetime = Field(alias="from")
    to: datetime
    timezone: str
    earliest: TimeOfDay | None
    latest: TimeOfDay | None
    missed: int = Field(
        description="Offers that it has let go: let pass, which puts it at the end of the line, or cancelled."
    )
    misses_left: int = Field(description="How many more it may let go; with the last the entry is closed.")
    created_at: datetime
    offer: OfferOut | None = Field(description="What is held at this moment.")

    @field_validator("earliest", "latest", mode="before")
    @classmethod
    def _clock(cls, value: time | str | None) -> str | None:
        return value.strftime("%H:%M") if isinstance(value, time) else value


class WaitlistPage(BaseModel):
    items: list[WaitlistEntry]
    next_cursor: str | None


class WaitlistQuery(Sent):
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=200, examples=[50])] = 50
