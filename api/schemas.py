"""What clients send and get. Amounts are minor units (cents) with an ISO 4217 code; instants are RFC 3339 in UTC."""

from datetime import datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.fields import City, Country, Email, Instant, Intake, Name, Phone, PostalCode, Timezone
from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.catalogue import SessionKind

MAX_SPAN = timedelta(days=62)


class Sent(BaseModel):
    """What a client sends: a field that is not known here is a mistake, and said to be one."""

    model_config = ConfigDict(extra="forbid")


class Customer(Sent):
    id: UUID | None = Field(default=None, description="Given by a service for a customer with an account.")
    name: Name
    email: Email
    phone: Phone | None = None


class Location(Sent):
    country: Country
    city: City
    postal_code: PostalCode


class BookingIn(Sent):
    service_id: UUID
    plan_id: UUID
    mechanic_id: UUID | None = Field(default=None, description="null: any mechanic who has the slot free.")
    start: Instant | None = Field(description="An instant from the availability search. null: an immediate session.")
    timezone: Timezone
    customer: Customer
    location: Location
    intake: Intake = Field(default_factory=dict)

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "service_id": "00000000-0000-4000-8000-0000000000b1",
                    "plan_id": "00000000-0000-4000-8000-00000000b101",
                    "mechanic_id": "00000000-0000-4000-8000-0000000000a1",
                    "start": "2026-12-01T15:00:00Z",
                    "timezone": "America/Toronto",
                    "customer": {"name": "Camille Roy", "email": "camille@example.com", "phone": "+14165550123"},
                    "location": {"country": "CA", "city": "Toronto", "postal_code": "M5V 2T6"},
                    "intake": {"vehicle": "2019 Civic", "problem": "Squeals when braking"},
                }
            ]
        },
    )


class PaymentToMake(BaseModel):
    payment_intent_id: str
    client_secret: str = Field(description="For Stripe's client library, with the publishable key.")
    publishable_key: str


class BookingOpened(BaseModel):
    id: UUID
    status: BookingStatus
    mechanic_id: UUID
    start: datetime
    end: datetime
    hold_expires_at: datetime | None
    amount: int
    currency: str
    payment: PaymentToMake | None
    manage_url: str


class TimelineEntry(BaseModel):
    at: datetime
    event: str
    detail: dict[str, Any]


class PaymentState(BaseModel):
    payment_intent_id: str
    status: str = Field(description="Stripe's word for it, as last heard.")


class BookingSummary(BaseModel):
    id: UUID
    status: BookingStatus
    version: int
    service_id: UUID
    plan_id: UUID
    mechanic_id: UUID
    customer_id: UUID
    start: datetime
    end: datetime
    timezone: str
    hold_expires_at: datetime | None
    amount: int
    currency: str
    created_at: datetime


class BookingOut(BookingSummary):
    session_id: UUID | None
    amount_refunded: int
    payment: PaymentState | None
    waiver_status: Literal["not_required"] = "not_required"
    timeline: list[TimelineEntry]


class BookingPage(BaseModel):
    items: list[BookingSummary]
    next_cursor: str | None


class BookingQuery(Sent):
    """`from` and `to` bound the start, half-open."""

    status: BookingStatus | None = None
    mechanic_id: UUID | None = None
    from_: Instant | None = Field(default=None, alias="from")
    to: Instant | None = None
    cursor: str | None = Field(default=None, max_length=200)
    limit: int = Field(default=50, ge=1, le=200)


class Plan(BaseModel):
    id: UUID
    slug: str
    name: str
    amount: int
    currency: str


class Service(BaseModel):
    id: UUID
    slug: str
    name: str
    kind: SessionKind
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    plans: list[Plan]


class ServicePage(BaseModel):
    items: list[Service]
    next_cursor: None = None


class Mechanic(BaseModel):
    id: UUID
    name: str
    timezone: str
    city: str
    country: str
    online: bool
    service_ids: list[UUID]


class MechanicPage(BaseModel):
    items: list[Mechanic]
    next_cursor: None = None


class MechanicQuery(Sent):
    service_id: UUID | None = None
    country: Country | None = None
    city: City | None = None


class AvailabilityQuery(Sent):
    """Slots that start from `from` on and before `to`: 62 days at most."""

    service_id: UUID
    from_: Instant = Field(alias="from")
    to: Instant
    mechanic_id: UUID | None = None
    timezone: Timezone | None = None
    cursor: str | None = Field(default=None, max_length=200)
    limit: int = Field(default=2000, ge=1, le=5000)

    @model_validator(mode="after")
    def _span(self) -> Self:
        if self.to <= self.from_:
            raise ValueError("`to` must be later than `from`")
        if self.to - self.from_ > MAX_SPAN:
            raise ValueError(f"`from` and `to` may be {MAX_SPAN.days} days apart at most; ask in parts")
        return self


class Slot(BaseModel):
    mechanic_id: UUID
    start: datetime
    end: datetime
    local_start: str | None = Field(default=None, description="The start in the asked zone, RFC 3339 with its offset.")


class SlotPage(BaseModel):
    slots: list[Slot]
    next_cursor: str | None


class SlotCheck(Sent):
    mechanic_id: UUID
    service_id: UUID
    start: Instant


class SlotVerdict(BaseModel):
    available: bool
    reason: SlotRefusal | None


class Health(BaseModel):
    status: Literal["ok", "unavailable"]
    dependencies: dict[str, str] = Field(examples=[{"postgres": "ok", "temporal": "ok"}])


class Live(BaseModel):
    status: Literal["ok"] = "ok"
