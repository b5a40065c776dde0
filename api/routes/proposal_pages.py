"""The customer answers proposed times on the page that manages the booking."""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from api.addresses import ClientAddress
from api.composition import InRooms
from api.routes.page_forms import Form
from api.routes.pages import PageRoute
from api.schemas import Option
from pitstop.domain.changes import ChangeKind

router = APIRouter(prefix="/manage/{booking}/proposal", include_in_schema=False, route_class=PageRoute)


@router.post("/accept")
async def accept(booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "") -> Response:
    """Moves the booking to the time that the form names, and shows it; or says why not."""
    form = Form(request, rooms, address, booking, token, "answer")
    sent = parse_qs((await request.body()).decode(errors="replace"))
    try:
        option = Option.model_validate({name: sent[name][0] for name in ("start", "mechanic_id") if name in sent})
    except ValidationError:
        return await form.answer(None)
    return await form.answer((ChangeKind.ACCEPT_PROPOSAL, option.model_dump(exclude_none=True)))


@router.post("/decline")
async def decline(
    booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "", proposal: str = ""
) -> Response:
    """Those that the page has shown (`proposal`): not others, which have taken their place since."""
    seen = {"proposal_id": proposal[:36]} if proposal else {}
    form = Form(request, rooms, address, booking, token, "answer")
    return await form.answer((ChangeKind.DECLINE_PROPOSAL, seen))
