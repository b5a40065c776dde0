"""The customer answers proposed times on the page that manages the booking: plain forms, no script."""

from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from api import budgets
from api.addresses import ClientAddress
from api.changing import change_booking
from api.composition import InRooms, Rooms
from api.problems import Problem
from api.routes.pages import LONGEST_TOKEN, PageRoute, from_own_page, page
from api.schemas import Option
from pitstop.domain.caller import Caller, Role
from pitstop.domain.changes import ChangeKind

router = APIRouter(prefix="/manage/{booking}/proposal", include_in_schema=False, route_class=PageRoute)
_CONFLICTS = {
    "slot_unavailable": "Somebody else has just taken that time. The others are still there.",
    "slot_not_offered": "That time cannot be had any more. The others are still there.",
    "no_proposal": "These times are not proposed any more.",
}


@router.post("/accept")
async def accept(booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "") -> Response:
    """Moves the booking to the time that the form names, and shows it; or says why not."""
    sent = parse_qs((await request.body()).decode(errors="replace"))
    try:
        option = Option.model_validate({name: sent[name][0] for name in ("start", "mechanic_id") if name in sent})
    except ValidationError:
        return page("proposal.html", 422, said="That is not one of the proposed times.", here=None)
    wanted = option.model_dump(exclude_none=True)
    return await _answer(request, rooms, address, (booking, token), ChangeKind.ACCEPT_PROPOSAL, wanted)


@router.post("/decline")
async def decline(booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "") -> Response:
    return await _answer(request, rooms, address, (booking, token), ChangeKind.DECLINE_PROPOSAL, {})


async def _answer(
    request: Request,
    rooms: Rooms,
    address: Any,
    link: tuple[str, str],
    kind: ChangeKind,
    wanted: dict[str, Any],
) -> Response:
    booking, token = link
    opened = rooms.links.booking_of(token) if len(token) <= LONGEST_TOKEN else None
    if opened is None or booking != str(opened):
        await rooms.rates.spend(budgets.failures(rooms, address))
        return page("not_found.html", 404)
    await rooms.rates.spend(budgets.reads(rooms, address))
    here = f"/manage/{opened}?{urlencode({'token': token})}"
    if not from_own_page(request):
        return page("proposal.html", 403, said="The form was sent by another site.", here=here)
    return await _changed(rooms, opened, here, kind, wanted)


async def _changed(rooms: Rooms, booking: UUID, here: str, kind: ChangeKind, wanted: dict[str, Any]) -> Response:
    """The page again, by a GET of its own, so that it can be loaded again; or why the booking is as it was."""
    try:
        await change_booking(rooms, Caller(Role.LINK, str(booking)), booking, kind, wanted)
    except Problem as problem:
        said = _CONFLICTS.get(problem.body.code, problem.body.detail)
        return page("proposal.html", problem.status_code, said=said, here=here)
    return RedirectResponse(here, 303)
