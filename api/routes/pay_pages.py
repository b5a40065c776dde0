"""Where a customer pays without another program of ours: Stripe's Payment Element, and the page that it leads back to.

The only pages with a script: Stripe's own, which has to come from Stripe, and ours that starts it.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api import budgets
from api.addresses import Address, ClientAddress
from api.composition import InRooms, Rooms
from api.manage_words import pay_words, words_of
from api.paying import payment_to_make
from api.problems import Problem
from api.routes.pages import LONGEST_TOKEN, STYLED, PageRoute, no_such_page, page
from api.sheets import Sheet, sheet_of
from pitstop.domain.caller import Caller, Role
from pitstop.settings import Settings

router = APIRouter(prefix="/manage/{booking}", include_in_schema=False, route_class=PageRoute)
# "Stripe.js and Elements" of Stripe's integration security guide: what its script loads, frames and calls.
_FRAMES = "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com"
_CALLED = "https://api.stripe.com"
# The wallets within Stripe's frame ask the browser for this.
_PERMISSIONS = "camera=(), geolocation=(), microphone=(), usb=()"


@dataclass(frozen=True, slots=True)
class _Visit:
    """Somebody with a link that opens this booking."""

    rooms: Rooms
    caller: Caller
    booking: UUID
    sheet: Sheet
    query: str

    def at(self, name: str = "") -> str:
        return f"/manage/{self.booking}{name}?{self.query}"


@router.get("/pay")
async def pay(booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "") -> HTMLResponse:
    """The form that takes the card; or that there is nothing to pay, which an old page may not know."""
    visit = await _visit(rooms, address, booking, token)
    if visit is None:
        return no_such_page(request)
    try:
        payment = await payment_to_make(rooms, visit.caller, visit.booking)
    except Problem:
        return _nothing_to_pay_with(visit)
    shown: dict[str, Any] = {"here": visit.at(), "done": visit.at("/paid"), "stripe": rooms.settings.stripe_js_url}
    form = page("pay.html", policy=_policy(rooms.settings), payment=payment, **shown, **pay_words(visit.sheet))
    form.headers["Permissions-Policy"] = _PERMISSIONS
    return form


@router.get("/paid")
async def paid(
    booking: str,
    request: Request,
    rooms: InRooms,
    address: ClientAddress,
    token: str = "",
    redirect_status: str = "succeeded",
) -> HTMLResponse:
    """Where Stripe leads back to. What it says there changes nothing: the booking goes by its webhook."""
    visit = await _visit(rooms, address, booking, token)
    if visit is None:
        return no_such_page(request)
    outcome = "failed" if redirect_status == "failed" else "arrives"
    again = visit.at("/pay") if outcome == "failed" else None
    return page("paid.html", words=words_of(visit.sheet), outcome=outcome, here=visit.at(), again=again)


def _nothing_to_pay_with(visit: _Visit) -> HTMLResponse:
    """There is nothing to pay; or there is, and Stripe has not been asked yet, as while it or the worker is away."""
    shown: dict[str, Any] = {"words": words_of(visit.sheet), "here": visit.at()}
    if visit.sheet.is_payable:
        return page("paid.html", 503, outcome="not_yet", again=visit.at("/pay"), **shown)
    return page("paid.html", 409, outcome="no_more", again=None, **shown)


async def _visit(rooms: Rooms, address: Address, booking: str, token: str) -> _Visit | None:
    opened = rooms.links.booking_of(token) if len(token) <= LONGEST_TOKEN else None
    if opened is None or booking != str(opened):
        await rooms.rates.spend(budgets.failures(rooms, address))
        return None
    await rooms.rates.spend(budgets.reads(rooms, address))
    caller = Caller(Role.LINK, str(opened))
    sheet = await sheet_of(rooms, caller, opened)
    return _Visit(rooms, caller, opened, sheet, urlencode({"token": token})) if sheet else None


def _policy(settings: Settings) -> str:
    """Stripe's script from where it is, with its frames and calls; in the dev stack that of its stand-in."""
    called = f"{_CALLED} {_origin(str(settings.stripe_api_url))}" if settings.stripe_api_url else _CALLED
    script = f"script-src 'self' {_origin(str(settings.stripe_js_url))} https://*.js.stripe.com"
    return f"{STYLED}; {script}; frame-src {_FRAMES}; connect-src {called}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
