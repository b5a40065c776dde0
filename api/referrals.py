"""Referrals as clients send and get them, and what becomes of a booking that is made by one."""

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from api.composition import Rooms
from api.examples import Json
from api.fields import Instant, Lines
from api.problems import Problem, invalid_field
from api.schemas import MechanicId, Sent, ServiceId
from pitstop.domain.caller import Caller
from pitstop.domain.identity import fingerprint, referral_id
from pitstop.domain.referrals import Recommendation, Referred


class ReferralIn(Sent):
    """Where: a workshop, or a mechanic. `start` is a suggestion, within a year."""

    service_id: ServiceId
    plan_id: UUID = Field(examples=["00000000-0000-4000-8000-00000000b101"])
    workshop_id: UUID | None = Field(default=None, examples=["00000000-0000-4000-8000-0000000000c1"])
    mechanic_id: MechanicId | None = None
    start: Instant | None = None
    note: Annotated[Lines, Field(min_length=1)] | None = Field(
        default=None, description="For the customer.", examples=["The rear pads are due."]
    )

    @field_validator("mechanic_id")
    @classmethod
    def _one_place(cls, mechanic: UUID | None, info: ValidationInfo) -> UUID | None:
        if mechanic is not None and info.data.get("workshop_id") is not None:
            raise ValueError("must be left out when `workshop_id` says where")
        return mechanic


class ReferralMade(BaseModel):
    """The customer gets the link by mail."""

    id: UUID
    booking_id: UUID
    service_id: UUID
    plan_id: UUID
    workshop_id: UUID | None
    mechanic_id: UUID | None
    start: datetime | None
    note: str | None
    made_at: datetime
    expires_at: datetime


class ReferralOffer(BaseModel):
    """What is recommended, to whoever has the link."""

    service_id: UUID
    service: str
    plan_id: UUID
    plan: str
    amount: int
    currency: str
    workshop_id: UUID | None
    workshop: str | None
    workshop_address: str | None
    mechanic_id: UUID | None
    mechanic: str | None
    start: datetime | None
    note: str | None
    expires_at: datetime


def recommendation(sent: ReferralIn, caller: Caller, booking_id: UUID, key: str | None) -> Recommendation:
    """What is asked for; with a key, under an id by which it is found again. Raises 422 for what never makes sense."""
    if sent.workshop_id is None and sent.mechanic_id is None:
        raise invalid_field("body.workshop_id", "is needed, or `mechanic_id`: it says where")
    asked = sent.model_dump(mode="json") | {"booking_id": str(booking_id)}
    named = (referral_id(f"{caller.role}:{caller.subject}", key), fingerprint(asked)) if key else (uuid4(), None)
    return Recommendation(*named, **sent.model_dump())


async def referred_by(rooms: Rooms, caller: Caller, token: str, service_id: UUID) -> Referred:
    """Who books by this token. Raises the problem that says why nobody can."""
    id = rooms.referral_links.referral_of(token)
    found = await rooms.referrals.referred(caller, id) if id else None
    if found is None:
        raise invalid_field("body.referral", "is no referral of this customer's; take the token from the mail's link")
    if found.service_id != service_id:
        raise invalid_field("body.service_id", "must be the service that was recommended")
    return found


def over() -> Problem:
    return Problem(409, "referral_expired", "The referral is over", "Ask for a new one, or book without it.")


def used() -> Problem:
    return Problem(409, "referral_used", "The referral is used", "It is good for one booking, which has been made.")


_REFERRAL: Json = {
    "service_id": "00000000-0000-4000-8000-0000000000b1",
    "plan_id": "00000000-0000-4000-8000-00000000b101",
    "workshop_id": "00000000-0000-4000-8000-0000000000c1",
    "mechanic_id": None,
    "start": "2026-12-08T15:00:00Z",
    "note": "The rear pads are due.",
    "expires_at": "2026-12-31T15:00:00Z",
}
MADE: Json = _REFERRAL | {
    "id": "0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d",
    "booking_id": "7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11",
    "made_at": "2026-12-01T15:00:00Z",
}
OFFER: Json = _REFERRAL | {
    "service": "Brake service",
    "plan": "Standard",
    "amount": 18900,
    "currency": "cad",
    "workshop": "North",
    "workshop_address": "5 Yard Lane",
    "mechanic": None,
}
