"""`/_control`: makes the server misbehave, and shows what it was asked and what it sent. Development and tests only."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from pitstop.devstack.stripe_server.dispatch import Dispatcher
from pitstop.devstack.stripe_server.errors import Json
from pitstop.devstack.stripe_server.parts import Parts

router = APIRouter(prefix="/_control", tags=["control"])

Seconds = Annotated[float, Field(ge=0, le=3600)]
Times = Annotated[int | None, Field(ge=1, description="How often it strikes; null: until it is removed.")]
Metadata = Annotated[
    dict[str, str] | None, Field(description="Only where the payment's metadata, with the object's own, has these.")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FaultRequest(_Body):
    """`delay` waits `seconds` (1), then acts. `timeout_after` acts, then keeps the client waiting `seconds` (30).
    `error_after` acts, then answers 500; a repetition with the same Idempotency-Key gets the answer of the act.
    `error_500` and `error_429` do not act, and keep no answer."""

    match: Literal["create", "update", "confirm", "cancel", "refund", "retrieve", "list", "any"] = "any"
    kind: Literal["error_500", "error_429", "timeout_after", "error_after", "delay"]
    times: Times = 1
    seconds: Seconds | None = None
    payment_intent: str | None = None
    metadata: Metadata = None


class WebhookRequest(_Body):
    """Changes how the next `times` matching events are sent. `reorder` holds an event back until the next one that
    matches has been delivered, or for `seconds` (5); its `times` counts such pairs. `delay` and `duplicate` wait
    `seconds` (1 and 0); `copies` are the deliveries of a duplicated event."""

    mode: Literal["drop", "delay", "duplicate", "reorder"]
    event_type: str | None = None
    metadata: Metadata = None
    times: Times = 1
    copies: int = Field(default=2, ge=1, le=100)
    seconds: Seconds | None = None


class EndpointRequest(_Body):
    """An endpoint that receives matching events instead of the default one."""

    url: HttpUrl
    secret: str = Field(min_length=1)
    metadata: Metadata = None


class DeliverRequest(_Body):
    copies: int = Field(default=1, ge=1, le=100)
    parallel: bool = False


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


def _dispatcher(request: Request) -> Dispatcher:
    dispatcher: Dispatcher = request.app.state.dispatcher
    return dispatcher


Use = Annotated[Parts, Depends(_parts)]
Limit = Annotated[int, Query(ge=1, le=100_000, description="The latest so many.")]


@router.get("/events")
async def events(parts: Use, payment_intent: str | None = None, limit: Limit = 1000) -> list[dict[str, Any]]:
    """The events, oldest first."""
    filters: dict[str, object] = {} if payment_intent is None else {"payment_intent =": payment_intent}
    return parts.objects.page("event", filters, limit)[::-1]


@router.get("/deliveries")
async def deliveries(
    parts: Use, payment_intent: str | None = None, event: str | None = None, limit: Limit = 1000
) -> list[dict[str, Any]]:
    """What was sent and is to be sent, with each try, oldest first."""
    return parts.outbox.listing(limit, payment_intent, event)


@router.get("/calls")
async def calls(parts: Use, limit: Limit = 1000) -> list[dict[str, Any]]:
    """The calls of the API, oldest first; `status` is null while one is unanswered, `params` are as they came."""
    return parts.calls.listing(limit)


_FAULT_SECONDS = {"delay": 1.0, "timeout_after": 30.0}
_WEBHOOK_SECONDS = {"delay": 1.0, "reorder": 5.0}


@router.post("/faults", status_code=201)
async def add_fault(body: FaultRequest, parts: Use) -> Json:
    return parts.rules.add("fault", _with_seconds(body.model_dump(), _FAULT_SECONDS.get(body.kind, 0.0)))


@router.post("/webhooks", status_code=201)
async def add_webhook_rule(body: WebhookRequest, parts: Use) -> Json:
    rule = _with_seconds(body.model_dump(), _WEBHOOK_SECONDS.get(body.mode, 0.0))
    if body.mode == "reorder" and body.times is not None:
        rule["times"] = 2 * body.times
    return parts.rules.add("webhook", rule)


@router.post("/endpoints", status_code=201)
async def add_endpoint(body: EndpointRequest, parts: Use) -> Json:
    return parts.rules.add("endpoint", body.model_dump(mode="json") | {"metadata": body.metadata or {}})


def _with_seconds(rule: Json, default: float) -> Json:
    return rule | {"seconds": default if rule["seconds"] is None else rule["seconds"]}


_KINDS = {"faults": "fault", "webhooks": "webhook", "endpoints": "endpoint"}
Kind = Literal["faults", "webhooks", "endpoints"]


@router.get("/{kind}")
async def rules(kind: Kind, parts: Use) -> list[dict[str, Any]]:
    """The rules still in force."""
    return parts.rules.listing(_KINDS[kind])


@router.delete("/{kind}")
async def remove_all(kind: Kind, parts: Use) -> Json:
    for rule in parts.rules.listing("endpoint") if kind == "endpoints" else []:
        parts.outbox.withdraw(rule["id"])
    return {"removed": parts.rules.remove(_KINDS[kind])}


@router.delete("/{kind}/{identifier}")
async def remove(kind: Kind, identifier: str, parts: Use) -> Json:
    """404 when it is not there. An endpoint's pending deliveries are dropped with it."""
    removed = parts.rules.remove(_KINDS[kind], identifier)
    if not removed:
        raise HTTPException(404, f"No such rule: {identifier}")
    if kind == "endpoints":
        parts.outbox.withdraw(identifier)
    return {"removed": removed}


@router.post("/events/{identifier}/deliver")
async def deliver(identifier: str, body: DeliverRequest, parts: Use, request: Request) -> Json:
    """Sends the event again, now, to where it belongs; answers the HTTP status of each copy (null: no answer)."""
    if parts.objects.get("event", identifier) is None:
        raise HTTPException(404, f"No such event: {identifier}")
    dispatcher = _dispatcher(request)
    planned = parts.outbox.listing(1, event=identifier)
    endpoint = planned[-1]["endpoint"] if planned else None
    attempts = await _copies(dispatcher, identifier, endpoint, body)
    for attempt in attempts:
        parts.outbox.sent_by_hand(identifier, endpoint, attempt)
    return {"event": identifier, "statuses": [attempt["status"] for attempt in attempts]}


async def _copies(dispatcher: Dispatcher, event: str, endpoint: str | None, body: DeliverRequest) -> list[Json]:
    if body.parallel:
        return list(await asyncio.gather(*(dispatcher.post(event, endpoint) for _ in range(body.copies))))
    return [await dispatcher.post(event, endpoint) for _ in range(body.copies)]
