"""The waitlist: joined, read and left; and how to pay for what it offers."""

from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import budgets, cursors
from api.addresses import ClientAddress
from api.callers import Authenticated, BookingId, Credentials, LinkToken, Reader, caller, of_link
from api.changing import change_booking
from api.composition import InRooms, Rooms
from api.examples import shown
from api.languages import preferred
from api.openapi import problems
from api.paying import payment_to_make
from api.problems import Problem, not_found
from api.reading import StrictRoute
from api.routes.bookings import AcceptLanguage, IdempotencyKey, no_store
from api.schemas import PaymentToMake
from api.waiting import entry_out, entry_request, join, now
from api.waitlist_examples import ENTRIES, ENTRY, JOINED, PAYMENT
from api.waitlist_schemas import WaitlistEntry, WaitlistIn, WaitlistPage, WaitlistQuery
from pitstop.domain.caller import Caller
from pitstop.domain.changes import ChangeKind
from pitstop.ports import EngineUnavailable

router = APIRouter(dependencies=[Depends(no_store)], prefix="/v1", route_class=StrictRoute)
EntryId = Annotated[UUID, Path(description="The entry's id.", examples=["3f1c9b52-7a52-5d0e-8a35-6a5b1f0c2d11"])]


async def _waiting(
    id: EntryId,
    request: Request,
    credentials: Credentials,
    rooms: InRooms,
    address: ClientAddress,
    token: LinkToken = None,
) -> Caller:
    """Whoever bears a token; or the link of an offer that was made to this entry, as the database knows."""
    if token is None:
        return await caller(request, credentials, rooms, address)
    booking_id = rooms.links.booking_of(token)
    if booking_id is None:
        await rooms.rates.spend(budgets.failures(rooms, address))
        raise not_found("entry")
    return await of_link(request, rooms, address, booking_id)


Waiting = Annotated[Caller, Depends(_waiting)]


@router.post(
    "/waitlist",
    status_code=201,
    tags=["waitlist"],
    responses={
        201: shown(JOINED),
        200: shown(JOINED, model=WaitlistEntry, description="The entry that this key, or this wish, has already."),
        **problems(400, 401, 403, 408, 409, 413, 415, 422, 503),
    },
)
async def join_waitlist(
    sent: WaitlistIn,
    idempotency_key: IdempotencyKey,
    caller: Authenticated,
    rooms: InRooms,
    response: Response,
    accept_language: AcceptLanguage = "",
) -> WaitlistEntry:
    """Waits for a time that is taken. When one that fits comes free, it is held for whoever waits longest, who is told
    by mail and has a set time to pay for it; then the next is asked.

    409 `slot_available`: something that fits is free, and named. 429 `too_many_entries`: this customer waits for as
    much as it may. Asking for the same again brings back the entry that there is.
    """
    moment = now()
    request = entry_request(sent, idempotency_key, caller, preferred(accept_language), moment)
    entry_id, new = await join(rooms, caller, request, moment)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/waitlist/{entry_id}"
    return await _entry(rooms, caller, entry_id)


@router.get("/waitlist", tags=["waitlist"], responses={200: shown(ENTRIES), **problems(401, 422, 503)})
async def list_waitlist(
    query: Annotated[WaitlistQuery, Query()], caller: Authenticated, rooms: InRooms
) -> WaitlistPage:
    """The entries that the caller may see, newest first."""
    rows = await rooms.waitlist.entries(caller, cursors.decode(query.cursor), query.limit + 1)
    page = rows[: query.limit]
    more = cursors.encode(page[-1]["created_at"], page[-1]["id"]) if len(rows) > query.limit else None
    return WaitlistPage(items=[await entry_out(rooms, caller, row) for row in page], next_cursor=more)


@router.get("/waitlist/{id}", tags=["waitlist"], responses={200: shown(ENTRY), **problems(401, 404, 422, 503)})
async def read_waitlist_entry(id: EntryId, caller: Waiting, rooms: InRooms) -> WaitlistEntry:
    """Where the entry stands in line, and what it is offered. With the token of a link in its mails, too."""
    return await _entry(rooms, caller, id)


@router.delete("/waitlist/{id}", status_code=204, tags=["waitlist"], responses=problems(401, 404, 422, 503))
async def leave_waitlist(id: EntryId, caller: Waiting, rooms: InRooms) -> None:
    """Waits no more. What is offered at this moment, and not paid for, is given back to the next in line."""
    await _found(rooms, caller, id)
    offered = await rooms.waitlist.leave(caller, id)
    if offered is not None:
        await _give_back(rooms, caller, offered)


@router.get(
    "/bookings/{id}/payment",
    tags=["bookings"],
    responses={200: shown(PAYMENT), **problems(401, 404, 409, 422, 503)},
)
async def read_payment(id: BookingId, caller: Reader, rooms: InRooms) -> PaymentToMake:
    """What is needed to pay for a booking that waits for it, or the difference of a dearer plan, for whoever pays.

    409 `nothing_to_pay`: it waits for nothing.
    """
    return await payment_to_make(rooms, caller, id)


async def _entry(rooms: Rooms, caller: Caller, id: UUID) -> WaitlistEntry:
    return await entry_out(rooms, caller, await _found(rooms, caller, id))


async def _found(rooms: Rooms, caller: Caller, id: UUID) -> dict[str, Any]:
    row = await rooms.waitlist.entry(caller, id)
    if row is None:
        raise not_found("entry")
    return row


async def _give_back(rooms: Rooms, caller: Caller, booking_id: UUID) -> None:
    """Its time to pay ends now. If it cannot be ended now, it ends by itself.

    One that has been paid for meanwhile stays: whoever leaves the line does not cancel what it has.
    """
    with suppress(EngineUnavailable, Problem):
        await change_booking(rooms, caller, booking_id, ChangeKind.CANCEL, {"unpaid": True})
