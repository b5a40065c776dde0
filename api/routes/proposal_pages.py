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
from api.manage_words import words_of
from api.page_words import WORDS
from api.problems import Problem
from api.routes.pages import LONGEST_TOKEN, PageRoute, from_own_page, no_such_page, page
from api.schemas import Option
from api.sheets import sheet_of
from pitstop.domain.caller import Caller, Role
from pitstop.domain.changes import ChangeKind
from pitstop.domain.notices import Language

Wish = tuple[ChangeKind, dict[str, Any]]

router = APIRouter(prefix="/manage/{booking}/proposal", include_in_schema=False, route_class=PageRoute)


@router.post("/accept")
async def accept(booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "") -> Response:
    """Moves the booking to the time that the form names, and shows it; or says why not."""
    sent = parse_qs((await request.body()).decode(errors="replace"))
    try:
        option = Option.model_validate({name: sent[name][0] for name in ("start", "mechanic_id") if name in sent})
    except ValidationError:
        return await _answer(request, rooms, address, (booking, token), None)
    wish = (ChangeKind.ACCEPT_PROPOSAL, option.model_dump(exclude_none=True))
    return await _answer(request, rooms, address, (booking, token), wish)


@router.post("/decline")
async def decline(
    booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "", proposal: str = ""
) -> Response:
    """Those that the page has shown (`proposal`): not others, which have taken their place since."""
    seen = {"proposal_id": proposal[:36]} if proposal else {}
    return await _answer(request, rooms, address, (booking, token), (ChangeKind.DECLINE_PROPOSAL, seen))


async def _answer(request: Request, rooms: Rooms, address: Any, link: tuple[str, str], wish: Wish | None) -> Response:
    """`wish` is None for a form that names nothing."""
    booking, token = link
    opened = rooms.links.booking_of(token) if len(token) <= LONGEST_TOKEN else None
    if opened is None or booking != str(opened):
        await rooms.rates.spend(budgets.failures(rooms, address))
        return no_such_page(request)
    await rooms.rates.spend(budgets.reads(rooms, address))
    here = f"/manage/{opened}?{urlencode({'token': token})}"
    if not from_own_page(request):
        return await _refused(rooms, opened, here, 403, "foreign")
    if wish is None:
        return await _refused(rooms, opened, here, 422, "unknown_option")
    return await _changed(rooms, opened, here, wish)


async def _changed(rooms: Rooms, booking: UUID, here: str, wish: Wish) -> Response:
    """The page again, by a GET of its own, so that it can be loaded again; or why the booking is as it was."""
    try:
        await change_booking(rooms, Caller(Role.LINK, str(booking)), booking, *wish)
    except Problem as problem:
        return await _refused(rooms, booking, here, problem.status_code, problem.body.code)
    return RedirectResponse(here, 303)


async def _refused(rooms: Rooms, booking: UUID, here: str, code: int, why: str) -> Response:
    sheet = await sheet_of(rooms, Caller(Role.LINK, str(booking)), booking)
    words = words_of(sheet) if sheet else WORDS[Language.EN]
    return page("proposal.html", code, words=words, said=words.say("answer", why), here=here)
