"""The workshop's word on a booking that is paid: yes, another time, or no."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends

from api.callers import Authenticated, BookingId, forbidden
from api.changing import change_booking, wanted_of
from api.composition import InRooms
from api.examples import BOOKING, shown
from api.openapi import problems
from api.reading import StrictRoute
from api.routes.bookings import no_store
from api.schemas import AsSeenIn, BookingOut, CancelIn, WorkshopProposalIn
from pitstop.domain.caller import Caller, Role
from pitstop.domain.changes import ChangeKind

router = APIRouter(
    dependencies=[Depends(no_store)], prefix="/v1/bookings/{id}/workshop", tags=["workshops"], route_class=StrictRoute
)
_RESPONSES = {200: shown(BOOKING), **problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503)}


@router.post("/confirm", responses=_RESPONSES)
async def confirm(
    id: BookingId,
    caller: Authenticated,
    rooms: InRooms,
    sent: Annotated[AsSeenIn | None, Body(examples=[{"version": 4}])] = None,
) -> BookingOut:
    """The workshop takes the booking at the time that was booked. 409 `not_awaited`: no word is waited for any more;
    `version_conflict`: it has another time, perhaps, than the one that was looked at."""
    _require_office(caller)
    return await change_booking(rooms, caller, id, ChangeKind.WORKSHOP_CONFIRM, wanted_of(sent))


@router.post("/propose", responses=_RESPONSES)
async def propose(id: BookingId, sent: WorkshopProposalIn, caller: Authenticated, rooms: InRooms) -> BookingOut:
    """The workshop proposes other times. They are held, beside the booked one, until the customer has decided:
    `POST /v1/bookings/{id}/proposal/accept` or `/decline`. Declined, or not answered in time, the booking is cancelled
    and all of the money goes back.

    409 `slot_unavailable`, `not_awaited`, 422 `slot_not_offered`: nothing is proposed.
    """
    _require_office(caller)
    return await change_booking(rooms, caller, id, ChangeKind.WORKSHOP_PROPOSE, wanted_of(sent), sent.reason)


@router.post("/decline", responses=_RESPONSES)
async def decline(
    id: BookingId,
    caller: Authenticated,
    rooms: InRooms,
    sent: Annotated[CancelIn | None, Body(examples=[{"reason": "No lift is free."}])] = None,
) -> BookingOut:
    """The workshop cannot take the booking: it is cancelled, and all of the money goes back. 409 as for its yes."""
    _require_office(caller)
    reason = sent.reason if sent else None
    return await change_booking(rooms, caller, id, ChangeKind.WORKSHOP_DECLINE, wanted_of(sent), reason)


def _require_office(caller: Caller) -> None:
    """Which mechanic keeps which workshop is the database's to say."""
    if caller.role not in (Role.MECHANIC, Role.OPERATOR):
        raise forbidden("This is for whoever keeps the workshop, or an operator.")
