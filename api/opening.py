"""Opening a booking: from a request that is well formed to a slot that is held, or to the reason why not."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from api import budgets
from api.addresses import Address
from api.callers import forbidden
from api.composition import Rooms
from api.problems import FieldError, Problem, invalid_field, key_reused, unavailable
from api.referrals import over, used
from api.schemas import BookingIn, Customer, Location
from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.caller import Caller, Role
from pitstop.domain.identity import booking_id, fingerprint, guest_id
from pitstop.domain.limits import HoldsExhausted
from pitstop.domain.notices import Language
from pitstop.domain.phone import NotANumber, normalised
from pitstop.domain.referrals import ReferralOver, ReferralUsed, Referred
from pitstop.domain.saga import HoldRefusal, Standing
from pitstop.ports import EngineUnavailable, IdempotencyKeyReused
from pitstop.postgres.desk import BookingRequest, Opening

_REFUSALS = {
    SlotRefusal.OUTSIDE_HOURS: "The mechanic does not work at that time.",
    SlotRefusal.TIME_OFF: "The mechanic is away at that time.",
    SlotRefusal.TOO_SOON: "The start has passed, or is sooner than the mechanic's minimum notice.",
    SlotRefusal.TOO_FAR: "The start is further ahead than the mechanic plans.",
    SlotRefusal.OFFLINE: "The mechanic takes no bookings at the moment.",
    SlotRefusal.NOT_OFFERED: "There is no such slot.",
}
_WHOSE_HOLDS = {
    "customer": "This customer holds, or has held, too many slots without paying.",
    "address": "Too many slots are held, or were held, from this address without being paid for.",
    "service": "This service holds too many slots that are not paid for.",
    "card": "A card of this customer was declined for too many bookings.",
}
_SEARCH = "take a start from GET /v1/availability"
MISNAMED = {
    "service_id": "names no service that can be booked; GET /v1/services lists them",
    "plan_id": "names no plan of this service; GET /v1/services lists them",
    "mechanic_id": "names nobody who offers this service; GET /v1/mechanics?service_id=… lists them",
    "location": "has nobody who offers this service in person; name a mechanic_id, from GET /v1/mechanics?service_id=…",
    "start": f"is not on the grid of starts; {_SEARCH}",
}


@dataclass(frozen=True, slots=True)
class Opened:
    booking: dict[str, Any]
    new: bool


# Fields that came after 0.1.0, at their defaults: a request without them has the fingerprint that it had before.
_LATER_FIELDS: dict[str, dict[str, Any]] = {"customer": {"sms_consent": False, "language": None}}


def request_of(
    sent: BookingIn, key: str, caller: Caller, language: Language = Language.EN, referral: Referred | None = None
) -> BookingRequest:
    """The request as the desk takes it. Raises problems for what no catalogue needs to be asked about.

    `language`: what the customer gets who names none. It is no part of what was asked for: the same request from
    another browser is the same request.
    """
    return BookingRequest(
        id=booking_id(f"{caller.role}:{caller.subject}", key),
        fingerprint=fingerprint(_asked(sent)),
        **_who(sent, caller, referral, language),
        referral=referral,
        intake=sent.intake,
        timezone=sent.timezone,
        service_id=sent.service_id,
        plan_id=sent.plan_id,
        mechanic_id=sent.mechanic_id,
        start=sent.start,
    )


def _asked(sent: BookingIn) -> dict[str, Any]:
    """What was asked for, in the words of the release that first took such requests."""
    asked = sent.model_dump(mode="json", exclude=None if sent.referral else {"referral"})
    for part, later in _LATER_FIELDS.items():
        said = asked[part] or {}
        asked[part] = {name: each for name, each in said.items() if name not in later or each != later[name]}
    return asked


def _who(sent: BookingIn, caller: Caller, referral: Referred | None, language: Language) -> dict[str, Any]:
    """What is said of customer and place, or else what is known from the session that was referred from."""
    place = sent.location or referral
    if place is None or (sent.customer is None and referral is None):
        raise invalid_field("body.customer", "is needed without a referral")
    where = {"country": place.country, "city": place.city, "postal_code": place.postal_code}
    person = _said(sent.customer, place, language) if sent.customer else _known(referral, language)
    return {"customer_id": _customer(sent.customer, caller, referral), **where, **person}


def _said(named: Customer, place: Location | Referred, language: Language) -> dict[str, Any]:
    return {
        "customer_name": named.name,
        "customer_email": named.email,
        "customer_phone": phone_of(named, place),
        "sms_consent": named.sms_consent,
        "language": Language(named.language or language),
    }


def _known(referral: Referred | None, language: Language) -> dict[str, Any]:
    known = ("customer_name", "customer_email", "customer_phone", "sms_consent")
    named = {name: getattr(referral, name) for name in known}
    return named | {"language": Language(referral.language if referral else language)}


def phone_of(named: Customer, location: Location | Referred) -> str | None:
    if named.phone is None:
        return None
    try:
        return normalised(named.phone, location.country)
    except NotANumber as fault:
        raise invalid_field("body.customer.phone", str(fault)) from None


def _customer(named: Customer | None, caller: Caller, referral: Referred | None) -> UUID:
    """By a referral: whoever was referred; the database sees to it that a customer uses its own."""
    if referral is None or caller.role not in (Role.SERVICE, Role.OPERATOR):
        return customer_of(named, caller) if named else UUID(caller.subject)
    if named and named.id not in (None, referral.customer_id):
        raise invalid_field("body.customer.id", "must be the customer who was referred, or left out")
    return referral.customer_id


def customer_of(named: Customer, caller: Caller) -> UUID:
    """A customer books for itself; a service or an operator names the customer, or books for a guest."""
    if caller.role is Role.CUSTOMER:
        if named.id not in (None, UUID(caller.subject)):
            raise invalid_field("body.customer.id", "must be your own id, or left out: a customer books for itself")
        return UUID(caller.subject)
    if caller.role in (Role.SERVICE, Role.OPERATOR):
        return named.id or guest_id(caller.subject, named.email)
    raise forbidden("Bookings are made by customers, by services for customers, and by operators.")


async def open_booking(rooms: Rooms, caller: Caller, request: BookingRequest, address: Address) -> Opened:
    """Holds the slot, once for the caller's key: the same request finds the booking again, at any time."""
    limits = budgets.of_hold(rooms, caller, address)
    try:
        opening = await rooms.desk.open(caller, request, limits, datetime.now(UTC))
    except ReferralUsed:
        raise used() from None
    except ReferralOver:
        raise over() from None
    _refuse_what_differs_or_is_not_offered(opening, at_once=request.start is None)
    new = opening.status is BookingStatus.HOLDING
    if new and await _taken(rooms, caller, request, opening):
        raise _slot_unavailable()
    booking = await rooms.desk.booking(caller, request.id)
    if booking is None:
        raise _slot_unavailable()
    return Opened(booking, new)


async def _taken(rooms: Rooms, caller: Caller, request: BookingRequest, opening: Opening) -> bool:
    """Asks the engine for the hold. True when somebody else had the slot; raises every other refusal."""
    standing = Standing(
        booking_id=request.id,
        fingerprint=request.fingerprint.hex(),
        mechanic_id=opening.mechanic_id,
        customer_id=request.customer_id,
        start=request.start,
        status=BookingStatus.HOLDING,
    )
    try:
        outcome = await rooms.engine.hold(standing, opening.summary)
    except IdempotencyKeyReused:
        await rooms.desk.withdraw(caller, request)
        raise key_reused("booking") from None
    except EngineUnavailable:
        await rooms.desk.withdraw(caller, request)
        raise
    if outcome.refusal is HoldRefusal.PAYMENT_UNAVAILABLE:
        raise unavailable("payment_unavailable", "The payment provider")
    if outcome.refusal is HoldRefusal.WITHDRAWN:
        # The run was that of an earlier try, whose request had been taken back when the engine did not answer in time.
        # It says nothing of the slot: the next try gets a run of its own.
        await rooms.desk.withdraw(caller, request)
        raise unavailable("engine_unavailable", "The booking engine")
    if outcome.refusal is HoldRefusal.SLOT_NOT_OFFERED:
        raise _refused(outcome.reason or SlotRefusal.NOT_OFFERED)
    return outcome.refusal is not None


def _refuse_what_differs_or_is_not_offered(opening: Opening, *, at_once: bool) -> None:
    if not opening.same_request:
        raise key_reused("booking")
    if opening.exhausted is not None:
        raise _too_many_holds(opening.exhausted)
    if opening.refusal is SlotRefusal.TAKEN:
        raise _slot_unavailable()
    if at_once and opening.refusal is SlotRefusal.OFFLINE:
        raise _nobody_available()
    if at_once and opening.misnamed == "start":
        raise _not_offered("start", f"must be an instant: this service cannot be had at once; {_SEARCH}")
    if opening.refusal is not None:
        raise _refused(opening.refusal, opening.misnamed)


def _too_many_holds(exhausted: HoldsExhausted) -> Problem:
    wait = max(1, math.ceil(exhausted.wait_seconds))
    detail = f"{_WHOSE_HOLDS[exhausted.kind]} Pay for what is held, or try again in {wait} s."
    return Problem(429, "too_many_holds", "Too many unpaid holds", detail, headers={"Retry-After": str(wait)})


def _slot_unavailable() -> Problem:
    detail = "Somebody else has this slot. Search again and choose another."
    return Problem(409, "slot_unavailable", "The slot is taken", detail)


def _nobody_available() -> Problem:
    detail = f"No mechanic is online who could take the session now. Try again soon, or {_SEARCH}."
    return Problem(409, "nobody_available", "Nobody is available", detail)


def _refused(reason: SlotRefusal, misnamed: str | None = None) -> Problem:
    if misnamed:
        return _not_offered(misnamed, MISNAMED[misnamed])
    field = "mechanic_id" if reason is SlotRefusal.OFFLINE else "start"
    return _not_offered(field, f"{_REFUSALS[reason]} ({reason}) For another, {_SEARCH}.")


def _not_offered(field: str, message: str) -> Problem:
    error = FieldError(field=f"body.{field}", message=message)
    return Problem(422, "slot_not_offered", "Not offered", f"{error.field}: {message}", [error])
