"""Bookings: opened, read, listed, followed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse

from api import cursors
from api.addresses import ClientAddress
from api.callers import Authenticated, BookingId, Reader
from api.composition import InRooms, Rooms
from api.examples import BOOKING, BOOKINGS, EVENTS, OPENED, shown
from api.languages import preferred
from api.openapi import problems as problems  # the other routers of bookings take it from here
from api.opening import open_booking, request_of
from api.problems import not_found
from api.reading import StrictRoute
from api.referrals import referred_by
from api.schemas import (
    BookingIn,
    BookingOpened,
    BookingOut,
    BookingPage,
    BookingQuery,
    BookingSummary,
    PaymentToMake,
)
from api.sheets import booking_out, manage_url
from api.streams import follow
from pitstop.domain.caller import Caller
from pitstop.postgres.desk import BookingFilter

_LAST_BIGINT = 2**63 - 1


async def no_store(response: Response) -> None:
    """A booking's answer bears a client secret or a link, and is the caller's own: nothing on the way keeps it."""
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(dependencies=[Depends(no_store)], prefix="/v1/bookings", tags=["bookings"], route_class=StrictRoute)

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
OptionalKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="Chosen by the client: the same key with the same body is the same request, which is done once.",
        examples=["4f9c1f1e-referral-1"],
    ),
]
AcceptLanguage = Annotated[
    str,
    Header(
        max_length=1000,
        description="What the customer is written to in, unless the body says it: English or French.",
        examples=["fr-CA,fr;q=0.9,en;q=0.8"],
    ),
]


@router.post(
    "",
    status_code=201,
    responses={
        201: shown(OPENED),
        200: shown(OPENED, model=BookingOpened, description="The booking that this key has opened before."),
        **problems(400, 401, 403, 408, 409, 413, 415, 422, 503),
    },
)
async def create_booking(
    sent: BookingIn,
    idempotency_key: IdempotencyKey,
    caller: Authenticated,
    rooms: InRooms,
    address: ClientAddress,
    response: Response,
    accept_language: AcceptLanguage = "",
) -> BookingOpened:
    """Holds the slot for 15 minutes and brings back what is needed to pay for it.

    429 `rate_limited`: too many calls. 429 `too_many_holds`: too many unpaid holds of this customer, address or service
    stand, or have ended unpaid of late; each further one makes the wait longer. Retry-After says how long it is.
    A request that is repeated with its key gets its booking, however many holds stand.
    """
    referral = await referred_by(rooms, caller, sent.referral, sent.service_id) if sent.referral else None
    request = request_of(sent, idempotency_key, caller, preferred(accept_language), referral)
    opened = await open_booking(rooms, caller, request, address)
    response.status_code = 201 if opened.new else 200
    response.headers["Location"] = f"/v1/bookings/{opened.booking['id']}"
    return _opened(opened.booking, rooms, caller)


@router.get("", responses={200: shown(BOOKINGS), **problems(401, 422, 503)})
async def list_bookings(query: Annotated[BookingQuery, Query()], caller: Authenticated, rooms: InRooms) -> BookingPage:
    """The bookings that the caller may see, newest first. `flagged`: those at which the mechanic will not be."""
    wanted = BookingFilter(
        query.status,
        query.mechanic_id,
        query.from_,
        query.to,
        cursors.decode(query.cursor),
        query.limit + 1,
        query.flagged,
    )
    rows = await rooms.desk.list_bookings(caller, wanted)
    page = rows[: query.limit]
    more = cursors.encode(page[-1]["created_at"], page[-1]["id"]) if len(rows) > query.limit else None
    return BookingPage(items=[BookingSummary.model_validate(row) for row in page], next_cursor=more)


@router.get("/{id}", responses={200: shown(BOOKING), **problems(401, 404, 422, 503)})
async def read_booking(id: BookingId, caller: Reader, rooms: InRooms) -> BookingOut:
    """The booking with its timeline."""
    return await booking_out(rooms, caller, id)


async def _bell(id: BookingId, caller: Reader, rooms: InRooms) -> AsyncIterator[asyncio.Event]:
    """A place among the open streams, until the answer is over or the client has gone."""
    with rooms.streams.entered(caller, id) as bell:
        yield bell


@router.get(
    "/{id}/events",
    response_class=StreamingResponse,
    responses={
        200: shown(EVENTS, "text/event-stream"),
        204: {"description": "The booking has ended and all was told: do not connect again."},
        **problems(401, 404, 422, 429, 503),
    },
)
async def follow_booking(
    id: BookingId,
    caller: Reader,
    rooms: InRooms,
    bell: Annotated[asyncio.Event, Depends(_bell)],
    last_event_id: Annotated[
        int,
        Header(alias="Last-Event-ID", ge=0, le=_LAST_BIGINT, description="Goes on after this entry.", examples=[41]),
    ] = 0,
) -> Response:
    """Server-sent events, one for each timeline entry, until the booking has ended."""
    news = await rooms.desk.events(caller, id, last_event_id)
    if news is None:
        raise not_found()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if last_event_id and news.status.is_end and not news.entries:
        return Response(status_code=204, headers=headers)
    entries = follow(lambda after: rooms.desk.events(caller, id, after), last_event_id, bell)
    return StreamingResponse(entries, media_type="text/event-stream", headers=headers)


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
