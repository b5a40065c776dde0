"""Pages for people: where a customer sees a booking, and a front page. No script is needed, and none is allowed.

Whatever a customer opens is in the customer's language; what knows of no customer, in the browser's.
"""

import logging
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from api import budgets
from api.addresses import ClientAddress
from api.composition import InRooms, Rooms
from api.guard import NOTHING
from api.manage_words import manage_words
from api.page_words import WEB as WEB
from api.page_words import WORDS, PageWords, words_for
from api.problems import DATABASE_AWAY, RETRY_AFTER_SECONDS
from api.reading import Handler
from api.sheets import sheet_of
from pitstop.domain.caller import Caller, Role
from pitstop.domain.notices import Language
from pitstop.domain.waiver import NEEDING
from pitstop.ports import EngineUnavailable

_log = logging.getLogger("pitstop.pages")
# What a page needs beyond nothing (api/guard.py): our style sheet; the documentation of the API also its program.
STYLED = f"{NOTHING}; style-src 'self'"
WITH_FORM = STYLED.replace("form-action 'none'", "form-action 'self'")
_DOCUMENTED = (
    f"{NOTHING}; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
LONGEST_TOKEN = 2000


class PageRoute(APIRoute):
    """Whoever reads a page is told on a page, not in JSON, that something is away."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except (*DATABASE_AWAY, EngineUnavailable) as error:
                _log.warning("page unavailable: %r", error)
                unavailable = page("unavailable.html", 503, words=words_for(request))
                unavailable.headers["Retry-After"] = RETRY_AFTER_SECONDS
                return unavailable

        return told


router = APIRouter(include_in_schema=False, route_class=PageRoute)
_templates = Environment(
    loader=FileSystemLoader(WEB / "templates"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@router.get("/")
async def home() -> HTMLResponse:
    return page("home.html")


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The API's document, as Swagger UI shows it. It writes styles into the page, but needs no script in it."""
    return page("docs.html", policy=_DOCUMENTED)


@router.get("/manage/{booking}")
@router.get("/manage/{booking}/join")
async def manage(
    booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = ""
) -> HTMLResponse:
    """The booking that the signed link opens; for every other link the same page, which says what to do.

    `/join` is what stands in calendars as the place of an online session.
    """
    opened = rooms.links.booking_of(token) if len(token) <= LONGEST_TOKEN else None
    if opened is None or booking != str(opened):
        await rooms.rates.spend(budgets.failures(rooms, address))
        return no_such_page(request)
    await rooms.rates.spend(budgets.reads(rooms, address))
    return await _manage(rooms, opened, token) or no_such_page(request)


async def _manage(rooms: Rooms, booking: UUID, token: str) -> HTMLResponse | None:
    sheet = await sheet_of(rooms, Caller(Role.LINK, str(booking)), booking)
    if sheet is None:
        return None
    query = urlencode({"token": token})
    answers = {name: f"/manage/{booking}/proposal/{name}?{query}" for name in ("accept", "decline")}
    answers["decline"] += f"&proposal={sheet.options[0]['proposal_id']}" if sheet.options else ""
    invite = f"/v1/bookings/{booking}/invite.ics?{query}" if sheet.was_confirmed else None
    waiver = f"/bookings/{booking}/waiver?{query}" if sheet.was_confirmed and sheet.facts.kind in NEEDING else None
    pay = f"/manage/{booking}/pay?{query}" if sheet.is_payable else None
    here, policy = f"/manage/{booking}?{query}", WITH_FORM if sheet.options else STYLED
    links: dict[str, Any] = {"here": here, "invite": invite, "waiver": waiver, "answers": answers, "pay": pay}
    return page("manage.html", policy=policy, **links, **manage_words(sheet))


def page(
    template: str, code: int = 200, policy: str = STYLED, words: PageWords = WORDS[Language.EN], **shown: Any
) -> HTMLResponse:
    """`words`: the language; pages that are not for customers have English ones."""
    headers = {"Content-Security-Policy": policy}
    return HTMLResponse(_templates.get_template(template).render(words=words, **shown), code, headers=headers)


def no_such_page(request: Request) -> HTMLResponse:
    """For every link that opens nothing."""
    return page("not_found.html", 404, words=words_for(request))


def from_own_page(request: Request) -> bool:
    """Where a form comes from: browsers say so (Fetch metadata, or else Origin); what is no browser has no cookies."""
    fetched = request.headers.get("sec-fetch-site")
    if fetched is not None:
        return fetched in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
