"""The customer says on the booking's page that it has come to its online session."""

from fastapi import APIRouter, Request, Response

from api.addresses import ClientAddress
from api.composition import InRooms
from api.routes.page_forms import Form
from api.routes.pages import PageRoute
from pitstop.domain.changes import ChangeKind

router = APIRouter(prefix="/manage/{booking}", include_in_schema=False, route_class=PageRoute)


@router.post("/check-in")
async def check_in(booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "") -> Response:
    """Only a form does it: links are opened by mail filters, too."""
    return await Form(request, rooms, address, booking, token, "check_in").answer((ChangeKind.CHECK_IN, {}))
