"""The links of text messages: short ones, which lead to the page that manages the booking."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import RedirectResponse

from api import budgets
from api.addresses import ClientAddress
from api.composition import InRooms
from api.problems import not_found

router = APIRouter(include_in_schema=False)


@router.get("/b/{code}")
async def follow(code: Annotated[str, Path(max_length=64)], rooms: InRooms, address: ClientAddress) -> RedirectResponse:
    opened = rooms.short_links.opened(code, datetime.now(UTC))
    if opened is None:
        await rooms.rates.spend(budgets.failures(rooms, address))
        raise not_found()
    await rooms.rates.spend(budgets.reads(rooms, address))
    return RedirectResponse(rooms.links.url(*opened), status_code=303)
