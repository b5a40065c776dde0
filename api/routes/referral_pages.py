"""What the link of a referral opens in a browser."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api import budgets
from api.addresses import ClientAddress
from api.composition import InRooms
from api.page_words import WORDS, PageWords
from api.routes.pages import PageRoute, no_such_page, page
from pitstop.domain.notices import Language

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/referrals/{token}")
async def referral(token: str, request: Request, rooms: InRooms, address: ClientAddress) -> HTMLResponse:
    """In the language, and the zone, of the booking that is referred from."""
    id = rooms.referral_links.referral_of(token)
    offer = await rooms.referrals.offer(id) if id else None
    await rooms.rates.spend((budgets.reads if offer else budgets.failures)(rooms, address))
    if offer is None:
        return no_such_page(request)
    words = WORDS[Language(offer["language"])]
    named = {name: offer[name] for name in ("plan", "workshop", "mechanic")}
    price = words.phrasing.money(offer["amount"], offer["currency"])
    what = words.say("referral", "offer", price=price, address=offer["workshop_address"], **named)
    shown = {"service": offer["service"], "note": offer["note"], "what": what}
    return page("referral.html", words=words, **shown, start=_start(offer, words), until=_until(offer, words))


def _start(offer: dict[str, Any], words: PageWords) -> str | None:
    """What is proposed, as long as it can be had."""
    if offer["start"] is None or offer["used"]:
        return None
    return words.say("referral", "start", start=words.phrasing.moment(offer["start"], offer["timezone"]))


def _until(offer: dict[str, Any], words: PageWords) -> str:
    """Whether it can be used, and until when."""
    expires: datetime = offer["expires_at"]
    name = "used" if offer["used"] else "until" if datetime.now(UTC) < expires else "over"
    return words.say("referral", name, until=words.phrasing.moment(expires, offer["timezone"]))
