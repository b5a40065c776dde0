"""Health, and the document that describes the API."""

import importlib
import pkgutil
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api import examples, routes, schemas
from api.problems import ProblemBody
from pitstop.devstack.stackfile import Stack
from tests.api.conftest import problem_of
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop

Json = dict[str, Any]
OPERATIONS = {
    *("get /v1/services", "get /v1/mechanics", "get /v1/availability", "post /v1/availability/check"),
    *("post /v1/bookings", "get /v1/bookings", "get /v1/bookings/{id}", "get /v1/bookings/{id}/events"),
    *("post /webhooks/stripe", "get /health/live", "get /health/ready", "get /metrics"),
    "get /v1/operations/audit",
}


async def test_alive_and_ready(http: httpx.AsyncClient, stack: Stack) -> None:
    live = await http.get(f"{stack.api_url}/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    ready = await http.get(f"{stack.api_url}/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert ready.json()["dependencies"] == {"postgres": "ok", "temporal": "ok"}


def _nowhere() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


async def test_a_dependency_that_is_away_is_named(
    http: httpx.AsyncClient, stack: Stack, customer: Customer, shop: Shop
) -> None:
    """The API lives on, says what is missing, and refuses what it cannot do in a way that says to try again."""
    postgres = f"postgresql://pitstop_api@127.0.0.1:{_nowhere()}/pitstop"
    for changes, missing in (
        ({"api_database_url": postgres}, "postgres"),
        ({"temporal_address": f"127.0.0.1:{_nowhere()}"}, "temporal"),
    ):
        async with serving(settings(stack, **changes)) as url:
            ready = await http.get(f"{url}/health/ready")
            assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
            assert [name for name, word in ready.json()["dependencies"].items() if word != "ok"] == [missing]
            away = Customer(http, stack, url, customer.token, customer.id)
            refused = await away.post(away.request(shop, shop.start()))
            assert refused.status_code == 503
            assert problem_of(refused)["code"] == {"postgres": "database_unavailable"}.get(
                missing, "engine_unavailable"
            )
            assert refused.headers["Retry-After"]
    assert (await customer.post(customer.request(shop, shop.start()))).status_code == 201


def _operations(document: Json) -> dict[str, Json]:
    return {f"{method} {path}": op for path, item in document["paths"].items() for method, op in item.items()}


def test_every_operation_is_described(document: Json) -> None:
    operations = _operations(document)
    assert set(operations) >= OPERATIONS
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        if not name.startswith(("get /health", "get /metrics")):
            assert {"503"} < set(operation["responses"]), name


def _shows(described: Json) -> bool:
    schema = described.get("schema", {})
    return any("example" in each or "examples" in each for each in (described, schema, *schema.get("anyOf", [])))


def _resolved(document: Json, schema: Json) -> Json:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Json = document["components"]["schemas"][name] if name else schema
    return found


def _has_example(document: Json, schema: Json) -> bool:
    """The schema's own, or one for each field that must be there."""
    schema = _resolved(document, schema)
    required = [schema["properties"][name] for name in schema.get("required", [])]
    return "examples" in schema or (bool(required) and all(_has_example(document, each) for each in required))


def _routes() -> Iterator[APIRoute]:
    for module in pkgutil.iter_modules(routes.__path__):
        own = vars(importlib.import_module(f"{routes.__name__}.{module.name}")).values()
        for router in (value for value in own if isinstance(value, APIRouter)):
            yield from (route for route in router.routes if isinstance(route, APIRoute))


def test_nothing_is_served_that_is_not_documented(document: Json) -> None:
    """Pages for people aside."""
    hidden = {route.path for route in _routes() if not route.include_in_schema}
    pages = {"/", "/docs", "/manage/{booking}", "/manage/{booking}/join", "/bookings/{booking}/waiver", "/b/{code}"}
    pages |= {f"/manage/{{booking}}/proposal/{answer}" for answer in ("accept", "decline")}
    pages |= {"/referrals/{token}", "/manage/{booking}/pay", "/manage/{booking}/paid", "/manage/{booking}/check-in"}
    pages |= {"/operations/audit", "/operators/sign-in", "/operators/sign-out"}
    # A browser's question before it asks for payloads to be opened has no document of its own.
    assert hidden == pages | {"/codec/decode"}
    served = {
        (route.path, method.lower()) for route in _routes() for method in route.methods or () if route.include_in_schema
    }
    assert served == {(path, method) for path, item in document["paths"].items() for method in item}


def test_every_operation_has_examples(document: Json) -> None:
    for name, operation in _operations(document).items():
        for parameter in operation.get("parameters", []):
            assert _shows(parameter), (name, parameter)
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert _shows(media) or _has_example(document, media["schema"]), name
        for status, response in operation["responses"].items():
            if status in ("204", "304") or (name.endswith("invite.ics") and status == "200"):
                continue
            assert response["content"], (name, status)
            assert all(_shows(media) for media in response["content"].values()), (name, status)


def test_problems_are_documented_as_problems(document: Json) -> None:
    for name, operation in _operations(document).items():
        for status, response in operation["responses"].items():
            if status >= "400" and name != "get /health/ready":
                assert list(response["content"]) == ["application/problem+json"], (name, status)
    assert set(document["components"]["schemas"]["ProblemBody"]["properties"]) >= {"type", "title", "status", "code"}


def test_every_reference_leads_somewhere(document: Json) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [found for each in value for found in references(each)]
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + references(list(value.values()))
        return []

    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


@pytest.mark.parametrize(
    ("example", "model"),
    [
        (examples.SERVICES, schemas.ServicePage),
        (examples.MECHANICS, schemas.MechanicPage),
        (examples.SLOTS, schemas.SlotPage),
        (examples.VERDICT, schemas.SlotVerdict),
        (examples.OPENED, schemas.BookingOpened),
        (examples.BOOKING, schemas.BookingOut),
        (examples.BOOKINGS, schemas.BookingPage),
        (examples.AUDIT, schemas.AuditOut),
        (examples.ERASURE, schemas.ErasureOut),
        (examples.AUDIT_LOG, schemas.AuditPage),
        (examples.LIVE, schemas.Live),
        (examples.READY, schemas.Health),
        (examples.NOT_READY, schemas.Health),
        *((examples.problem(status), ProblemBody) for status in examples.PROBLEMS),
    ],
)
def test_examples_are_true(example: Json, model: type[BaseModel]) -> None:
    read = model.model_validate(example)
    assert read.model_dump(mode="json", exclude_unset=True) == example


async def test_the_documented_booking_is_one_that_is_understood(document: Json) -> None:
    [example] = document["components"]["schemas"]["BookingIn"]["examples"]
    assert schemas.BookingIn.model_validate(example)
