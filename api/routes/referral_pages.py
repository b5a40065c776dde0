"""What the link of a referral opens in a browser."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api import budgets
from api.addresses import ClientAddress
from api.composition import InRooms
from api.routes.pages import PageRoute, page
from pitstop.gateways.wording import money

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/referrals/{token}")
async def referral(token: str, rooms: InRooms, address: ClientAddress) -> HTMLResponse:
    id = rooms.referral_links.referral_of(token)
    offer = await rooms.referrals.offer(id) if id else None
    await rooms.rates.spend((budgets.reads if offer else budgets.failures)(rooms, address))
    if offer is None:
        return page("not_found.html", 404)
    price, until = money(offer["amount"], offer["currency"]), f"{offer['expires_at']:%Y-%m-%d %H:%M}"
    return page("referral.html", offer=offer, price=price, until=until)
