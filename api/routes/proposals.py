"""Other times that a mechanic or an operator proposes for a booking, and the customer's answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends

from api.callers import BookingId, Reader, forbidden
from api.changing import change_booking, wanted_of
from api.composition import InRooms, Rooms
from api.examples import BOOKING, shown
from api.openapi import problems
from api.problems import invalid_field
from api.reading import StrictRoute
from api.routes.bookings import no_store
from api.schemas import BookingOut, DeclineIn, Option, ProposalIn, RescheduleIn
from pitstop.domain.caller import Caller, Role
from pitstop.domain.changes import ChangeKind
from pitstop.domain.policy import acts_for_customer

router = APIRouter(dependencies=[Depends(no_store)], prefix="/v1/bookings", tags=["bookings"], route_class=StrictRoute)
_SEEN = {"proposal_id": "7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11"}
_RESPONSES = {200: shown(BOOKING), **problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503)}


@router.post("/{id}/propose", responses=_RESPONSES)
async def propose(id: BookingId, sent: ProposalIn, caller: Reader, rooms: InRooms) -> BookingOut:
    """Proposes other times, or other mechanics. The booking stays as it is until the customer takes one of them.

    None of them is held. A new proposal takes the place of the one before; a move, a cancellation and the session's
    start end it. 409 `slot_unavailable`, `not_reschedulable`, 422 `slot_not_offered`: nothing is proposed.
    """
    if caller.role not in (Role.MECHANIC, Role.OPERATOR):
        raise forbidden("The booking's mechanic proposes, or an operator; a customer moves the booking.")
    return await propose_times(rooms, caller, id, sent)


@router.post("/{id}/proposal/accept", responses=_RESPONSES)
async def accept(id: BookingId, sent: Option, caller: Reader, rooms: InRooms) -> BookingOut:
    """Moves the booking to one of the proposed times. It does not count as a move of the customer's.

    409 `slot_unavailable`: it has gone meanwhile; the others still stand. 409 `no_proposal`: there is none any more.
    """
    _require_customer(caller)
    return await change_booking(rooms, caller, id, ChangeKind.ACCEPT_PROPOSAL, wanted_of(sent))


@router.post("/{id}/proposal/decline", responses=_RESPONSES)
async def decline(
    id: BookingId, caller: Reader, rooms: InRooms, sent: Annotated[DeclineIn | None, Body(examples=[_SEEN])] = None
) -> BookingOut:
    """None of the proposed times: the booking stays as it is; it ends, if a workshop has proposed them.

    409 `no_proposal`: there is none any more, or another one than the `proposal_id` that was looked at.
    """
    _require_customer(caller)
    return await change_booking(rooms, caller, id, ChangeKind.DECLINE_PROPOSAL, wanted_of(sent))


async def propose_times(rooms: Rooms, caller: Caller, booking_id: UUID, sent: ProposalIn) -> BookingOut:
    wanted = wanted_of(sent)
    wanted.setdefault("expires_in_minutes", max(1, int(rooms.settings.proposal_seconds // 60)))
    return await change_booking(rooms, caller, booking_id, ChangeKind.PROPOSE, wanted, sent.reason)


def as_proposal(sent: RescheduleIn) -> ProposalIn:
    """What a mechanic asks for by moving the booking."""
    if sent.plan_id is not None:
        raise invalid_field("body.plan_id", "is the customer's to choose")
    option = Option(start=sent.start, mechanic_id=sent.mechanic_id)
    return ProposalIn(options=[option], version=sent.version, reason=sent.reason)


def _require_customer(caller: Caller) -> None:
    if not acts_for_customer(caller.role):
        raise forbidden("The customer answers what is proposed.")
