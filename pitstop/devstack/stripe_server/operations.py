"""Which operation a method and path name."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pitstop.devstack.stripe_server import parameters, payments, reading, refunds
from pitstop.devstack.stripe_server.call import Call
from pitstop.devstack.stripe_server.errors import Answer
from pitstop.devstack.stripe_server.forms import Group


@dataclass(frozen=True)
class Operation:
    """`name` is what a fault's `match` says. `browser`: a publishable key may call it."""

    name: str
    method: str
    path: re.Pattern[str]
    takes: Group
    perform: Callable[[Call], Answer]
    browser: bool = False


def _operation(
    name: str, verb: str, path: str, takes: Group, perform: Callable[[Call], Answer], *, browser: bool = False
) -> Operation:
    pattern = re.compile("/v1/" + path.replace("{id}", "(?P<id>[A-Za-z0-9_]+)"))
    return Operation(name, verb, pattern, takes, perform, browser)


def _kind(collection: str, kind: str, lists: Group) -> list[Operation]:
    return [
        _operation("retrieve", "GET", f"{collection}/{{id}}", parameters.RETRIEVE, reading.retrieve(kind)),
        _operation("list", "GET", collection, lists, reading.page(kind, f"/v1/{collection}")),
    ]


INTENT = "payment_intents/{id}"
OPERATIONS = (
    _operation("create", "POST", "payment_intents", parameters.INTENT_CREATE, payments.create),
    _operation("update", "POST", INTENT, parameters.INTENT_UPDATE, payments.update),
    _operation("confirm", "POST", f"{INTENT}/confirm", parameters.INTENT_CONFIRM, payments.confirm, browser=True),
    _operation("cancel", "POST", f"{INTENT}/cancel", parameters.INTENT_CANCEL, payments.cancel),
    _operation("retrieve", "GET", INTENT, parameters.INTENT_RETRIEVE, reading.retrieve_intent, browser=True),
    _operation("refund", "POST", "refunds", parameters.REFUND_CREATE, refunds.create),
    _operation("update", "POST", "refunds/{id}", parameters.UPDATE_METADATA, reading.update_metadata("refund")),
    *_kind("payment_intents", "payment_intent", parameters.LIST_INTENTS),
    *_kind("refunds", "refund", parameters.LIST_BY_INTENT),
    *_kind("charges", "charge", parameters.LIST_BY_INTENT),
    *_kind("events", "event", parameters.LIST_EVENTS),
)


def find(method: str, path: str) -> tuple[Operation, str] | None:
    """The operation and the id in its path, empty when there is none."""
    for operation in OPERATIONS:
        matched = operation.path.fullmatch(path) if operation.method == method else None
        if matched is not None:
            return operation, matched.groupdict().get("id") or ""
    return None
