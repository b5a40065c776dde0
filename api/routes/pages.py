"""Pages for people: where a customer sees a booking, and a front page. No script is needed, and none is allowed."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from api import budgets
from api.addresses import ClientAddress
from api.composition import InRooms, Rooms
from api.guard import NOTHING
from api.problems import DATABASE_AWAY, RETRY_AFTER_SECONDS
from api.reading import Handler
from api.sheets import Sheet, sheet_of
from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Caller, Role
from pitstop.domain.catalogue import SessionKind
from pitstop.domain.notices import BookingFacts
from pitstop.domain.waiver import NEEDING
from pitstop.gateways.calendar_links import NAMES, calendar_links
from pitstop.gateways.wording import money, one_line, session_time, shown_zone, tidied
from pitstop.ports import EngineUnavailable

_log = logging.getLogger("pitstop.pages")
WEB = Path(__file__).parents[2] / "web"
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
                unavailable = page("unavailable.html", 503)
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


@dataclass(frozen=True, slots=True)
class _Status:
    """A status in words; `tone` is the class that colours it. `text` may name the end of the time to pay: {until}."""

    title: str
    tone: str
    text: str


_STATUSES = {
    BookingStatus.HOLDING: _Status("Being reserved", "waiting", "The time is being reserved for you. Refresh soon."),
    BookingStatus.AWAITING_PAYMENT: _Status(
        "Waiting for payment", "waiting", "The time is yours until {until}. If nobody pays by then, others can book it."
    ),
    BookingStatus.PENDING: _Status("Paid", "waiting", "A mechanic will take your session soon."),
    BookingStatus.CONFIRMED: _Status("Confirmed", "good", "It is paid, and the mechanic expects you."),
    BookingStatus.IN_PROGRESS: _Status("Under way", "good", "The session has begun."),
    BookingStatus.COMPLETED: _Status("Completed", "over", "The session is over."),
    BookingStatus.EXPIRED: _Status(
        "Expired", "over", "It was not paid in time, so nothing is booked. A payment that comes all the same goes back."
    ),
    BookingStatus.PAYMENT_FAILED: _Status("Not paid", "over", "No card went through in time, so nothing is booked."),
    BookingStatus.CANCELLED: _Status(
        "Cancelled", "over", "This booking is cancelled; the session does not take place."
    ),
    BookingStatus.REFUNDED: _Status(
        "Refunded", "over", "The payment came when somebody else had the time; all of it went back to you."
    ),
    BookingStatus.NO_SHOW: _Status("Missed", "over", "Somebody did not come to the session."),
}
# Of an immediate session that nobody has taken.
_OF_UNTAKEN = {
    BookingStatus.AWAITING_PAYMENT: _Status(
        "Waiting for payment", "waiting", "Pay by {until}, and mechanics who are online are asked at once."
    ),
    BookingStatus.REFUNDED: _Status("Refunded", "over", "No mechanic was free in time; all of it went back to you."),
}
_EVENTS = {
    "hold_placed": "The time was reserved for you.",
    "awaiting_payment": "Ready to be paid.",
    "payment_declined": "A card was declined.",
    "payment_succeeded": "The payment arrived.",
    "confirmed": "The booking was confirmed.",
    "handed_over": "Another mechanic took the booking.",
    "mechanic_away": "Your mechanic is not available then. We are looking for another one, or another time.",
    "mechanic_back": "Your mechanic is available again.",
    "proposed": "Other times were proposed to you.",
    "proposal_declined": "You declined the proposed times.",
    "proposal_lapsed": "The time to answer the proposal ran out.",
    "rescheduled": "The booking was moved.",
    "supplement_requested": "A dearer plan was chosen; the difference was to be paid.",
    "supplement_applied": "The difference was paid.",
    "supplement_lapsed": "The time to pay the difference ran out.",
    "supplement_replaced": "Another choice took the place of the one that was to be paid.",
    "supplement_closed": "The difference is not to be paid any more.",
    "supplement_withdrawn": "The payment of the difference could not be prepared.",
    "supplement_lost": "The booking could not be moved to what was paid for.",
    "supplement_returned": "The difference that was paid goes back.",
    "checked_in": "Somebody came to the session.",
    "in_progress": "The session began.",
    "completed": "The session ended.",
    "expired": "The time to pay ran out.",
    "payment_failed": "The time to pay ran out; no card had gone through.",
    "cancelled": "The booking was cancelled.",
    "refunded": "All of the money went back.",
    "no_show": "Somebody did not come.",
    "pending": "A mechanic is looked for.",
    "offered": "Mechanics who are online were asked.",
    "waiver_signed": "The waiver was signed.",
    "wrong_payment": "Money came that is not the agreed amount. Please get in touch with us.",
}
# What became of a move to a dearer plan: {amount} more until {until}, for {what}.
_SUPPLEMENTS = {
    "open": "Pay {amount} more until {until}, and your booking becomes {what}. Until then it stays as it is.",
    "lapsed": "{amount} more was not paid in time, so your booking stays as it is.",
    "lost": "Your booking could not be moved, and stays as it is: the {amount} that you paid goes back to you.",
    "withdrawn": "The payment of {amount} more could not be prepared, so your booking stays as it is.",
    "applied": "",
    "replaced": "",
    "closed": "",
}
_MAILS = {
    "confirmation": "the confirmation",
    "reminder": "a reminder",
    "cancellation": "the cancellation",
    "refund": "the news of your refund",
    "handed_over": "the news of your new mechanic",
    "at_risk": "the news that your mechanic may not be there",
    "proposal": "the proposed times",
    "taken": "the news that a mechanic is waiting for you",
    "not_taken": "the news that no mechanic was free",
    "rescheduled": "the new time",
    "difference_returned": "the news that what you paid for a change goes back",
    "no_show": "what becomes of the missed session",
}
_PLACES = {
    SessionKind.VIDEO: "Online, by video",
    SessionKind.CHAT: "Online, by chat",
    SessionKind.DIAGNOSTIC: "Online, as a remote diagnostic",
    SessionKind.IN_PERSON: "At the workshop",
}


@router.get("/")
async def home() -> HTMLResponse:
    return page("home.html")


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The API's document, as Swagger UI shows it. It writes styles into the page, but needs no script in it."""
    return page("docs.html", policy=_DOCUMENTED)


@router.get("/manage/{booking}")
@router.get("/manage/{booking}/join")
async def manage(booking: str, rooms: InRooms, address: ClientAddress, token: str = "") -> HTMLResponse:
    """The booking that the signed link opens; for every other link the same page, which says what to do.

    `/join` is what stands in calendars as the place of an online session.
    """
    opened = rooms.links.booking_of(token) if len(token) <= LONGEST_TOKEN else None
    if opened is None or booking != str(opened):
        await rooms.rates.spend(budgets.failures(rooms, address))
        return page("not_found.html", 404)
    await rooms.rates.spend(budgets.reads(rooms, address))
    return await _manage(rooms, opened, token)


async def _manage(rooms: Rooms, booking: UUID, token: str) -> HTMLResponse:
    sheet = await sheet_of(rooms, Caller(Role.LINK, str(booking)), booking)
    if sheet is None:
        return page("not_found.html", 404)
    query = urlencode({"token": token})
    answers = {name: f"/manage/{booking}/proposal/{name}?{query}" for name in ("accept", "decline")}
    invite = f"/v1/bookings/{booking}/invite.ics?{query}" if sheet.was_confirmed else None
    waiver = f"/bookings/{booking}/waiver?{query}" if sheet.was_confirmed and sheet.facts.kind in NEEDING else None
    here, policy = f"/manage/{booking}?{query}", WITH_FORM if sheet.options else STYLED
    links: dict[str, Any] = {"here": here, "invite": invite, "waiver": waiver, "answers": answers}
    return page("manage.html", policy=policy, **links, **_words(sheet))


def _words(sheet: Sheet) -> dict[str, Any]:
    facts = tidied(sheet.facts)
    zone = ZoneInfo(facts.customer_timezone)
    return {
        "facts": facts,
        "state": _status(sheet, zone),
        "when": None if facts.untaken else session_time(facts, facts.customer_timezone),
        "when_there": None if facts.untaken else _when_there(facts),
        "where": facts.venue_address or _PLACES[facts.kind],
        "amount": money(facts.amount, facts.currency),
        "calendars": _calendars(sheet),
        "refunded": money(facts.amount_refunded, facts.currency) if facts.amount_refunded else None,
        "options": [_option(each, facts) for each in sheet.options or ()],
        "supplement": _supplement(sheet.supplement, facts, zone) if sheet.supplement else None,
        "timeline": [_entry(event, facts, zone) for event in sheet.timeline],
    }


def _option(option: dict[str, Any], facts: BookingFacts) -> dict[str, str]:
    """A proposed time, as the customer reads it, and as the form sends it back."""
    start = datetime.fromisoformat(option["start"])
    there = replace(facts, start=start, end=start + (facts.end - facts.start))
    when = session_time(there, facts.customer_timezone)
    other = one_line(option["mechanic"] or "")
    words = when if other == facts.mechanic_name else f"{when}, with {other}"
    return {"start": option["start"], "mechanic_id": option["mechanic_id"], "words": words}


def _supplement(asked: dict[str, Any], facts: BookingFacts, zone: ZoneInfo) -> str | None:
    """What is to be paid for a move, or has become of that; a booking that was changed otherwise tells by itself."""
    start, end = (datetime.fromisoformat(asked[name]) for name in ("start", "end"))
    there = replace(facts, service_name=one_line(asked["service"]), start=start, end=end)
    when = session_time(there, facts.customer_timezone)
    what = f"{there.service_name}, {one_line(asked['plan'])}, with {one_line(asked['mechanic'])}: {when}"
    until = f"{datetime.fromisoformat(asked['until']).astimezone(zone):%H:%M %Z}"
    amount = money(asked["amount"], facts.currency)
    return _SUPPLEMENTS[asked["status"]].format(what=what, amount=amount, until=until) or None


def _calendars(sheet: Sheet) -> list[tuple[str, str]]:
    """Name and link of each calendar on the web, while the session is to be put into one."""
    if not sheet.in_calendars:
        return []
    return [(NAMES[key], link) for key, link in calendar_links(sheet.facts).items()]


def _status(sheet: Sheet, zone: ZoneInfo) -> _Status:
    status = (_OF_UNTAKEN if sheet.facts.untaken else {}).get(sheet.status) or _STATUSES[sheet.status]
    until = f"{sheet.hold_expires_at.astimezone(zone):%H:%M %Z}" if sheet.hold_expires_at else ""
    return _Status(status.title, status.tone, status.text.format(until=until))


def _when_there(facts: BookingFacts) -> str | None:
    """The time at the workshop, where that is in another zone than the customer."""
    if shown_zone(facts) == facts.customer_timezone:
        return None
    return session_time(facts, shown_zone(facts))


def _entry(event: dict[str, Any], facts: BookingFacts, zone: ZoneInfo) -> dict[str, Any]:
    at: datetime = event["at"].astimezone(zone)
    return {"at": event["at"], "when": f"{at.day} {at:%b %Y, %H:%M:%S %Z}", "words": _event(event, facts)}


def _event(event: dict[str, Any], facts: BookingFacts) -> str:
    name, detail = event["event"], event["detail"]
    if name in ("mail_sent", "mail_not_sent"):
        mail = _MAILS.get(detail.get("kind"), "a mail")
        return f"We mailed you {mail}." if name == "mail_sent" else f"We could not mail you {mail}."
    if name == "refund_issued":
        return f"{money(detail['amount'], facts.currency)} went back to you."
    return _EVENTS.get(name, f"{name.replace('_', ' ').capitalize()}.")


def page(template: str, code: int = 200, policy: str = STYLED, **words: Any) -> HTMLResponse:
    headers = {"Content-Security-Policy": policy}
    return HTMLResponse(_templates.get_template(template).render(words), code, headers=headers)


def from_own_page(request: Request) -> bool:
    """Where a form comes from: browsers say so (Fetch metadata, or else Origin); what is no browser has no cookies."""
    fetched = request.headers.get("sec-fetch-site")
    if fetched is not None:
        return fetched in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
