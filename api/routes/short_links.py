"""The links of text messages: short ones, which lead to the page that manages the booking."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from api import budgets
from api.addresses import ClientAddress
from api.composition import InRooms
from api.routes.pages import PageRoute, no_such_page

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/b/{code}")
async def follow(
    code: Annotated[str, Path(max_length=64)], request: Request, rooms: InRooms, address: ClientAddress
) -> Response:
    opened = rooms.short_links.opened(code, datetime.now(UTC))
    if opened is None:
        await rooms.rates.spend(budgets.failures(rooms, address))
        return no_such_page(request)
    await rooms.rates.spend(budgets.reads(rooms, address))
    return RedirectResponse(rooms.links.url(*opened), status_code=303)
