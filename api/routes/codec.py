"""The codec server: the Temporal UI of a signed-in operator has payloads opened here, and their browser shows them.

The protocol is Temporal's (docs: "Codec Server"): `POST …/decode` with `{"payloads": […]}` and the header X-Namespace.
There is no `/encode`: nobody starts bookings from the UI.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from api.addresses import Address, ClientAddress
from api.callers import Credentials, forbidden, unauthenticated, verified
from api.composition import InRooms, Rooms
from api.examples import OPENED_PAYLOADS, shown
from api.openapi import problems
from api.problems import Problem
from api.reading import parsed
from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.caller import Caller, Origin, Role
from pitstop.gateways.payload_codec import PayloadNotReadable

COOKIE = "pitstop_operator"
_MAY_ASK = "content-type, x-namespace, authorization"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["payloads"],
                    "properties": {"payloads": {"type": "array", "items": {"type": "object"}}},
                },
                "example": OPENED_PAYLOADS,
            }
        },
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: shown(OPENED_PAYLOADS, description="The payloads, opened; one whose key is not there stays as it was."),
    **problems(400, 401, 403, 413, 422, 503),
}
router = APIRouter(prefix="/codec", tags=["operations"])
Namespace = Annotated[str, Header(alias="X-Namespace", max_length=255, examples=["pitstop"])]


@router.options("/decode", include_in_schema=False)
async def preflight(request: Request, rooms: InRooms) -> Response:
    """A browser asks whether a page of that origin may ask."""
    return Response(status_code=204, headers=_for_origin(request, rooms))


@router.post(
    "/decode",
    response_class=JSONResponse,
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def decode(
    request: Request, rooms: InRooms, address: ClientAddress, credentials: Credentials, x_namespace: Namespace = ""
) -> Response:
    """Opens payloads for an operator: the bearer of a token, or of the cookie of `/operators/sign-in`."""
    headers = _for_origin(request, rooms)
    try:
        operator = await _operator(request, rooms, address, credentials)
        sealed = _payloads(await request.body())
    except Problem as problem:
        # With these the UI can say what is wrong; without, its browser hides the answer from it.
        problem.headers = (dict(problem.headers) if problem.headers else {}) | headers
        raise
    opened, unreadable = _opened(rooms, sealed)
    detail = {"namespace": _printable(x_namespace), "payloads": len(opened), "not_readable": unreadable}
    await rooms.audit.note(operator, Entry(Action.OPEN_PAYLOADS, "namespace", detail=detail))
    return Response(MessageToJson(Payloads(payloads=opened)), media_type="application/json", headers=headers)


async def _operator(request: Request, rooms: Rooms, address: Address, credentials: Credentials) -> Caller:
    if credentials is not None:
        caller = await verified(request, rooms, address, credentials.credentials)
    else:
        caller = _signed_in(request, rooms)
    if caller.role is not Role.OPERATOR:
        raise forbidden("Payloads are opened for operators.")
    return caller


def _signed_in(request: Request, rooms: Rooms) -> Caller:
    """A cookie goes along with requests of any page: it counts for those of the UI only."""
    subject = rooms.sessions.subject_of(request.cookies.get(COOKIE, ""))
    if subject is None:
        raise unauthenticated("Sign in at /operators/sign-in, or send a token.")
    if request.headers.get("origin") not in rooms.settings.temporal_ui_origins:
        raise forbidden("Only a Temporal UI that PITSTOP_TEMPORAL_UI_ORIGINS names may ask with a cookie.")
    origin: Origin = request.state.origin
    caller = Caller(Role.OPERATOR, subject, origin)
    request.state.caller = caller
    return caller


def _payloads(body: bytes) -> list[Payload]:
    try:
        sent = parsed(body)
        # protobuf's reader takes a list, a text or nothing at all for an object without fields.
        named = sent.get("payloads") if isinstance(sent, dict) else None
        if not isinstance(named, list) or not all(isinstance(each, dict) for each in named):
            raise ParseError("no payloads")
        return list(ParseDict(sent, Payloads(), ignore_unknown_fields=True).payloads)
    except (ParseError, ValueError, RecursionError):
        raise Problem(400, "malformed_json", "Not payloads", 'Send {"payloads": […]} as Temporal has them.') from None


def _opened(rooms: Rooms, sealed: list[Payload]) -> tuple[list[Payload], int]:
    """What does not open (its key has gone) stays as it is: the rest of the history is still readable."""
    opened, unreadable = [], 0
    for payload in sealed:
        try:
            opened.append(rooms.codec.open(payload))
        except PayloadNotReadable:
            opened.append(payload)
            unreadable += 1
    return opened, unreadable


def _for_origin(request: Request, rooms: Rooms) -> dict[str, str]:
    """CORS (Fetch standard, 3.2): for the UIs that the settings name, and no other page. Nothing keeps the answer."""
    headers = {"Vary": "Origin", "Cache-Control": "no-store"}
    origin = request.headers.get("origin", "")
    if origin not in rooms.settings.temporal_ui_origins:
        return headers
    return headers | {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": _MAY_ASK,
        "Access-Control-Max-Age": "600",
    }


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
