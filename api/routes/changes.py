"""What can be done with a booking once it has its slot."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends

from api.callers import Authenticated, BookingId, Reader, forbidden
from api.changing import accept_offer, change_booking, decline_offer, have_decided, wanted_of
from api.composition import InRooms
from api.examples import BOOKING, TO_PAY, shown
from api.openapi import problems
from api.problems import Problem
from api.reading import StrictRoute
from api.routes.bookings import no_store
from api.routes.proposals import as_proposal, propose_times
from api.schemas import BookingOut, CancelIn, HandOverIn, NoShowIn, RescheduleIn
from api.sheets import booking_out
from pitstop.domain.caller import Caller, Role
from pitstop.domain.changes import ChangeKind

router = APIRouter(dependencies=[Depends(no_store)], prefix="/v1/bookings", tags=["bookings"], route_class=StrictRoute)
_REFUSALS = problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503)
_RESPONSES = {200: shown(BOOKING), **_REFUSALS}


@router.post("/{id}/reschedule", responses={200: shown(TO_PAY), **_REFUSALS})
async def reschedule(id: BookingId, sent: RescheduleIn, caller: Reader, rooms: InRooms) -> BookingOut:
    """Takes the new time as it lets the old one go: there is no moment without a slot, and none with two.

    409 `slot_unavailable`, `version_conflict`, `not_reschedulable`, 422 `slot_not_offered`: the booking is as it was.
    A mechanic cannot move what a customer has booked: its call proposes that time, and the customer decides.
    Of a cheaper plan the difference goes back. A customer who asks for a dearer one pays the difference first: the
    answer is the booking as it stands, with what is to be paid as `supplement`. The new time is held for 15 minutes;
    once it is paid the booking moves, otherwise it stays. An operator may `waive_difference`: then it moves at once.
    409 `price_differs`: it is cheaper, and so late that a customer who cancels does not get all of the money back; or
    dearer by less than can be charged; or an operator has not said who pays. 503 `payment_unavailable`: Stripe is away.
    """
    if sent.waive_difference and caller.role is not Role.OPERATOR:
        raise forbidden("Operators waive a difference.")
    if caller.role is Role.MECHANIC:
        return await propose_times(rooms, caller, id, as_proposal(sent))
    return await change_booking(rooms, caller, id, ChangeKind.RESCHEDULE, wanted_of(sent), sent.reason)


@router.post("/{id}/hand-over", responses=_RESPONSES)
async def hand_over(id: BookingId, sent: HandOverIn, caller: Reader, rooms: InRooms) -> BookingOut:
    """Another mechanic takes the booking at the same time, at the same price; the customer is told.

    409 `not_transferable`, `slot_unavailable`, `version_conflict`, 422 `slot_not_offered`: the booking is as it was.
    A mechanic sees it no more from then on: the answer is the booking as it was, with its new mechanic.
    """
    _require_mechanic(caller)
    before = await booking_out(rooms, caller, id)
    await have_decided(rooms, caller, id, ChangeKind.HAND_OVER, wanted_of(sent), sent.reason)
    try:
        return await booking_out(rooms, caller, id)
    except Problem as problem:
        if problem.status_code != 404:
            raise
    return before.model_copy(update={"mechanic_id": sent.mechanic_id, "flags": [], "proposal": None})


@router.post("/{id}/cancel", responses=_RESPONSES)
async def cancel(
    id: BookingId,
    caller: Reader,
    rooms: InRooms,
    sent: Annotated[CancelIn | None, Body(examples=[{"reason": "The car is sold."}])] = None,
) -> BookingOut:
    """Frees the slot at once. A customer gets back what the booking's policy says; when a mechanic or an operator
    cancels, all. What Stripe cannot give back at once is `amount_awaiting_refund`. 409 `version_conflict`: it has
    changed since it was looked at."""
    return await change_booking(rooms, caller, id, ChangeKind.CANCEL, wanted_of(sent), sent.reason if sent else None)


@router.post("/{id}/accept", responses=_RESPONSES)
async def accept(id: BookingId, caller: Authenticated, rooms: InRooms) -> BookingOut:
    """The mechanic takes an immediate session that is offered to it: of several at once exactly one, and it begins.

    409 `already_taken`, `not_on_offer`, or `slot_unavailable`: the mechanic has something coming, and it stays open for
    others.
    """
    _require_offered_to(caller)
    return await accept_offer(rooms, caller, id)


@router.post("/{id}/decline-offer", status_code=204, responses=_REFUSALS)
async def decline(id: BookingId, caller: Authenticated, rooms: InRooms) -> None:
    """The mechanic does not want it; when nobody else considers it, the next mechanics are asked at once."""
    _require_offered_to(caller)
    await decline_offer(rooms, caller, id)


@router.post("/{id}/check-in", responses=_RESPONSES)
async def check_in(id: BookingId, caller: Reader, rooms: InRooms) -> BookingOut:
    """The caller has come. The waiting room opens some time before the start: `waiting_room_opens_at`."""
    if caller.role is Role.OPERATOR:
        raise forbidden("Customer and mechanic come to a session.")
    return await change_booking(rooms, caller, id, ChangeKind.CHECK_IN)


@router.post("/{id}/start", responses=_RESPONSES)
async def start(id: BookingId, caller: Reader, rooms: InRooms) -> BookingOut:
    """The session has begun."""
    _require_mechanic(caller)
    return await change_booking(rooms, caller, id, ChangeKind.START)


@router.post("/{id}/complete", responses=_RESPONSES)
async def complete(id: BookingId, caller: Reader, rooms: InRooms) -> BookingOut:
    """The session has ended. One that nobody completes is closed some time after its end."""
    _require_mechanic(caller)
    return await change_booking(rooms, caller, id, ChangeKind.COMPLETE)


@router.post("/{id}/no-show", responses=_RESPONSES)
async def no_show(
    id: BookingId,
    caller: Reader,
    rooms: InRooms,
    sent: Annotated[NoShowIn | None, Body(examples=[{"absent": "customer"}])] = None,
) -> BookingOut:
    """Somebody has not come, and the policy's grace is over. If it is the mechanic, all of the money goes back.

    409 `not_absent`: nobody is missing, or it is on record that it was the other.
    """
    _require_mechanic(caller)
    absent, reason = (sent.absent, sent.reason) if sent else ("customer", None)
    booking = await change_booking(rooms, caller, id, ChangeKind.NO_SHOW, {"absent": absent}, reason)
    if booking.absent != absent:
        why = f"It is on record that the {booking.absent} did not come."
        raise Problem(409, "not_absent", "It was somebody else", why)
    return booking


def _require_mechanic(caller: Caller) -> None:
    if caller.role not in (Role.MECHANIC, Role.OPERATOR):
        raise forbidden("This is for the booking's mechanic, or an operator.")


def _require_offered_to(caller: Caller) -> None:
    if caller.role is not Role.MECHANIC:
        raise forbidden("Immediate sessions are offered to mechanics.")
