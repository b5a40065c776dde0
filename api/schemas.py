"""What clients send and get. Amounts are minor units (cents) with an ISO 4217 code; instants are RFC 3339 in UTC."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from api.fields import City, Country, Email, Instant, Intake, Lines, Name, Phone, PostalCode, Timezone
from pitstop.domain.audit_log import Action
from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.catalogue import SessionKind
from pitstop.domain.waiver import WaiverStatus

MAX_SPAN = timedelta(days=62)
ServiceId = Annotated[UUID, Field(examples=["00000000-0000-4000-8000-0000000000b1"])]
PlanId = Annotated[UUID, Field(examples=["00000000-0000-4000-8000-00000000b101"])]
MechanicId = Annotated[UUID, Field(examples=["00000000-0000-4000-8000-0000000000a1"])]
Cursor = Annotated[
    str,
    Field(
        max_length=200,
        description="`next_cursor` of the page before.",
        examples=["MjAyNi0xMi0wMVQxNTowMDowMCswMDowMHwwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwYTE"],
    ),
]


class Sent(BaseModel):
    """What a client sends: a field that is not known here is a mistake, and said to be one."""

    model_config = ConfigDict(extra="forbid")


class Customer(Sent):
    id: UUID | None = Field(default=None, description="Given by a service for a customer with an account.")
    name: Name
    email: Email
    phone: Phone | None = None
    sms_consent: bool = Field(
        default=False,
        strict=True,
        description="Whether the customer may be sent reminders as text messages; needs a `phone`.",
    )
    language: Literal["en", "fr"] | None = Field(
        default=None, description="What the customer is written to in. null: as Accept-Language says, else English."
    )

    @model_validator(mode="after")
    def _consent_is_to_a_number(self) -> Self:
        if self.sms_consent and self.phone is None:
            raise ValueError("sms_consent needs a phone, to which text messages can be sent")
        return self


class Location(Sent):
    country: Country
    city: City
    postal_code: PostalCode


class BookingIn(Sent):
    service_id: UUID
    plan_id: UUID
    mechanic_id: UUID | None = Field(
        default=None,
        description="null: any mechanic who has the slot free. With an immediate session: who is asked first.",
    )
    start: Instant | None = Field(
        description="An instant from the availability search. null: an immediate session, with whoever takes it first."
    )
    timezone: Timezone
    referral: Annotated[str, Field(max_length=200, description="The token of a referral's link.")] | None = None
    customer: Customer | None = Field(
        default=None,
        validate_default=True,
        description="Left out with a `referral`: whoever was referred. Else required.",
    )
    location: Location | None = Field(
        default=None, validate_default=True, description="Left out with a `referral`: as in the session. Else required."
    )
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

    @field_validator("customer", "location")
    @classmethod
    def _known_or_said(cls, said: Sent | None, info: ValidationInfo) -> Sent | None:
        if said is None and info.data.get("referral") is None:
            raise PydanticCustomError("missing", "Field required")
        return said


class PaymentToMake(BaseModel):
    payment_intent_id: str
    client_secret: str = Field(description="For Stripe's client library, with the publishable key.")
    publishable_key: str


class BookingOpened(BaseModel):
    id: UUID
    status: BookingStatus
    mechanic_id: UUID | None = Field(description="null: an immediate session, which nobody has taken yet.")
    start: datetime | None
    end: datetime | None
    hold_expires_at: datetime | None
    amount: int
    currency: str
    payment: PaymentToMake | None
    manage_url: str | None = Field(
        description="Whoever has it acts as the customer: null for an operator, who is not given it."
    )


class TimelineEntry(BaseModel):
    at: datetime
    event: str
    detail: dict[str, Any] = Field(
        description="Of what somebody has changed: `by` whom, and the `reason` if one was given."
    )


class PaymentState(BaseModel):
    payment_intent_id: str
    status: str = Field(description="Stripe's word for it, as last heard.")


class BookingSummary(BaseModel):
    id: UUID
    status: BookingStatus
    version: int
    service_id: UUID
    plan_id: UUID
    mechanic_id: UUID | None = Field(description="null: an immediate session that nobody has taken.")
    customer_id: UUID
    start: datetime | None
    end: datetime | None
    timezone: str
    hold_expires_at: datetime | None
    amount: int
    currency: str
    workshop_status: Literal["awaiting", "proposed", "confirmed", "declined", "lapsed"] | None = Field(
        description="The workshop's word. null: none is needed, or the booking has ended without it."
        " `proposed`: the customer's answer is waited for."
    )
    created_at: datetime


class RefundTierOut(BaseModel):
    minutes_before: int = Field(description="Until so many minutes before the start, that instant included.")
    percent: int = Field(description="So much of the price goes back.")


class PolicyOut(BaseModel):
    """What was agreed with the booking; a later change of the rules does not touch it."""

    refund_tiers: list[RefundTierOut]
    reschedule_minutes_before: int = Field(description="Until when the customer may move the booking.")
    reschedule_limit: int = Field(description="How often the customer may move it.")
    no_show_percent: int = Field(description="What goes back to a customer who does not come.")
    grace_minutes: int = Field(description="How long after the start somebody may be late.")


class FlagOut(BaseModel):
    """Something is in the way of a booking that stands."""

    kind: Literal["mechanic_away"]
    reason: Literal["time_off", "outside_hours", "offline"]
    since: datetime


class OptionOut(BaseModel):
    start: datetime
    mechanic_id: UUID


class ProposalOut(BaseModel):
    """Other times that the customer can choose from. Those of a workshop (`workshop_status` is `proposed`) are held."""

    id: UUID
    options: list[OptionOut]
    proposed_by: Literal["mechanic", "operator"]
    expires_at: datetime


class ReferralOut(BaseModel):
    """`booking_id`: what the customer has booked by it, if the caller may see that."""

    id: UUID
    service_id: UUID
    plan_id: UUID
    workshop_id: UUID | None
    mechanic_id: UUID | None
    start: datetime | None
    note: str | None
    made_at: datetime
    expires_at: datetime
    booking_id: UUID | None


class SupplementOut(BaseModel):
    """A move to a dearer plan: what is to be paid beside what was paid, for which the new time is held meanwhile.

    `open`: it may be paid until `expires_at`. `applied`: it was paid, and the booking moved. `lapsed`: the time is
    over. `replaced`, `closed`: the booking was changed otherwise, or has ended. `lost`: it was paid, and the booking
    could not be moved. `withdrawn`: the payment provider was away. What is paid and not applied goes back in full.
    """

    id: UUID
    status: Literal["open", "applied", "lapsed", "replaced", "closed", "withdrawn", "lost"]
    amount: int = Field(description="The difference.")
    currency: str
    expires_at: datetime
    service_id: UUID
    plan_id: UUID
    mechanic_id: UUID
    start: datetime
    end: datetime
    payment_intent_id: str | None
    payment_status: str | None = Field(description="Stripe's word for it, as last heard.")
    client_secret: str | None = Field(description="For Stripe's client library, while it may be paid, for who pays.")
    publishable_key: str | None


class BookingOut(BookingSummary):
    session_id: UUID | None
    supplement: SupplementOut | None = Field(
        description="What was last to be paid for a move to a dearer plan. null: nothing, or not for the caller."
    )
    flags: list[FlagOut] = Field(description="What is in the way of the booking, as long as it stands.")
    proposal: ProposalOut | None = Field(description="Other times that wait for the customer's answer.")
    referred_from: UUID | None = Field(description="The virtual booking whose mechanic has recommended this one.")
    referrals: list[ReferralOut] = Field(description="What was recommended in this session.")
    workshop_id: UUID | None = Field(description="Where the bay is that it holds, or held; null: not in person.")
    workshop_answer_by: datetime | None = Field(description="Until when the answer is waited for.")
    amount_refunded: int
    amount_awaiting_refund: int = Field(description="Owed to the customer, and not yet accepted by Stripe.")
    policy: PolicyOut
    moves: int = Field(description="How often the booking has got another time.")
    scheduled_for_original: datetime | None = Field(description="The time that was first booked.")
    immediate: bool
    offered_until: datetime | None = Field(description="How long mechanics are asked to take an immediate session.")
    waiting_room_opens_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    absent: Literal["customer", "mechanic"] | None = Field(description="Who did not come.")
    payment: PaymentState | None
    waiver_status: WaiverStatus
    timeline: list[TimelineEntry]


_WHY = (
    "In the timeline, for all who see the booking: customer, mechanic, the workshop's keeper, operators. The mail to"
    " the customer about a change that somebody else has made says it, too."
)
Reason = Annotated[Lines | None, Field(default=None, description=_WHY, examples=["I am ill."])]


Version = Annotated[
    int | None,
    Field(default=None, ge=1, le=2**31 - 1, description="That of the booking as it was looked at.", examples=[4]),
]


class RescheduleIn(Sent):
    """`version`: that of the booking as it was looked at; if it has changed since, nothing is moved."""

    start: Instant = Field(examples=["2026-12-02T15:00:00Z"])
    mechanic_id: MechanicId | None = Field(default=None, description="Another mechanic; left out: the same one.")
    service_id: ServiceId | None = Field(default=None, description="Another service, with one of its plans.")
    plan_id: PlanId | None = Field(
        default=None, validate_default=True, description="Another plan, at its price of today."
    )
    waive_difference: bool = Field(
        default=False,
        strict=True,
        description="For operators: what a dearer plan costs more is nobody's to pay. The price stays what was paid.",
    )
    version: Version
    reason: Reason

    @field_validator("plan_id")
    @classmethod
    def _plan(cls, plan: UUID | None, info: ValidationInfo) -> UUID | None:
        if plan is None and info.data.get("service_id") is not None:
            raise ValueError("is required with `service_id`")
        return plan


class HandOverIn(Sent):
    mechanic_id: MechanicId
    version: Version
    reason: Reason


class Option(Sent):
    start: Instant = Field(examples=["2026-12-02T15:00:00Z"])
    mechanic_id: MechanicId | None = Field(default=None, description="Left out: the booking's mechanic.")


class ProposalIn(Sent):
    options: list[Option] = Field(min_length=1, max_length=5, examples=[[{"start": "2026-12-02T15:00:00Z"}]])
    expires_in_minutes: int | None = Field(
        default=None, strict=True, ge=1, le=43200, description="How long the customer has to answer.", examples=[720]
    )
    version: Version
    reason: Reason


class DeclineIn(Sent):
    proposal_id: UUID | None = Field(
        default=None,
        description="Which one: if another has taken its place, that one stays. Left out: whichever is open.",
    )


class WorkshopProposalIn(Sent):
    """Times in this workshop, which do not overlap each other."""

    options: list[Option] = Field(min_length=1, max_length=3, examples=[[{"start": "2026-12-02T15:00:00Z"}]])
    version: Version
    reason: Reason


class AsSeenIn(Sent):
    """`version`: that of the booking as it was looked at; if it has changed since, nothing is done."""

    version: Version


class CancelIn(AsSeenIn):
    reason: Reason


class NoShowIn(Sent):
    absent: Literal["customer", "mechanic"] = Field(default="customer", description="Who did not come.")
    reason: Reason


class BookingPage(BaseModel):
    items: list[BookingSummary]
    next_cursor: str | None


def _later(to: datetime, info: ValidationInfo) -> datetime:
    start = info.data.get("from_")
    if start and to <= start:
        raise ValueError("must be later than `from`")
    return to


class BookingQuery(Sent):
    """`from` and `to` bound the start, half-open."""

    status: BookingStatus | None = Field(default=None, examples=["confirmed"])
    mechanic_id: MechanicId | None = None
    flagged: bool | None = Field(
        default=None, description="Those at which the mechanic will not be, or all others.", examples=[True]
    )
    from_: Instant | None = Field(default=None, alias="from", examples=["2026-12-01T00:00:00Z"])
    to: Instant | None = Field(default=None, examples=["2026-12-08T00:00:00Z"])
    cursor: Cursor | None = None
    limit: int = Field(default=50, ge=1, le=200, examples=[50])

    @field_validator("to")
    @classmethod
    def _order(cls, to: datetime | None, info: ValidationInfo) -> datetime | None:
        return to and _later(to, info)


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
    immediate: bool = Field(description="Whether it can be had at once, with `start: null`.")
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
    service_id: ServiceId | None = None
    country: Country | None = None
    city: City | None = None


class AvailabilityQuery(Sent):
    """Slots that start from `from` on and before `to`: 62 days at most."""

    service_id: ServiceId
    from_: Instant = Field(alias="from", examples=["2026-12-01T00:00:00Z"])
    to: Instant = Field(examples=["2026-12-08T00:00:00Z"])
    mechanic_id: MechanicId | None = None
    timezone: Timezone | None = None
    cursor: Cursor | None = None
    limit: int = Field(default=2000, ge=1, le=5000, examples=[2000])

    @field_validator("to")
    @classmethod
    def _span(cls, to: datetime, info: ValidationInfo) -> datetime:
        start = info.data.get("from_")
        if start and _later(to, info) - start > MAX_SPAN:
            raise ValueError(f"must be {MAX_SPAN.days} days after `from` at most; ask in parts")
        return to


class NextQuery(Sent):
    """The first free slot that starts from `from` on (default: now)."""

    service_id: ServiceId
    mechanic_id: MechanicId | None = None
    from_: Instant | None = Field(default=None, alias="from", examples=["2026-12-01T00:00:00Z"])
    country: Country | None = None
    city: City | None = None
    postal_code: PostalCode | None = None
    timezone: Timezone | None = None


class Slot(BaseModel):
    mechanic_id: UUID
    start: datetime
    end: datetime
    local_start: str | None = Field(default=None, description="The start in the asked zone, RFC 3339 with its offset.")


class SlotPage(BaseModel):
    slots: list[Slot]
    next_cursor: str | None


class NextSlot(BaseModel):
    slot: Slot | None


class SlotCheck(Sent):
    mechanic_id: MechanicId
    service_id: ServiceId
    start: Instant


class SlotVerdict(BaseModel):
    available: bool
    reason: SlotRefusal | None


class ErasureOut(BaseModel):
    customer_id: UUID
    status: Literal["at_payment_provider", "completed"] = Field(
        description="`at_payment_provider`: gone from here, and Stripe is being told."
    )
    requested_at: datetime
    bookings: int = Field(description="Bookings whose personal data was removed.")
    left_at_stripe: int = Field(description="Payments of which Stripe has refused to forget the address.")
    completed_at: datetime | None


class AuditQuery(Sent):
    """`from` and `to` bound the time, half-open."""

    actor: str | None = Field(default=None, max_length=255, pattern=r"^[\x20-\x7e]+$", examples=["operator-1"])
    action: Action | None = Field(default=None, examples=["booking.read"])
    object_id: UUID | None = Field(
        default=None,
        description="A booking's, a customer's or a mechanic's id.",
        examples=["7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11"],
    )
    from_: Instant | None = Field(default=None, alias="from", examples=["2026-12-01T00:00:00Z"])
    to: Instant | None = Field(default=None, examples=["2026-12-08T00:00:00Z"])
    cursor: str | None = Field(
        default=None, pattern=r"^[1-9][0-9]{0,17}$", description="`next_cursor` of the page before.", examples=["41"]
    )
    limit: int = Field(default=50, ge=1, le=200, examples=[50])

    @field_validator("to")
    @classmethod
    def _order(cls, to: datetime | None, info: ValidationInfo) -> datetime | None:
        return to and _later(to, info)


class AuditEntry(BaseModel):
    id: int
    at: datetime
    actor_role: str
    actor: str
    action: str
    object_kind: str
    object_id: str | None
    outcome: Literal["done", "refused"]
    address: str | None = Field(description="A keyed digest of the client's address: the same for the same address.")
    request_id: str | None = Field(description="The header X-Request-ID of the answer.")
    detail: dict[str, Any]


class AuditPage(BaseModel):
    items: list[AuditEntry]
    next_cursor: str | None


class Health(BaseModel):
    status: Literal["ok", "unavailable"]
    dependencies: dict[str, str] = Field(examples=[{"postgres": "ok", "temporal": "ok"}])


class Live(BaseModel):
    status: Literal["ok"] = "ok"


class AuditFinding(BaseModel):
    code: str = Field(description="The kind of discrepancy; docs/operators.md lists them.", examples=["undriven"])
    invariant: str
    booking_id: UUID | None = Field(description="Null for one that is not about a booking.")
    subject: str = Field(description="Tells findings of one kind at one booking apart.")
    found: str
    to_do: str
    repairable: bool = Field(description="Whether `python -m pitstop.audit --repair` mends it.")


class AuditOut(BaseModel):
    """The last pass of the audit."""

    seen_at: datetime = Field(description="The instant at which it read the database.")
    finished_at: datetime
    since: datetime | None = Field(description="It looked at what has changed since, and is open; null: at everything.")
    seconds: float
    checked: dict[str, int] = Field(description="How much of what it has read.")
    clean: bool
    findings: list[AuditFinding]
