"""Workshops as clients send and get them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from api.examples import Json
from api.fields import City, Country, Email, Name, PostalCode, Timezone
from api.schemas import Cursor, Sent
from pitstop.domain.booking import BookingStatus
from pitstop.domain.notices import Language
from pitstop.postgres.workshops import WorkshopSheet

_WORKSHOP = "00000000-0000-4000-8000-0000000000c1"
_BAY = "0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d"
Minutes = Annotated[int, Field(strict=True, ge=15, le=20160, examples=[240])]


class WorkshopIn(Sent):
    name: Name
    country: Country
    city: City
    postal_code: PostalCode
    address: Name = Field(description="Where customers come to.", examples=["5 Yard Lane"])
    timezone: Timezone
    email: Email | None = Field(default=None, description="Where it is asked. null: it looks into its dashboard.")
    language: Language = Field(default=Language.EN, description="What it is written to in.")
    confirms_within_minutes: Minutes | None = Field(
        default=None, description="How long it has for its word on a paid booking. null: bookings need none."
    )

    def sheet(self) -> WorkshopSheet:
        return WorkshopSheet(**self.model_dump())


class Bay(BaseModel):
    id: UUID
    name: str
    active: bool = Field(description="false: it takes no new bookings.")


class WorkshopMechanic(BaseModel):
    id: UUID
    name: str
    keeps_workshop: bool = Field(description="Speaks for the workshop.")


class WorkshopSummary(BaseModel):
    id: UUID
    name: str
    country: str
    city: str
    postal_code: str
    address: str
    timezone: str
    email: str | None
    language: Language
    confirms_within_minutes: int | None


class Workshop(WorkshopSummary):
    bays: list[Bay]
    mechanics: list[WorkshopMechanic]


class WorkshopPage(BaseModel):
    items: list[WorkshopSummary]
    next_cursor: str | None


class WorkshopQuery(Sent):
    cursor: Cursor | None = None
    limit: int = Field(default=50, ge=1, le=200, examples=[50])


class BayIn(Sent):
    name: Name = Field(examples=["Lift 2"])


class BayChange(BayIn):
    active: bool = Field(strict=True, examples=[False])


class InTheWay(BaseModel):
    """A booking that stands, and stays where it is."""

    booking_id: UUID
    start: datetime
    end: datetime
    status: BookingStatus


class BaySet(Bay):
    conflicts: list[InTheWay] = Field(description="What is booked in a bay that is out of use.")


class AssignmentIn(Sent):
    workshop_id: UUID | None = Field(description="null: none.", examples=[_WORKSHOP])
    keeps_workshop: bool = Field(default=False, strict=True, description="Whether it speaks for the workshop.")


class AssignmentSet(BaseModel):
    workshop_id: UUID | None
    keeps_workshop: bool
    conflicts: list[InTheWay] = Field(description="What the mechanic has in other workshops.")


SUMMARY: Json = {
    "id": _WORKSHOP,
    "name": "North",
    "country": "CA",
    "city": "Toronto",
    "postal_code": "M5V 2T6",
    "address": "5 Yard Lane",
    "timezone": "America/Toronto",
    "email": "north@example.com",
    "language": "en",
    "confirms_within_minutes": 240,
}
WORKSHOP: Json = SUMMARY | {
    "bays": [{"id": _BAY, "name": "1", "active": True}],
    "mechanics": [{"id": "00000000-0000-4000-8000-0000000000a1", "name": "Zoé Bélanger", "keeps_workshop": True}],
}
WORKSHOPS: Json = {"items": [SUMMARY], "next_cursor": None}
_CONFLICT: Json = {
    "booking_id": "7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11",
    "start": "2026-12-01T15:00:00Z",
    "end": "2026-12-01T16:00:00Z",
    "status": "confirmed",
}
BAY_SET: Json = {"id": _BAY, "name": "1", "active": False, "conflicts": [_CONFLICT]}
ASSIGNED: Json = {"workshop_id": _WORKSHOP, "keeps_workshop": True, "conflicts": []}
