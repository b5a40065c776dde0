"""The page on which a customer reads the waiver and signs it. It needs no script, and none is allowed."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import TypeAdapter, ValidationError

from api import budgets
from api.addresses import Address, ClientAddress
from api.composition import InRooms, Rooms
from api.routes.pages import LONGEST_TOKEN, WITH_FORM, PageRoute, from_own_page, no_such_page, page
from api.sheets import Sheet, sheet_of
from api.waiver_words import PAGE
from api.waivers import SignedName, typed
from pitstop.domain.caller import Caller, Origin, Role
from pitstop.domain.notices import Language as Written
from pitstop.domain.waiver import Language, Signing, WaiverSignature
from pitstop.gateways.phrasing import PHRASINGS
from pitstop.gateways.wording import shown_zone
from pitstop.postgres.waivers import WaiverState

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_NAME: TypeAdapter[str] = TypeAdapter(SignedName)
_LAST_INT = 2**31 - 1
_CODES = {Signing.OUTDATED: 409, Signing.NOT_SIGNABLE: 409, Signing.NOT_REQUIRED: 409}


@dataclass(frozen=True, slots=True)
class _Visit:
    """Somebody with a link that opens this booking, and the language to read it in; None: not said."""

    rooms: Rooms
    caller: Caller
    booking: UUID
    token: str
    asked: Language | None

    def address(self, language: Language | None) -> str:
        query = {"token": self.token} | ({"language": language} if language else {})
        return f"/bookings/{self.booking}/waiver?{urlencode(query)}"


@router.get("/bookings/{booking}/waiver")
async def read(
    booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "", language: str = ""
) -> Response:
    """The document, and below it name, tick and button; or what has been signed."""
    visit = await _visit(request, rooms, address, booking, token, language)
    if visit is None:
        return no_such_page(request)
    await rooms.rates.spend(budgets.reads(rooms, address))
    return await _shown(visit) or no_such_page(request)


@router.post("/bookings/{booking}/waiver")
async def sign(
    booking: str, request: Request, rooms: InRooms, address: ClientAddress, token: str = "", language: str = ""
) -> Response:
    """Whoever has the link may sign; a form that another site sends with it is refused all the same."""
    visit = await _visit(request, rooms, address, booking, token, language)
    if visit is None:
        return no_such_page(request)
    await rooms.rates.spend(budgets.writes(rooms, address))
    if not _from_here(request):
        return await _shown(visit, "elsewhere", code=403) or no_such_page(request)
    sent = {name: values[0] for name, values in parse_qs((await request.body()).decode(errors="replace")).items()}
    return await _signed(visit, request, address, sent) or no_such_page(request)


def _from_here(request: Request) -> bool:
    """A browser without Fetch metadata hides the origin of our own forms, too: they go by `no-referrer`."""
    hidden = "sec-fetch-site" not in request.headers and request.headers.get("origin") == "null"
    return hidden or from_own_page(request)


async def _visit(
    request: Request, rooms: Rooms, address: Address, booking: str, token: str, language: str
) -> _Visit | None:
    opened = rooms.links.booking_of(token) if len(token) <= LONGEST_TOKEN else None
    if opened is None or booking != str(opened):
        await rooms.rates.spend(budgets.failures(rooms, address))
        return None
    origin: Origin = request.state.origin
    asked = next((each for each in Language if each == language), None)
    return _Visit(rooms, Caller(Role.LINK, str(opened), origin), opened, token, asked)


async def _signed(visit: _Visit, request: Request, address: Address, sent: dict[str, str]) -> Response | None:
    state = await visit.rooms.waivers.state(visit.caller, visit.booking, datetime.now(UTC))
    if state is None:
        return None
    language, name = _language(visit, state), sent.get("signed_name", "")
    try:
        clean = _NAME.validate_python(name)
    except ValidationError:
        return await _shown(visit, "no_name", name, 422)
    if sent.get("accepted") != "yes":
        return await _shown(visit, "not_accepted", name, 422)
    what = typed(request, address, clean, _version(sent), language)
    outcome = await visit.rooms.waivers.sign(visit.caller, visit.booking, what)
    if outcome is not Signing.SIGNED:
        return await _shown(visit, outcome, name, _CODES.get(outcome, 404))
    # What was signed is shown by a page that can be loaded again without signing again.
    return RedirectResponse(visit.address(visit.asked), 303)


def _version(sent: dict[str, str]) -> int:
    """0, which is never in force, for what is no version."""
    text = sent.get("document_version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _language(visit: _Visit, state: WaiverState) -> Language:
    return visit.asked or state.language or Language.ENGLISH


async def _shown(visit: _Visit, said: str = "", name: str = "", code: int = 200) -> HTMLResponse | None:
    """`said` is the key of what is wrong, `name` what was typed. None where there is no such booking any more."""
    now = datetime.now(UTC)
    state = await visit.rooms.waivers.state(visit.caller, visit.booking, now)
    sheet = await sheet_of(visit.rooms, visit.caller, visit.booking)
    if state is None or sheet is None:
        return None
    language = _language(visit, state)
    document = await visit.rooms.waivers.current(language, now) if state.is_signable else None
    words = _words(visit, state, sheet, language) | {"said": PAGE[language].get(said), "typed": name}
    paragraphs = document.body.split("\n\n") if document else []
    return page("waiver.html", code, policy=WITH_FORM, document=document, paragraphs=paragraphs, **words)


def _words(visit: _Visit, state: WaiverState, sheet: Sheet, language: Language) -> dict[str, Any]:
    [other] = set(Language) - {language}
    query = urlencode({"token": visit.token})
    return {
        "language": language,
        "words": PAGE[language],
        "other": {"language": other, "name": PAGE[other]["other"], "href": visit.address(other)},
        "here": visit.address(language),
        "back": f"/manage/{visit.booking}?{query}",
        "pdf": f"/v1/bookings/{visit.booking}/waiver.pdf?{query}",
        "signatures": [_proof(each, shown_zone(sheet.facts), language) for each in state.signatures],
    }


def _proof(signature: WaiverSignature, zone: str, language: Language) -> dict[str, Any]:
    """To the minute, as mails say it; the page's markup has the exact moment, and so has the PDF."""
    moment = PHRASINGS[Written(language)].moment(signature.accepted_at, zone)
    return asdict(signature) | {"when": f"{moment} ({zone})"}
