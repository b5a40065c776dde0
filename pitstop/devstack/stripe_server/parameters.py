"""What each operation takes: the parameters of Stripe's API reference that matter to a card payment."""

from pitstop.devstack.stripe_server.errors import StripeError
from pitstop.devstack.stripe_server.forms import (
    Group,
    Reader,
    choice,
    flag,
    integer,
    metadata,
    strings,
    text,
    unmodelled,
)

# Docs page "Currencies", "Minimum and maximum charge amounts"; in minor units. A currency without an entry has 1.
_FIFTY = dict.fromkeys(("usd", "eur", "chf", "aud", "cad", "nzd", "jpy", "sgd", "inr", "brl"), 50)
_OTHERS = {"gbp": 30, "pln": 200, "sek": 300, "nok": 300, "dkk": 250, "hkd": 400, "mxn": 1000, "aed": 200, "czk": 1500}
MINIMUM = _FIFTY | _OTHERS
OTHER_CURRENCIES = frozenset(
    "ars clp cop egp huf idr ils krw mad myr ngn pen php ron rub sar thb try twd uah vnd zar kes".split()
)


def currency(name: str, raw: object) -> str:
    value = str(raw).lower()
    if value not in MINIMUM and value not in OTHER_CURRENCIES:
        known = ", ".join(sorted({*MINIMUM, *OTHER_CURRENCIES}))
        raise StripeError(400, f"Invalid currency: {value}. This server supports these currencies: {known}", param=name)
    return value


def _only(value: str) -> Reader:
    """A choice of which just this one is modelled here."""
    return choice(value)


CARD = Group(
    {"number": text(), "exp_month": integer(1), "exp_year": integer(0), "cvc": text(4)},
    required=("number", "exp_month", "exp_year"),
)
METHOD_DATA = Group(
    {
        "type": _only("card"),
        "card": CARD,
        "billing_details": unmodelled,
        "metadata": metadata,
        "allow_redisplay": text(),
        "radar_options": unmodelled,
    },
    required=("type", "card"),
)

EXPAND: dict[str, Reader] = {"expand": strings}
CONFIRMATION: dict[str, Reader] = EXPAND | {
    "payment_method": text(),
    "payment_method_data": METHOD_DATA,
    "payment_method_types": strings,
    "payment_method_options": unmodelled,
    "return_url": text(),
    "receipt_email": text(),
    "off_session": flag,
    "use_stripe_sdk": flag,
    "setup_future_usage": text(),
    "shipping": unmodelled,
    "mandate_data": unmodelled,
    "error_on_requires_action": flag,
    "radar_options": unmodelled,
}
CHANGES: dict[str, Reader] = {
    "amount": integer(1),
    "currency": currency,
    "description": text(1000),
    "metadata": metadata,
    "customer": text(),
    "statement_descriptor": text(22),
    "statement_descriptor_suffix": text(22),
    "transfer_group": text(),
}

INTENT_CREATE = Group(
    CONFIRMATION
    | CHANGES
    | {
        "confirm": flag,
        "automatic_payment_methods": Group(
            {"enabled": flag, "allow_redirects": choice("always", "never")}, ("enabled",)
        ),
        "capture_method": choice("automatic", "automatic_async"),
        "confirmation_method": _only("automatic"),
    },
    required=("amount", "currency"),
)
INTENT_UPDATE = Group(
    CHANGES | {name: CONFIRMATION[name] for name in ("expand", "payment_method", "receipt_email", "shipping")}
)
INTENT_CONFIRM = Group(CONFIRMATION | {"client_secret": text(), "expected_payment_method_type": text()})
INTENT_CANCEL = Group(
    EXPAND | {"cancellation_reason": choice("duplicate", "fraudulent", "requested_by_customer", "abandoned")}
)
RETRIEVE = Group(EXPAND)
INTENT_RETRIEVE = Group(EXPAND | {"client_secret": text()})

REFUND_CREATE = Group(
    EXPAND
    | {
        "payment_intent": text(),
        "charge": text(),
        "amount": integer(1),
        "currency": currency,
        "reason": choice("duplicate", "fraudulent", "requested_by_customer"),
        "metadata": metadata,
        "instructions_email": text(),
    }
)
UPDATE_METADATA = Group(EXPAND | {"metadata": metadata})


def _created(name: str, raw: object) -> object:
    moments = Group(dict.fromkeys(("gt", "gte", "lt", "lte"), integer(0)))
    return moments(name, raw) if isinstance(raw, dict) else integer(0)(name, raw)


PAGE: dict[str, Reader] = EXPAND | {
    "limit": integer(1),
    "starting_after": text(),
    "ending_before": text(),
    "created": _created,
}
LIST_INTENTS = Group(PAGE)
LIST_BY_INTENT = Group(PAGE | {"payment_intent": text(), "charge": text()})
LIST_EVENTS = Group(PAGE | {"type": text()})
