"""PaymentIntents: create, update, confirm, cancel, and the outcome of 3-D Secure.

The state machine is Stripe's (docs page "How PaymentIntents work"): requires_payment_method → requires_confirmation →
requires_action → succeeded, back to requires_payment_method after a decline, canceled from any but succeeded. Card
payments are captured at once, so `processing` and `requires_capture` never show.
"""

from pitstop.devstack.stripe_server import objects
from pitstop.devstack.stripe_server.call import Call
from pitstop.devstack.stripe_server.cards import (
    AUTHENTICATION_REQUIRED,
    BY_LAST4,
    CARDS,
    Decline,
    TestCard,
    card_with,
)
from pitstop.devstack.stripe_server.errors import Answer, Json, StripeError, error_answer, no_such, unexpected_state
from pitstop.devstack.stripe_server.parameters import MINIMUM

CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing")
UNSETTABLE = ("customer", "description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix")


def create(call: Call) -> Answer:
    params = call.params
    _check_amount(params["amount"], params["currency"])
    method = _method(call)
    if params.get("confirm") and method is None:
        raise _without_method(None)
    intent = objects.new_intent(params)
    if method is not None:
        _attach(call, intent, method)
    call.objects.save(intent)
    call.emit("payment_intent.created", intent)
    return _attempt(call, intent, method) if params.get("confirm") and method else Answer(200, intent)


def _check_amount(amount: int, currency: str) -> None:
    if amount > 99_999_999:
        raise StripeError(400, "Amount must be no more than 999999.99", code="amount_too_large", param="amount")
    if amount < MINIMUM.get(currency, 1):
        least = objects.money(MINIMUM[currency], currency)
        raise StripeError(400, f"Amount must be at least {least}", code="amount_too_small", param="amount")


def _method(call: Call) -> Json | None:
    """The payment method that the call brings, stored; None when it brings none."""
    details = call.params.get("payment_method_data")
    if details is not None:
        return objects.new_payment_method(card_with(details["card"]), details["card"])
    identifier = call.params.get("payment_method")
    if identifier is None:
        return None
    if identifier in CARDS:
        return objects.new_payment_method(CARDS[identifier], {})
    return _known_method(call, identifier)


def _known_method(call: Call, identifier: str) -> Json:
    method = call.objects.get("payment_method", identifier)
    if method is None:
        raise no_such("PaymentMethod", identifier, "payment_method")
    return method


def _attach(call: Call, intent: Json, method: Json) -> None:
    call.objects.save(method)
    intent |= {"payment_method": method["id"], "status": "requires_confirmation", "next_action": None}


def update(call: Call) -> Answer:
    intent = call.intent()
    changes = {name: value for name, value in call.params.items() if name not in ("metadata", "expand", "shipping")}
    _check_changes(intent, changes)
    method = _method(call)
    if method is not None:
        _attach(call, intent, method)
    intent |= {name: value for name, value in changes.items() if value is not None or name in UNSETTABLE}
    if method is not None:
        intent["payment_method"] = method["id"]
    merge_metadata(intent, call.params.get("metadata", {}))
    call.objects.save(intent)
    return Answer(200, intent)


def _check_changes(intent: Json, changes: Json) -> None:
    """After its end an intent's metadata and description may change still, its money may not."""
    frozen = {"amount", "currency", "payment_method", "customer"} & changes.keys()
    if intent["status"] in ("succeeded", "canceled") and frozen:
        message = (
            f"This PaymentIntent's {min(frozen)} could not be updated because it has a status of {intent['status']}."
        )
        raise unexpected_state(message, intent)
    after = intent | changes
    _check_amount(after["amount"], after["currency"])


def merge_metadata(subject: Json, given: dict[str, str]) -> None:
    merged = {} if given == {"": ""} else subject["metadata"] | given
    subject["metadata"] = {key: value for key, value in merged.items() if value}


def confirm(call: Call) -> Answer:
    intent = call.intent()
    _check_confirmable(intent)
    method = _method(call)
    if method is None and intent["payment_method"] is not None:
        method = call.objects.get("payment_method", intent["payment_method"])
    if method is None:
        raise _without_method(intent)
    if "receipt_email" in call.params:
        intent["receipt_email"] = call.params["receipt_email"]
    _attach(call, intent, method)
    return _attempt(call, intent, method)


def _check_confirmable(intent: Json) -> None:
    if intent["status"] == "succeeded":
        message = (
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
        )
        raise unexpected_state(message, intent)
    if intent["status"] == "canceled":
        message = (
            "You cannot confirm this PaymentIntent because it has a status of canceled. Only a PaymentIntent with one"
            " of the following statuses may be confirmed: requires_confirmation, requires_action."
        )
        raise unexpected_state(message, intent)


def _without_method(intent: Json | None) -> StripeError:
    message = (
        "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the"
        " PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment"
        " method."
    )
    return unexpected_state(message, intent) if intent else StripeError(400, message, code="parameter_missing")


def _attempt(call: Call, intent: Json, method: Json) -> Answer:
    card = BY_LAST4[method["card"]["last4"]]
    if not card.authenticates:
        return _settle(call, intent, method, card.decline)
    if call.params.get("off_session") or call.params.get("error_on_requires_action"):
        return _settle(call, intent, method, AUTHENTICATION_REQUIRED)
    return _ask_authentication(call, intent)


def _ask_authentication(call: Call, intent: Json) -> Answer:
    url = f"{call.server_url}/3d_secure/{intent['id']}/{objects.new_id('3ds')}"
    redirect = {"return_url": call.params.get("return_url"), "url": url}
    intent |= {"status": "requires_action", "next_action": {"type": "redirect_to_url", "redirect_to_url": redirect}}
    call.objects.save(intent)
    call.emit("payment_intent.requires_action", intent)
    return Answer(200, intent)


def _settle(call: Call, intent: Json, method: Json, decline: Decline | None, *, authenticated: bool = False) -> Answer:
    """Makes the attempt's charge and its events; 402 for a decline."""
    charge = objects.new_charge(intent, method, decline, authenticated)
    intent |= {"latest_charge": charge["id"], "next_action": None}
    if decline is None:
        intent |= {"status": "succeeded", "amount_received": intent["amount"], "last_payment_error": None}
    else:
        _fail(intent, objects.decline_error(decline, charge, method))
    call.objects.save(charge)
    call.objects.save(intent)
    call.emit("charge.succeeded" if decline is None else "charge.failed", charge)
    call.emit("payment_intent.succeeded" if decline is None else "payment_intent.payment_failed", intent)
    return Answer(200, intent) if decline is None else _refusal(intent)


def _fail(intent: Json, error: Json) -> None:
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "last_payment_error": error,
    }


def _refusal(intent: Json) -> Answer:
    error = {name: value for name, value in intent["last_payment_error"].items() if name not in ("message", "type")}
    message, type_ = intent["last_payment_error"]["message"], intent["last_payment_error"]["type"]
    return error_answer(402, message, type_=type_, **error, payment_intent=intent)


def awaits(intent: Json | None, step: str) -> bool:
    """Whether the intent waits for this very 3-D Secure step: a later attempt or a cancellation makes it void."""
    action = intent["next_action"] if intent else None
    return action is not None and str(action["redirect_to_url"]["url"]).endswith("/" + step)


def finish_authentication(call: Call, *, passed: bool) -> Json:
    """What the bank's page reports. The intent must await it. Returns the intent."""
    intent = call.intent()
    method = _known_method(call, intent["payment_method"])
    if passed:
        card: TestCard = BY_LAST4[method["card"]["last4"]]
        _settle(call, intent, method, card.decline, authenticated=True)
        return intent
    _fail(intent, objects.authentication_error(method))
    call.objects.save(intent)
    call.emit("payment_intent.payment_failed", intent)
    return intent


def cancel(call: Call) -> Answer:
    intent = call.intent()
    if intent["status"] not in CANCELABLE:
        message = (
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a PaymentIntent"
            f" with one of the following statuses may be canceled: {', '.join(CANCELABLE)}."
        )
        raise unexpected_state(message, intent)
    reason = call.params.get("cancellation_reason")
    intent |= {"status": "canceled", "canceled_at": objects.now(), "cancellation_reason": reason, "next_action": None}
    call.objects.save(intent)
    call.emit("payment_intent.canceled", intent)
    return Answer(200, intent)
