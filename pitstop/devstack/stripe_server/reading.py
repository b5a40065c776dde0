"""Retrieving, listing and expanding (API reference, "Pagination" and "Expanding responses")."""

from collections.abc import Callable

from pitstop.devstack.stripe_server.call import Call
from pitstop.devstack.stripe_server.errors import Answer, Json, StripeError, no_such
from pitstop.devstack.stripe_server.payments import merge_metadata
from pitstop.devstack.stripe_server.storage import Objects

EXPANDABLE = {
    ("payment_intent", "latest_charge"): "charge",
    ("payment_intent", "payment_method"): "payment_method",
    ("charge", "payment_intent"): "payment_intent",
    ("charge", "payment_method"): "payment_method",
    ("refund", "payment_intent"): "payment_intent",
    ("refund", "charge"): "charge",
}
BROWSER_FIELDS = frozenset(
    "id object amount amount_details automatic_payment_methods canceled_at cancellation_reason capture_method"
    " client_secret confirmation_method created currency description last_payment_error livemode next_action"
    " payment_method payment_method_configuration_details payment_method_types processing receipt_email"
    " setup_future_usage shipping source status".split()
)
_COMPARISON = {"gt": "created >", "gte": "created >=", "lt": "created <", "lte": "created <="}


def retrieve_intent(call: Call) -> Answer:
    return Answer(200, call.intent())


def retrieve(kind: str) -> Callable[[Call], Answer]:
    def perform(call: Call) -> Answer:
        return Answer(200, _existing(call, kind))

    return perform


def update_metadata(kind: str) -> Callable[[Call], Answer]:
    def perform(call: Call) -> Answer:
        found = _existing(call, kind)
        merge_metadata(found, call.params.get("metadata", {}))
        call.objects.save(found)
        return Answer(200, found)

    return perform


def _existing(call: Call, kind: str) -> Json:
    found = call.objects.get(kind, call.identifier)
    if found is None:
        raise no_such(kind, call.identifier, "id")
    return found


def page(kind: str, url: str) -> Callable[[Call], Answer]:
    """Lists objects of the kind, newest first, as `starting_after`, `ending_before` and the filters say."""

    def perform(call: Call) -> Answer:
        limit = call.params.get("limit", 10)
        if limit > 100:
            raise StripeError(400, "This value must be less than or equal to 100.", param="limit")
        found = call.objects.page(kind, _filters(call.params), limit + 1, _cursor(call.params))
        more = len(found) > limit
        shown = found[1:] if more and "ending_before" in call.params else found[:limit]
        return Answer(200, {"object": "list", "data": shown, "has_more": more, "url": url})

    return perform


def _cursor(params: Json) -> tuple[str, str] | None:
    for name in ("starting_after", "ending_before"):
        if params.get(name):
            return name, params[name]
    return None


def _filters(params: Json) -> dict[str, object]:
    filters: dict[str, object] = {
        f"{name} =": params[name] for name in ("payment_intent", "charge", "type") if params.get(name)
    }
    created = params.get("created")
    if isinstance(created, dict):
        filters |= {_COMPARISON[name]: value for name, value in created.items()}
    elif created is not None:
        filters["created ="] = created
    return filters


def expand(objects: Objects, body: Json, paths: list[str]) -> Json:
    """The body with the ids at `paths` replaced by their objects; at most four levels deep."""
    for path in paths:
        parts = path.split(".")
        if len(parts) > 4:
            raise StripeError(400, "You cannot expand more than 4 levels of a property", param="expand")
        body = _expand(objects, body, parts, path)
    return body


def _expand(objects: Objects, body: Json, parts: list[str], path: str) -> Json:
    if not parts:
        return body
    if parts[0] == "data" and body.get("object") == "list":
        return body | {"data": [_expand(objects, item, parts[1:], path) for item in body["data"]]}
    kind = EXPANDABLE.get((str(body.get("object")), parts[0]))
    if kind is None:
        raise StripeError(400, f"This property cannot be expanded ({path}).", param="expand")
    value = body[parts[0]]
    found = objects.get(kind, value) if isinstance(value, str) else value
    return body | {parts[0]: found and _expand(objects, found, parts[1:], path)}


def for_browser(body: Json) -> Json:
    """What a publishable key sees of a PaymentIntent, also of one within an error."""
    if body.get("object") == "payment_intent":
        return {name: value for name, value in body.items() if name in BROWSER_FIELDS}
    error = body.get("error", {})
    if "payment_intent" in error:
        return {"error": error | {"payment_intent": for_browser(error["payment_intent"])}}
    return body
