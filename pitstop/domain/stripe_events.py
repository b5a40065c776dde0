"""What a Stripe event says about a booking. The event's shape: Stripe API reference, "The Event object"."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from pitstop.domain.saga import AgreedPayment, PaymentEvent

_KINDS = {
    "payment_intent.succeeded": "succeeded",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "canceled",
}


# What a webhook endpoint has to be subscribed to (Stripe: `enabled_events`).
EVENT_TYPES = tuple(_KINDS)
# The `cancellation_reason` of what the saga itself cancels when the time to pay is over. It has that call's answer: an
# event, too, would be news in the moment in which its run ends. The engine lets no run end over news, so the last steps
# would all be done again. Set by hand, at Stripe, it costs no more than the rest of the time to pay.
AWAITED_CANCELLATION = "abandoned"


def booking_of(event: Mapping[str, Any]) -> UUID | None:
    """The booking that the event's object names in its metadata; None when it names none of ours."""
    try:
        return UUID(event["data"]["object"]["metadata"]["booking_id"])
    except (KeyError, TypeError, ValueError):
        return None


def foreign(event: Mapping[str, Any], *, live: bool) -> str | None:
    """Why a signed event is none of this installation's: it is of the other mode (a test card pays no money), or of a
    connected account. None for one that is ours."""
    if bool(event.get("livemode")) is not live:
        return "ignored: test mode" if live else "ignored: live mode"
    return "ignored: another account" if event.get("account") else None


def declined_card(event: Mapping[str, Any]) -> str | None:
    """The fingerprint of the card that was declined: the same for one card number, whatever customer uses it."""
    try:
        found = event["data"]["object"]["last_payment_error"]["payment_method"]["card"]["fingerprint"]
    except (KeyError, TypeError):
        return None
    return found if isinstance(found, str) and found else None


def objection(payment: PaymentEvent, agreed: AgreedPayment | None) -> str | None:
    """Why money that has come in is not what was agreed for the booking; None where there is nothing to object to."""
    if payment.kind != "succeeded" or agreed is None:
        return None
    if agreed.payment_intent_id not in (None, payment.payment_intent_id):
        return f"not as agreed: {payment.payment_intent_id} is not this booking's payment"
    if (payment.amount, payment.currency) != (agreed.amount, agreed.currency):
        came, due = f"{payment.amount} {payment.currency}", f"{agreed.amount} {agreed.currency}"
        return f"not as agreed: {came} instead of {due}"
    return None


_KEPT = ("id", "object", "amount", "amount_received", "currency", "status", "cancellation_reason", "payment_intent")


def kept(event: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of an event: what `booking_of` and `payment_event` read, and when it was.

    Stripe's objects also bear addresses, names and card details. Whoever needs those asks Stripe for the event.
    """
    subject = _mapping(_mapping(event.get("data")).get("object"))
    error = _mapping(subject.get("last_payment_error"))
    metadata = _mapping(subject.get("metadata"))
    what = _only(subject, *_KEPT)
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
    if kind == "canceled" and intent.get("cancellation_reason") == AWAITED_CANCELLATION:
        return None
    error = intent.get("last_payment_error")
    error = error if isinstance(error, dict) else {}
    try:
        return PaymentEvent(
            event_id=event["id"],
            kind=kind,
            payment_intent_id=intent["id"],
            amount=_amount(kind, intent),
            currency=intent["currency"],
            failure_code=error.get("decline_code") or error.get("code"),
        )
    except (KeyError, ValidationError):
        # Signed, but no PaymentIntent as Stripe documents it: it confirms nothing.
        return None


def _amount(kind: str, intent: Mapping[str, Any]) -> Any:
    """What has come in, where money has: it may be less than was asked for, if only part of it was captured."""
    return intent.get("amount_received", intent["amount"]) if kind == "succeeded" else intent["amount"]
