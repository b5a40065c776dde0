"""Schemathesis over every operation of the API's own document, as each role: no 5xx, no answer that is not documented.

It sends what keeps to the document and what breaks it in one place; the cases are the same in every run. An operation
that is added joins by itself. Where nothing can be varied (GET /v1/services, health) the cases run out sooner.
"""

import json
import re
import zlib
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import load_all_checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.app import create_app
from pitstop.devstack.stackfile import Stack
from pitstop.domain.stripe_events import EVENT_TYPES
from tests.fuzz.conftest import Target
from tests.support.webhooks import signed

EXAMPLES = 300
WITHOUT_INPUT = {"GET /v1/services", "GET /health/live", "GET /health/ready"}
steady = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
load_all_checks()
schema = schemathesis.openapi.from_dict(create_app().openapi())


def _operations() -> list[Any]:
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def _choice(case: Case[Any]) -> int:
    parts = (case.method, case.path_parameters, case.query, case.headers, case.body)
    return zlib.crc32(repr([str(part) for part in parts]).encode(errors="backslashreplace"))


@steady
def _send(case: Case[Any], target: Target) -> None:
    """What the document allows may still name nothing, or break a rule that no document can say: then it is a 422."""
    choice = _choice(case)
    target.lead(case, choice)
    response = case.call(base_url=target.url, session=target.session, headers=target.headers(choice), timeout=60)
    case.validate_response(response, excluded_checks=[positive_data_acceptance])
    assert response.status_code < 500
    target.answers[case.operation.label, response.status_code] += 1


def _named_after(operation: Any) -> str:
    return "test_" + re.sub(r"\W+", "_", operation.label.lower()).strip("_")


# One test for each, by a name of its own: those that share one name are one test to a run in several processes.
for _each in _operations():
    _only = schema.include(method=_each.method, path=_each.path)
    globals()[_named_after(_each)] = _only.parametrize()(_send)


def test_each_operation_got_its_cases(target: Target) -> None:
    """And got beyond refusals, where a caller can."""
    sent: dict[str, int] = {}
    for (operation, _), times in target.answers.items():
        sent[operation] = sent.get(operation, 0) + times
    assert {label for label, times in sent.items() if times < EXAMPLES} <= WITHOUT_INPUT
    assert sent.keys() == {f"{operation.method.upper()} {operation.path}" for operation in _operations()}
    for reached in (
        *(("POST /v1/bookings", 201), ("POST /v1/bookings", 409), ("POST /v1/bookings", 403)),
        *(("GET /v1/bookings/{id}", 200), ("GET /v1/bookings", 200), ("GET /v1/availability", 200)),
        *(("GET /v1/mechanics/{id}/schedule", 200), ("PUT /v1/mechanics/{id}/online", 200)),
        *(("PUT /v1/mechanics/{id}/schedule", 200), ("POST /v1/mechanics/{id}/time-off", 201)),
    ):
        assert target.answers[reached] > 0, (reached, target.answers)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_INTENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": _VALUES,
        "amount": _VALUES,
        "currency": _VALUES,
        "last_payment_error": _VALUES,
        "metadata": _VALUES | st.fixed_dictionaries({"booking_id": st.uuids().map(str)}),
    },
)
_EVENTS = _VALUES | st.fixed_dictionaries(
    {"id": st.text(max_size=300) | _VALUES, "type": st.sampled_from(EVENT_TYPES) | _VALUES},
    optional={"data": _VALUES | st.fixed_dictionaries({"object": _VALUES | _INTENTS})},
)


@pytest.fixture
def webhook_secret(stack: Stack) -> str:
    return stack.environment["PITSTOP_STRIPE_WEBHOOK_SECRET"]


def test_signed_events_of_any_content(target: Target, webhook_secret: str) -> None:
    """Schemathesis cannot sign: what gets past the signature is made here. Stored, or refused; never a 5xx."""
    statuses = set()

    @steady
    @given(event=_EVENTS)
    @example(event={"id": "evt_1", "type": EVENT_TYPES[0]})
    def post(event: Any) -> None:
        body = json.dumps(event)
        headers = {"Content-Type": "application/json", "Stripe-Signature": signed(body, webhook_secret)}
        response = target.session.post(f"{target.url}/webhooks/stripe", data=body, headers=headers, timeout=60)
        assert response.status_code in (204, 400), (event, response.text)
        statuses.add(response.status_code)

    post()
    assert statuses == {204, 400}
