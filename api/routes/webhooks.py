"""Stripe's webhook: verified over the raw body, stored once by event id, then signalled to the booking's workflow."""

import logging
from typing import Annotated, Any

import stripe
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from api import budgets
from api.addresses import ClientAddress
from api.composition import InRooms, Rooms
from api.openapi import problems
from api.problems import Problem
from api.reading import parsed
from pitstop.domain.stripe_events import booking_of, declined_card, foreign, payment_event
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


Word = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$", strict=True)]


class _Event(BaseModel):
    """What must be there to store it; the rest is kept as it came."""

    model_config = ConfigDict(extra="allow")

    id: Word
    type: Word


Signature = Annotated[str, Header(alias="Stripe-Signature", examples=["t=1764000000,v1=5257a869e7ecebeda3"])]


@router.post("/stripe", status_code=204, responses=problems(400, 408, 413, 503), openapi_extra=_EVENT)
async def stripe_event(
    request: Request, rooms: InRooms, address: ClientAddress, stripe_signature: Signature = ""
) -> Response:
    """2xx says that the event is stored, no more: what cannot be applied now is applied by the sweep.

    A signed event is never refused for its number; those with a wrong signature are, from one address.
    """
    try:
        event = _verified(await request.body(), stripe_signature, rooms)
    except Problem:
        await rooms.rates.spend(budgets.failures(rooms, address))
        raise
    if await _stored(event, rooms):
        await _apply(event, rooms)
    return Response(status_code=204)


async def _stored(event: dict[str, Any], rooms: Rooms) -> bool:
    """Whether it is still to be applied."""
    fingerprint = declined_card(event)
    card = rooms.names.of("card", fingerprint) if fingerprint else None
    return await rooms.inbox.store(event, foreign=foreign(event, live=rooms.settings.stripe_is_live), card=card)


def _verified(body: bytes, signature: str, rooms: Rooms) -> dict[str, Any]:
    secret = rooms.settings.stripe_webhook_secret.get_secret_value()
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret, stripe.Webhook.DEFAULT_TOLERANCE)
        return _Event.model_validate(parsed(body)).model_dump()
    except (stripe.SignatureVerificationError, ValueError) as error:
        detail = "The header Stripe-Signature does not sign this body with our secret, or the body is no event."
        raise Problem(400, "invalid_signature", "Not an event of ours", detail) from error


async def _apply(event: dict[str, Any], rooms: Rooms) -> None:
    payment, booking = payment_event(event), booking_of(event)
    if payment is None or booking is None:
        return
    objection = await rooms.inbox.objection(booking, payment)
    if objection:
        _log.error("booking %s, event %s: %s", booking, event["id"], objection)
    try:
        await rooms.engine.signal_payment(booking, payment)
    except (EngineUnavailable, NoRunningWorkflow) as error:
        _log.warning("event %s is left to the sweep: %r", event["id"], error)
        return
    await rooms.inbox.mark_applied(event["id"], objection or "signalled")
