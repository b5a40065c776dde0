"""Twilio's webhook: how text messages fare, and replies. Its signature is over the address that Twilio knows."""

import logging
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Header, Query, Request, Response
from twilio.request_validator import RequestValidator

from api import budgets
from api.addresses import ClientAddress
from api.composition import InRooms, Rooms
from api.openapi import problems
from api.problems import Problem
from pitstop.domain.text_messages import Delivery, DeliveryStatus, Wish, referred_to, wish

_log = logging.getLogger("pitstop.webhooks")
_MOST_FIELDS = 200
# The body is read raw, as the signature covers all of its fields, so the document has to be told of it.
_NEWS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "description": "A status callback or a reply, as Twilio posts it."},
                "example": {"MessageSid": "SM0123456789abcdef0123456789abcdef", "MessageStatus": "delivered"},
            }
        },
    }
}
router = APIRouter(prefix="/webhooks", tags=["webhooks"])

Signature = Annotated[str, Header(alias="X-Twilio-Signature", examples=["RSOYDt4T1cUTdK1PDd93/VVr8B8="])]
Reference = Annotated[
    str | None,
    Query(
        alias="notice",
        max_length=200,
        description="Which sending of which notice it is about.",
        examples=["7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11.reminder.86400s.sms.1"],
    ),
]


@router.post("/twilio", status_code=204, responses=problems(400, 408, 413, 422, 503), openapi_extra=_NEWS)
async def twilio_news(
    request: Request, rooms: InRooms, address: ClientAddress, notice: Reference = None, signature: Signature = ""
) -> Response:
    """The delivery status of a text message, or a reply: STOP and START are heeded.

    News that come twice, or late, change nothing.
    """
    try:
        told = _verified(request, await request.body(), signature, rooms)
    except Problem:
        await rooms.rates.spend(budgets.failures(rooms, address))
        raise
    if told.get("SmsStatus") == "received":
        await _heed(told, rooms)
    elif (delivery := _delivery(told, notice)) is not None:
        await rooms.texts.record(delivery)
    return Response(status_code=204)


def _verified(request: Request, body: bytes, signature: str, rooms: Rooms) -> dict[str, str]:
    """The fields that Twilio has signed, with our token and for our public address, whatever address we see."""
    token = rooms.settings.twilio_auth_token
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{rooms.settings.public_url.rstrip('/')}{request.url.path}{query}"
    try:
        told = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:
        told = {}
    if token and told and RequestValidator(token.get_secret_value()).validate(url, told, signature):
        return told
    detail = "The header X-Twilio-Signature does not sign these fields and our address with our token."
    raise Problem(400, "invalid_signature", "No news of ours", detail)


async def _heed(reply: dict[str, str], rooms: Rooms) -> None:
    digests = rooms.numbers.of(reply.get("From", ""))
    match wish(reply.get("Body", "")):
        case Wish.STOP:
            await rooms.texts.opt_out(digests)
        case Wish.START:
            await rooms.texts.opt_in(digests)
        case None:
            _log.info("a reply to a text message is not read by anybody: %s", reply.get("MessageSid"))


def _delivery(told: dict[str, str], notice: str | None) -> Delivery | None:
    """None for what is of no message of ours, or says what we do not know."""
    referred = referred_to(notice or "")
    status = told.get("MessageStatus", "")
    if referred is None or status not in set(DeliveryStatus) or not told.get("MessageSid"):
        _log.warning("news of a text message that cannot be placed: %s", told.get("MessageSid"))
        return None
    code = told.get("ErrorCode", "")
    known = int(code) if code.isdecimal() and len(code) < 7 else None
    return Delivery(*referred, told["MessageSid"], DeliveryStatus(status), known)
