"""Stripe's webhook: verified over the raw body, stored once by event id, then signalled to the booking's workflow."""

import json
import logging
from typing import Annotated, Any

import stripe
from fastapi import APIRouter, Header, Request, Response

from api.composition import InRooms, Rooms
from api.openapi import problems
from api.problems import Problem
from pitstop.domain.stripe_events import booking_of, payment_event
from pitstop.ports import EngineUnavailable, NoRunningWorkflow

_log = logging.getLogger("pitstop.webhooks")
# The body is read raw, because the signature covers its bytes; so the document has to be told of it.
_EVENT = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "description": "A Stripe event."},
                "example": {"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {"id": "pi_1"}}},
            }
        },
    }
}
router = APIRouter(prefix="/webhooks", tags=["webhooks"])


Signature = Annotated[str, Header(alias="Stripe-Signature", examples=["t=1764000000,v1=5257a869e7ecebeda3"])]


@router.post("/stripe", status_code=204, responses=problems(400, 408, 413, 503), openapi_extra=_EVENT)
async def stripe_event(request: Request, rooms: InRooms, stripe_signature: Signature = "") -> Response:
    """2xx says that the event is stored, no more: what cannot be applied now is applied by the sweep."""
    event = _verified(await request.body(), stripe_signature, rooms)
    if await rooms.inbox.store(event):
        await _apply(event, rooms)
    return Response(status_code=204)


def _verified(body: bytes, signature: str, rooms: Rooms) -> dict[str, Any]:
    secret = rooms.settings.stripe_webhook_secret.get_secret_value()
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret, stripe.Webhook.DEFAULT_TOLERANCE)
        event: dict[str, Any] = json.loads(body)
        return event | {"id": str(event["id"]), "type": str(event["type"])}
    except (stripe.SignatureVerificationError, ValueError, KeyError, TypeError) as error:
        detail = "The header Stripe-Signature does not sign this body with our secret, or the body is no event."
        raise Problem(400, "invalid_signature", "Not an event of ours", detail) from error


async def _apply(event: dict[str, Any], rooms: Rooms) -> None:
    payment, booking = payment_event(event), booking_of(event)
    if payment is None or booking is None:
        return
    try:
        await rooms.engine.signal_payment(booking, payment)
    except (EngineUnavailable, NoRunningWorkflow) as error:
        _log.warning("event %s is left to the sweep: %r", event["id"], error)
        return
    await rooms.inbox.mark_applied(event["id"], "signalled")
