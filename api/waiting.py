"""Joining the waitlist: from a wish that is well formed to a place in line, or to the reason why not."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from api.callers import forbidden
from api.composition import Rooms
from api.fields import clock_time
from api.opening import MISNAMED, customer_of, phone_of
from api.problems import FieldError, Problem, SlotNamed, invalid_field, key_reused
from api.waitlist_schemas import OfferOut, WaitlistEntry, WaitlistIn
from pitstop.domain.caller import Caller, Role
from pitstop.domain.identity import fingerprint, waitlist_entry_id
from pitstop.domain.notices import Language
from pitstop.domain.waitlist import EntryLimits, EntryRequest, FreeSlot, Joining, Wanted

# No mechanic plans half as far ahead.
_FURTHEST = timedelta(days=731)
_WHAT = ("service_id", "plan_id", "mechanic_id", "from_", "to", "timezone", "earliest", "latest")


def entry_request(sent: WaitlistIn, key: str, caller: Caller, language: Language, now: datetime) -> EntryRequest:
    """The request as the desk takes it. Raises problems for what no catalogue needs to be asked about."""
    if sent.to <= now:
        raise invalid_field("body.to", "must lie in the future")
    if sent.to > now + _FURTHEST:
        raise invalid_field("body.to", f"must be {_FURTHEST.days} days ahead at most")
    if caller.role not in (Role.CUSTOMER, Role.SERVICE, Role.OPERATOR):
        raise forbidden("Customers wait, services and operators for customers.")
    asked = sent.model_dump(mode="json")
    return EntryRequest(
        id=waitlist_entry_id(f"{caller.role}:{caller.subject}", key),
        fingerprint=fingerprint(asked),
        wish=fingerprint({name: asked[name] for name in _WHAT}),
        wanted=_wanted(sent),
        customer_id=customer_of(sent.customer, caller),
        customer_name=sent.customer.name,
        customer_email=sent.customer.email,
        customer_phone=phone_of(sent.customer, sent.location),
        sms_consent=sent.customer.sms_consent,
        language=Language(sent.customer.language or language),
        country=sent.location.country,
        city=sent.location.city,
        postal_code=sent.location.postal_code,
        intake=sent.intake,
    )


def _wanted(sent: WaitlistIn) -> Wanted:
    return Wanted(
        service_id=sent.service_id,
        plan_id=sent.plan_id,
        mechanic_id=sent.mechanic_id,
        span=(sent.from_, sent.to),
        timezone=sent.timezone,
        earliest=clock_time(sent.earliest) if sent.earliest else None,
        latest=clock_time(sent.latest) if sent.latest else None,
    )


async def join(rooms: Rooms, caller: Caller, request: EntryRequest, now: datetime) -> tuple[UUID, bool]:
    """The entry, and whether it is new."""
    settings = rooms.settings
    limits = EntryLimits(settings.waitlist_entries_per_customer, settings.waitlist_missed_offers)
    joining = await rooms.waitlist.join(caller, request, limits, now)
    _refuse(joining, limits)
    return joining.entry_id or request.id, joining.new


def _refuse(joining: Joining, limits: EntryLimits) -> None:
    if not joining.same_request:
        raise key_reused("wish")
    if joining.misnamed is not None:
        error = FieldError(field=f"body.{joining.misnamed}", message=MISNAMED[joining.misnamed])
        raise Problem(422, "slot_not_offered", "Not offered", f"{error.field}: {error.message}", [error])
    if joining.free is not None:
        raise _available(joining.free)
    if joining.too_many:
        detail = f"A customer waits for {limits.per_customer} wishes at a time. Leave one of them, or wait."
        raise Problem(429, "too_many_entries", "Too many wishes", detail, headers={"Retry-After": "3600"})


def _available(free: FreeSlot) -> Problem:
    slot = SlotNamed(mechanic_id=free.mechanic_id, start=free.start, end=free.end)
    detail = f"There is no need to wait: {free.start:%Y-%m-%d %H:%M} UTC is free. Book it with POST /v1/bookings."
    return Problem(409, "slot_available", "A slot is free", detail, slot=slot)


async def entry_out(rooms: Rooms, caller: Caller, row: dict[str, Any]) -> WaitlistEntry:
    """With what is offered at this moment, for whoever may pay for it."""
    booking_id = row["offered_booking_id"]
    booking = await rooms.desk.booking(caller, booking_id) if booking_id else None
    offer = OfferOut.model_validate({**booking, "booking_id": booking_id}) if booking else None
    return WaitlistEntry.model_validate({**row, "offer": offer})


def now() -> datetime:
    return datetime.now(UTC)
