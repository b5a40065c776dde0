"""What a Stripe event says about a booking. The event's shape: Stripe API reference, "The Event object"."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from pitstop.domain.saga import PaymentEvent

_KINDS = {
    "payment_intent.succeeded": "succeeded",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "canceled",
}


# What a webhook endpoint has to be subscribed to (Stripe: `enabled_events`).
EVENT_TYPES = tuple(_KINDS)


def booking_of(event: Mapping[str, Any]) -> UUID | None:
    """The booking that the event's object names in its metadata; None when it names none of ours."""
    try:
        return UUID(event["data"]["object"]["metadata"]["booking_id"])
    except (KeyError, TypeError, ValueError):
        return None


def kept(event: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of an event: what `booking_of` and `payment_event` read, and when it was.

    Stripe's objects also bear addresses, names and card details. Whoever needs those asks Stripe for the event.
    """
    subject = _mapping(_mapping(event.get("data")).get("object"))
    error = _mapping(subject.get("last_payment_error"))
    metadata = _mapping(subject.get("metadata"))
    what = _only(subject, "id", "object", "amount", "currency", "status", "payment_intent")
    if metadata:
        what["metadata"] = _only(metadata, "booking_id")
    if error:
        what["last_payment_error"] = _only(error, "code", "decline_code")
    return _only(event, "id", "object", "type", "created", "livemode") | {"data": {"object": what}}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _only(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Plain values alone: an id that Stripe was asked to expand would be a whole object."""
    return {name: value[name] for name in names if isinstance(value.get(name), str | int | float)}


def payment_event(event: Mapping[str, Any]) -> PaymentEvent | None:
    """The event as the workflow is told of it; None for one that does not concern it."""
    kind = _KINDS.get(str(event.get("type")))
    if kind is None or booking_of(event) is None:
        return None
    intent = event["data"]["object"]
    error = intent.get("last_payment_error")
    error = error if isinstance(error, dict) else {}
    try:
        return PaymentEvent(
            event_id=event["id"],
            kind=kind,
            payment_intent_id=intent["id"],
            amount=intent["amount"],
            currency=intent["currency"],
            failure_code=error.get("decline_code") or error.get("code"),
        )
    except (KeyError, ValidationError):
        # Signed, but no PaymentIntent as Stripe documents it: it confirms nothing.
        return None
