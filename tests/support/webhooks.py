"""Webhooks as Stripe would sign them, and as it would not."""

import json
import time
from typing import Any

import stripe

from tests.support.shop import Shop


def signed(payload: str, secret: str, at: float | None = None) -> str:
    """The header Stripe-Signature for this body, made at `at` (seconds since 1970; now if left out)."""
    stamp = int(time.time() if at is None else at)
    signature = stripe.WebhookSignature._compute_signature(f"{stamp}.{payload}", secret)
    return f"t={stamp},v1={signature}"


def event_about(booking: dict[str, Any], shop: Shop, **changes: Any) -> str:
    """The body of an event that tells of the booking's payment, with changes to its PaymentIntent."""
    intent = {
        "id": booking["payment"]["payment_intent_id"],
        "object": "payment_intent",
        "amount": shop.amount,
        "currency": shop.currency,
        "metadata": {"booking_id": booking["id"]},
    } | changes
    event = {"id": f"evt_{booking['id']}", "type": "payment_intent.succeeded", "object": "event"}
    return json.dumps(event | {"data": {"object": intent}})
