"""Bookings: opened, read, listed, followed."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse

from api import cursors
from api.addresses import ClientAddress
from api.callers import Authenticated, BookingId, Reader
from api.composition import InRooms, Rooms
from api.examples import BOOKING, BOOKINGS, EVENTS, OPENED, shown
from api.openapi import problems as problems  # the other routers of bookings take it from here
from api.opening import open_booking, request_of
from api.problems import not_found
from api.reading import StrictRoute
from api.schemas import (
    BookingIn,
    BookingOpened,
    BookingOut,
    BookingPage,
    BookingQuery,
    BookingSummary,
    PaymentState,
    PaymentToMake,
)
from api.sheets import manage_url
from pitstop.domain.caller import Caller
from pitstop.postgres.desk import BookingFilter

_POLL_SECONDS = 0.5
_POLLS_BETWEEN_HEARTBEATS = 30
# A booking that has ended may still have something to say (a refund issued, a mail sent): so long nothing new comes.
_QUIET_POLLS_AT_THE_END = 4
_LAST_BIGINT = 2**63 - 1


def _no_store(response: Response) -> None:
    """A booking's answer bears a client secret or a link, and is the caller's own: nothing on the way keeps it."""
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(dependencies=[Depends(_no_store)], prefix="/v1/bookings", tags=["bookings"], route_class=StrictRoute)

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="Chosen by the client, one for each booking. The same key with the same body is the same booking.",
        examples=["4f9c1f1e-checkout-1"],
    ),
]


@router.post(
    "",
    status_code=201,
    responses={
        201: shown(OPENED),
        200: shown(OPENED, model=BookingOpened, description="The booking that this key has opened before."),
        **problems(400, 401, 403, 409, 413, 415, 422, 503),
    },
)
async def create_booking(
    sent: BookingIn,
    idempotency_key: IdempotencyKey,
    caller: Authenticated,
    rooms: InRooms,
    address: ClientAddress,
    response: Response,
) -> BookingOpened:
    """Holds the slot for 15 minutes and brings back what is needed to pay for it.

    429 `rate_limited`: too many calls. 429 `too_many_holds`: too many unpaid holds of this customer, address or service
    stand, or have ended unpaid of late; each further one makes the wait longer. Retry-After says how long it is.
    A request that is repeated with its key gets its booking, however many holds stand.
    """
    opened = await open_booking(rooms, caller, request_of(sent, idempotency_key, caller), address)
    response.status_code = 201 if opened.new else 200
    response.headers["Location"] = f"/v1/bookings/{opened.booking['id']}"
    return _opened(opened.booking, rooms, caller)


@router.get("", responses={200: shown(BOOKINGS), **problems(401, 422, 503)})
async def list_bookings(query: Annotated[BookingQuery, Query()], caller: Authenticated, rooms: InRooms) -> BookingPage:
    """The bookings that the caller may see, newest first."""
    wanted = BookingFilter(
        query.status, query.mechanic_id, query.from_, query.to, cursors.decode(query.cursor), query.limit + 1
    )
    rows = await rooms.desk.list_bookings(caller, wanted)
    page = rows[: query.limit]
    more = cursors.encode(page[-1]["created_at"], page[-1]["id"]) if len(rows) > query.limit else None
    return BookingPage(items=[BookingSummary.model_validate(row) for row in page], next_cursor=more)


@router.get("/{id}", responses={200: shown(BOOKING), **problems(401, 404, 422, 503)})
async def read_booking(id: BookingId, caller: Reader, rooms: InRooms) -> BookingOut:
    """The booking with its timeline."""
    row = await rooms.desk.booking(caller, id)
    if row is None:
        raise not_found()
    payment = None
    if row["payment_intent_id"]:
        payment = PaymentState(payment_intent_id=row["payment_intent_id"], status=row["payment_status"])
    return BookingOut.model_validate({**row, "payment": payment})


@router.get(
    "/{id}/events",
    response_class=StreamingResponse,
    responses={200: shown(EVENTS, "text/event-stream"), **problems(401, 404, 422, 503)},
)
async def follow_booking(
    id: BookingId,
    caller: Reader,
    rooms: InRooms,
    last_event_id: Annotated[
        int,
        Header(alias="Last-Event-ID", ge=0, le=_LAST_BIGINT, description="Goes on after this entry.", examples=[41]),
    ] = 0,
) -> StreamingResponse:
    """Server-sent events, one for each timeline entry, until the booking has ended."""
    if await rooms.desk.events(caller, id, last_event_id) is None:
        raise not_found()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_follow(rooms, caller, id, last_event_id), media_type="text/event-stream", headers=headers)


async def _follow(rooms: Rooms, caller: Caller, id: UUID, after: int) -> AsyncIterator[str]:
    quiet = 0
    while (news := await rooms.desk.events(caller, id, after)) is not None:
        status, entries = news
        for entry in entries:
            after = entry["id"]
            yield _server_sent(entry)
        quiet = 0 if entries else quiet + 1
        if status.is_end and quiet >= _QUIET_POLLS_AT_THE_END:
            return
        if quiet % _POLLS_BETWEEN_HEARTBEATS == _POLLS_BETWEEN_HEARTBEATS - 1:
            yield ": still here\n\n"
        await asyncio.sleep(_POLL_SECONDS)


def _server_sent(entry: dict[str, Any]) -> str:
    at: datetime = entry["at"]
    data = {"at": at.isoformat(), "event": entry["event"], "detail": entry["detail"]}
    return f"id: {entry['id']}\nevent: {entry['event']}\ndata: {json.dumps(data)}\n\n"


def _opened(row: dict[str, Any], rooms: Rooms, caller: Caller) -> BookingOpened:
    payment = None
    if row["client_secret"]:
        payment = PaymentToMake(
            payment_intent_id=row["payment_intent_id"],
            client_secret=row["client_secret"],
            publishable_key=rooms.settings.stripe_publishable_key,
        )
    link = manage_url(rooms, caller, row["id"], row["end"])
    return BookingOpened.model_validate({**row, "payment": payment, "manage_url": link})
