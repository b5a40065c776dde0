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
