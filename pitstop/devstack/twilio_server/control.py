"""`/_control`: makes the server misbehave, speaks as a customer, and shows what it was asked and what it sent."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from pitstop.devstack.sqlite_file import transaction
from pitstop.devstack.twilio_server.api import Parts
from pitstop.devstack.twilio_server.config import API_VERSION
from pitstop.devstack.twilio_server.errors import Json
from pitstop.devstack.twilio_server.messages import START_WORDS, STOP_WORDS, new_message

router = APIRouter(prefix="/_control", tags=["control"])
Seconds = Annotated[float, Field(ge=0, le=3600)]
Times = Annotated[int | None, Field(ge=1, description="How often it strikes; null: until all rules are removed.")]
To = Annotated[str | None, Field(description="Only for messages to this number.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FaultRequest(_Body):
    """`delay` waits, then acts. `timeout_after` acts, then keeps the client waiting. `error_after` acts, then answers
    500. `error_500` and `error_429` do not act."""

    kind: Literal["error_500", "error_429", "timeout_after", "error_after", "delay"]
    to: To = None
    times: Times = 1
    seconds: Seconds = 30.0


class CallbackRequest(_Body):
    """How the callbacks of the next `times` messages go wrong. `reverse` tells the last status first."""

    mode: Literal["drop", "delay", "duplicate", "reverse"]
    to: To = None
    times: Times = 1
    copies: int = Field(default=2, ge=1, le=20)
    seconds: Seconds = 0.0


class OutcomeRequest(_Body):
    """What the next `times` messages come to. `sent`: nothing is heard of them after that."""

    status: Literal["delivered", "undelivered", "failed", "sent"]
    code: int | None = None
    to: To = None
    times: Times = 1


class InboundRequest(_Body):
    """A message from a customer's telephone."""

    sender: str = Field(alias="from", pattern=r"^\+[1-9][0-9]{6,14}$")
    body: str = Field(min_length=1, max_length=1600)


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Use = Annotated[Parts, Depends(_parts)]
Limit = Annotated[int, Query(ge=1, le=100_000, description="The latest so many.")]


@router.get("/messages")
async def messages(parts: Use, to: str | None = None, limit: Limit = 1000) -> list[dict[str, Any]]:
    """Oldest first."""
    return parts.messages.listing(to, None, limit)[::-1]


@router.get("/calls")
async def calls(parts: Use, to: str | None = None, limit: Limit = 1000) -> list[dict[str, Any]]:
    """The calls of the API, oldest first; `status` is null while one is unanswered."""
    return parts.calls.listing(to, limit)


@router.get("/callbacks")
async def callbacks(parts: Use, number: str | None = None, limit: Limit = 1000) -> list[dict[str, Any]]:
    """What was posted to webhooks and is to be, with each try, oldest first."""
    return parts.deliveries.listing(number, limit)


@router.get("/opt-outs")
async def opt_outs(parts: Use) -> list[str]:
    return parts.opt_outs.listing()


@router.post("/faults", status_code=201)
async def add_fault(body: FaultRequest, parts: Use) -> Json:
    parts.rules.add("fault", body.model_dump())
    return body.model_dump()


@router.post("/callbacks", status_code=201)
async def add_callback_rule(body: CallbackRequest, parts: Use) -> Json:
    parts.rules.add("callback", body.model_dump())
    return body.model_dump()


@router.post("/outcomes", status_code=201)
async def add_outcome(body: OutcomeRequest, parts: Use) -> Json:
    parts.rules.add("outcome", body.model_dump())
    return body.model_dump()


@router.delete("/rules", status_code=204)
async def clear(parts: Use) -> None:
    """No more faults, mischief and outcomes."""
    parts.rules.clear()


@router.post("/callbacks/{seq}/repeat", status_code=202)
async def repeat(seq: int, parts: Use) -> Json:
    if not parts.deliveries.tell_again(seq):
        raise HTTPException(404, f"No such callback: {seq}")
    return {"repeated": seq}


@router.post("/inbound", status_code=202)
async def receive(body: InboundRequest, parts: Use) -> Json:
    """A reply comes in. STOP and START are heeded here, as at Twilio, and told as every reply is."""
    config, word = parts.config, body.body.strip().upper()
    params = {"To": config.number, "From": body.sender, "Body": body.body}
    message = new_message(config.account_sid, params, config.number, inbound=True)
    told = params | {
        "AccountSid": config.account_sid,
        "ApiVersion": API_VERSION,
        "MessageSid": message["sid"],
        "NumMedia": "0",
        "NumSegments": message["num_segments"],
        "SmsMessageSid": message["sid"],
        "SmsSid": message["sid"],
        "SmsStatus": "received",
    }
    with transaction(parts.database):
        parts.messages.add(message, None)
        if word in STOP_WORDS:
            parts.opt_outs.add(body.sender)
        elif word in START_WORDS:
            parts.opt_outs.remove(body.sender)
        parts.deliveries.tell(message["sid"], config.inbound_url, told)
    return message
