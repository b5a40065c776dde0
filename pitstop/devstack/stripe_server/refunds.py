"""Refunds. The sum of a charge's refunds never exceeds what it captured (API reference, "Create a refund")."""

from pitstop.devstack.stripe_server import objects
from pitstop.devstack.stripe_server.call import Call
from pitstop.devstack.stripe_server.errors import Answer, Json, StripeError, no_such


def create(call: Call) -> Answer:
    charge = _charge(call)
    amount = _amount(charge, call.params.get("amount"))
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    refund = objects.new_refund(charge, amount, call.params)
    call.objects.save(charge)
    call.objects.save(refund)
    call.emit("charge.refunded", charge)
    call.emit("refund.created", refund)
    return Answer(200, refund)


def _charge(call: Call) -> Json:
    intent, charge = call.params.get("payment_intent"), call.params.get("charge")
    if charge is not None:
        return _paid(call.objects.get("charge", charge), no_such("charge", charge, "id"))
    if intent is None:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise StripeError(400, message, code="parameter_missing")
    found = call.objects.get("payment_intent", intent)
    if found is None:
        raise no_such("payment_intent", intent, "payment_intent")
    unpaid = StripeError(400, f"This PaymentIntent ({intent}) does not have a successful charge to refund.")
    return _paid(call.objects.get("charge", found["latest_charge"] or ""), unpaid)


def _paid(charge: Json | None, error: StripeError) -> Json:
    if charge is None:
        raise error
    if not charge["paid"]:
        message = f"Charge {charge['id']} is not refundable: it has not been paid."
        raise StripeError(400, message, code="charge_not_refundable")
    return charge


def _amount(charge: Json, asked: int | None) -> int:
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeError(400, message, code="charge_already_refunded")
    amount = left if asked is None else asked
    if amount > left:
        what = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        asked_for = objects.money(amount, charge["currency"])
        # Stripe gives this one no `code`.
        message = f"Refund amount ({asked_for}) is greater than {what} ({objects.money(left, charge['currency'])})"
        raise StripeError(400, message, param="amount")
    return amount
