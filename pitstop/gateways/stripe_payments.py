"""Stripe, through its official client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import stripe

from pitstop.domain.identity import payment_intent_key
from pitstop.domain.saga import IntentState, OwedRefund, PaymentTerms
from pitstop.domain.stripe_events import AWAITED_CANCELLATION
from pitstop.logs import redacted
from pitstop.ports import PaymentIntent, PaymentsRefused, PaymentsUnavailable
from pitstop.settings import Settings

# The same request later can have another answer; everything else that Stripe refuses, it refuses again.
_PASSING = (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError)
# A refund bears its idempotency key: Stripe itself forgets keys, after a day at the earliest ("Idempotent requests").
_KEY = "refund_key"
_KEYS_LAST = timedelta(hours=20)


@dataclass(frozen=True, slots=True)
class _Refunds:
    """Those of one payment at Stripe: the one that bears a key, and the last that bears none."""

    ours: str | None
    by_hand: str | None


@asynccontextmanager
async def stripe_client(settings: Settings) -> AsyncIterator[stripe.StripeClient]:
    """One client for a process. It does not retry by itself: retries are the engine's, where an operator sees them."""
    http = stripe.HTTPXClient(timeout=settings.stripe_timeout_seconds)
    try:
        yield _client(settings, http)
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]


def _client(settings: Settings, http: stripe.HTTPXClient) -> stripe.StripeClient:
    return stripe.StripeClient(
        settings.stripe_secret_key.get_secret_value(),
        base_addresses={"api": str(settings.stripe_api_url).rstrip("/")} if settings.stripe_api_url else {},
        max_network_retries=0,
        http_client=http,
    )


class StripePayments:
    """Implements the port `PaymentGateway`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    async def create_intent(self, booking_id: UUID, reservation_id: UUID, terms: PaymentTerms) -> PaymentIntent:
        try:
            intent = await self._client.v1.payment_intents.create_async(
                {
                    "amount": terms.amount,
                    "currency": terms.currency,
                    "automatic_payment_methods": {"enabled": True},
                    "description": terms.service_name,
                    "receipt_email": terms.customer_email,
                    "metadata": _metadata(booking_id, reservation_id, terms),
                },
                {"idempotency_key": payment_intent_key(reservation_id)},
            )
        except stripe.StripeError as error:
            raise _translated(error) from None
        return PaymentIntent(id=intent.id, status=intent.status, client_secret=intent.client_secret or "")

    async def cancel_intent(self, payment_intent_id: str, *, awaited: bool) -> IntentState:
        try:
            await self._client.v1.payment_intents.cancel_async(
                payment_intent_id, {"cancellation_reason": AWAITED_CANCELLATION} if awaited else {}
            )
        except stripe.InvalidRequestError as error:
            if error.code != "payment_intent_unexpected_state":
                raise _translated(error) from None
            return await self._state_of(payment_intent_id)
        except stripe.StripeError as error:
            raise _translated(error) from None
        return IntentState.CANCELED

    async def _state_of(self, payment_intent_id: str) -> IntentState:
        """Why an intent cannot be cancelled: it was, or it has succeeded. Anything else is not settled yet."""
        try:
            intent = await self._client.v1.payment_intents.retrieve_async(payment_intent_id)
        except stripe.StripeError as error:
            raise _translated(error) from None
        if intent.status in ("canceled", "succeeded"):
            return IntentState(intent.status)
        raise PaymentsUnavailable(f"PaymentIntent {payment_intent_id} is {intent.status}")

    async def received(self, payment_intent_id: str) -> tuple[int, str]:
        try:
            intent = await self._client.v1.payment_intents.retrieve_async(payment_intent_id)
        except stripe.StripeError as error:
            raise _translated(error) from error
        return intent.amount_received, intent.currency

    async def refund(self, owed: OwedRefund) -> str:
        if datetime.now(UTC) - owed.requested_at > _KEYS_LAST and (made := (await self._refunds(owed)).ours):
            return made
        try:
            refund = await self._client.v1.refunds.create_async(
                {
                    "payment_intent": owed.payment_intent_id,
                    "amount": owed.amount,
                    "metadata": {"reason": owed.reason, _KEY: owed.idempotency_key},
                },
                {"idempotency_key": owed.idempotency_key},
            )
        except (stripe.InvalidRequestError, stripe.IdempotencyError) as error:
            # A conflict: an earlier release has asked with this key, when a refund did not bear it yet.
            if error.code == "charge_already_refunded" or isinstance(error, stripe.IdempotencyError):
                return await self._made_before(owed, error)
            raise _translated(error) from None
        except stripe.StripeError as error:
            raise _translated(error) from None
        return refund.id

    async def _made_before(self, owed: OwedRefund, refusal: stripe.StripeError) -> str:
        """The refund that bears this key. If all of the payment has gone back, also one that somebody made by hand."""
        made = await self._refunds(owed)
        by_hand = made.by_hand if refusal.code == "charge_already_refunded" else None
        if found := made.ours or by_hand:
            return found
        raise _translated(refusal)

    async def _refunds(self, owed: OwedRefund) -> _Refunds:
        """The newest come first. Those of earlier releases bear no key: reason and amount tell whose they are."""
        try:
            listed = await self._client.v1.refunds.list_async({"payment_intent": owed.payment_intent_id, "limit": 100})
        except stripe.StripeError as error:
            raise _translated(error) from None
        made = [(each.id, each.amount, each.metadata.to_dict() if each.metadata else {}) for each in listed.data]
        without = [each for each in made if _KEY not in each[2]]
        alike = [id for id, amount, about in without if (about.get("reason"), amount) == (owed.reason, owed.amount)]
        by_key = [id for id, _, about in made if about.get(_KEY) == owed.idempotency_key]
        return _Refunds(
            ours=next(iter(by_key + alike), None), by_hand=next((id for id, _, about in without if not about), None)
        )

    async def forget_address(self, payment_intent_id: str) -> None:
        """Removes the one thing of the customer's that we gave Stripe. A payment that Stripe does not know has none."""
        try:
            await self._client.v1.payment_intents.update_async(payment_intent_id, {"receipt_email": ""})
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise _translated(error) from None
        except stripe.StripeError as error:
            raise _translated(error) from None


def _metadata(booking_id: UUID, reservation_id: UUID, terms: PaymentTerms) -> dict[str, str]:
    """An immediate session has no mechanic and no time when it is paid."""
    known = {"booking_id": str(booking_id), "reservation_id": str(reservation_id)}
    if terms.mechanic_id is not None:
        known["mechanic_id"] = str(terms.mechanic_id)
    if terms.start is not None:
        known["scheduled_for"] = terms.start.isoformat()
    if terms.change_id is not None:
        known["change_id"] = str(terms.change_id)
    return known


def _translated(error: stripe.StripeError) -> PaymentsRefused | PaymentsUnavailable:
    """By class, never by text. A conflict of two calls with one key is over when the first has its answer.

    Stripe's words may quote what it was sent, the customer's address among it.
    """
    if isinstance(error, _PASSING) or error.http_status == 409:
        return PaymentsUnavailable(redacted(str(error)))
    return PaymentsRefused(redacted(str(error)))
