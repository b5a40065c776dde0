"""Builds Stripe's objects, as the API reference has them. Amounts in minor units, times in Unix seconds."""

import hashlib
import secrets
import string
import time

from pitstop.devstack.stripe_server.cards import AUTHENTICATION_FAILED, Decline, TestCard
from pitstop.devstack.stripe_server.config import API_VERSION
from pitstop.devstack.stripe_server.errors import DOC_URL, Json

_ALPHABET = string.ascii_letters + string.digits
_ZERO_DECIMAL = frozenset("clp jpy krw ugx vnd xaf xof".split())


def new_id(prefix: str, length: int = 24) -> str:
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(length))}"


def money(amount: int, currency: str) -> str:
    """For people: `12.50 EUR`, `1250 JPY` (docs page "Currencies", "Zero-decimal currencies")."""
    return f"{amount if currency in _ZERO_DECIMAL else f'{amount / 100:.2f}'} {currency.upper()}"


def now() -> int:
    return int(time.time())


def new_intent(params: Json) -> Json:
    identifier = new_id("pi")
    automatic = params.get("automatic_payment_methods")
    given = "amount", "currency", "customer", "description", "receipt_email", "statement_descriptor", "transfer_group"
    return {
        "id": identifier,
        "object": "payment_intent",
        **{name: params.get(name) for name in given},
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": automatic and {"allow_redirects": "always"} | automatic,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.get("capture_method", "automatic_async"),
        "client_secret": f"{identifier}_{new_id('secret', 25)}",
        "confirmation_method": "automatic",
        "created": now(),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {key: value for key, value in params.get("metadata", {}).items() if key and value},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": params.get("payment_method_types", ["card"]),
        "processing": None,
        "review": None,
        "setup_future_usage": params.get("setup_future_usage"),
        "shipping": None,
        "source": None,
        "statement_descriptor_suffix": params.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
    }


def new_payment_method(card: TestCard, details: Json) -> Json:
    year = int(details.get("exp_year", time.gmtime().tm_year + 1))
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "card": {
            "brand": card.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "unchecked"},
            "country": "US",
            "exp_month": int(details.get("exp_month", 12)),
            "exp_year": year + (2000 if year < 100 else 0),
            "fingerprint": _fingerprint(card.number),
            "funding": "credit",
            "last4": card.number[-4:],
            "three_d_secure_usage": {"supported": True},
        },
        "created": now(),
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def _fingerprint(number: str) -> str:
    """One for each card number, whoever uses it (API reference, PaymentMethod, `card.fingerprint`)."""
    return hashlib.sha256(number.encode()).hexdigest()[:16]


def new_charge(intent: Json, method: Json, decline: Decline | None, authenticated: bool) -> Json:
    """The charge of one attempt: captured in full, or failed for `decline`."""
    identifier, paid = new_id("ch"), decline is None
    return {
        "id": identifier,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid else 0,
        "amount_refunded": 0,
        "application": None,
        "balance_transaction": new_id("txn") if paid else None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "PITSTOP",
        "captured": paid,
        "created": now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": decline and decline.code,
        "failure_message": decline and decline.message,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": _outcome(decline),
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"card": _card_of(intent, method, authenticated), "type": "card"},
        "receipt_email": intent["receipt_email"],
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "status": "succeeded" if paid else "failed",
    }


def _outcome(decline: Decline | None) -> Json:
    if decline is None:
        return {
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "network_status": "declined_by_network",
        "reason": decline.decline_code or decline.code,
        "risk_level": "normal",
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def _card_of(intent: Json, method: Json, authenticated: bool) -> Json:
    names = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    shown = {name: method["card"][name] for name in names}
    secure = {"result": "authenticated", "version": "2.2.0"} if authenticated else None
    return shown | {"amount_authorized": intent["amount"], "network": method["card"]["brand"], "three_d_secure": secure}


def new_refund(charge: Json, amount: int, params: Json) -> Json:
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": new_id("txn"),
        "charge": charge["id"],
        "created": now(),
        "currency": charge["currency"],
        "destination_details": {"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
        "metadata": {key: value for key, value in params.get("metadata", {}).items() if key and value},
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def new_event(type_: str, subject: Json, request_id: str | None, idempotency_key: str | None) -> Json:
    """An event; `subject` is kept as it is now, whatever becomes of the object."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now(),
        "data": {"object": subject},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": request_id, "idempotency_key": idempotency_key},
        "type": type_,
    }


def decline_error(decline: Decline, charge: Json | None, method: Json) -> Json:
    """The error of a declined attempt, as `last_payment_error` holds it."""
    error = {
        "charge": charge and charge["id"],
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": DOC_URL + decline.code.replace("_", "-"),
        "message": decline.message,
        "param": decline.param,
        "payment_method": method,
        "type": "card_error",
    }
    return {name: value for name, value in error.items() if value is not None}


def authentication_error(method: Json) -> Json:
    """The error of a failed 3-D Secure step (docs page "Error codes", `payment_intent_authentication_failure`)."""
    code = "payment_intent_authentication_failure"
    return {
        "code": code,
        "doc_url": DOC_URL + code.replace("_", "-"),
        "message": AUTHENTICATION_FAILED,
        "payment_method": method,
        "type": "card_error",
    }
