"""Where an operator's browser gets the cookie with which the Temporal UI may have payloads opened."""

from datetime import UTC, datetime
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.addresses import ClientAddress
from api.callers import verified
from api.composition import InRooms, Rooms
from api.problems import Problem
from api.routes.codec import COOKIE
from api.routes.pages import WITH_FORM, PageRoute, from_own_page, page
from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.caller import Role
from pitstop.gateways.operator_sessions import end_of

router = APIRouter(prefix="/operators", include_in_schema=False, route_class=PageRoute)


@router.get("/sign-in")
async def form() -> HTMLResponse:
    return _answer(200, said=None, ends=None)


@router.post("/sign-in")
async def sign_in(request: Request, rooms: InRooms, address: ClientAddress) -> HTMLResponse:
    """Takes an operator's token once, and gives a cookie for an hour. The token itself is kept nowhere."""
    if not from_own_page(request):
        return _answer(403, said="The form was sent by another site.", ends=None)
    token = parse_qs((await request.body()).decode(errors="replace")).get("token", [""])[0].strip()
    try:
        caller = await verified(request, rooms, address, token)
    except Problem as problem:
        return _answer(401, said=problem.body.detail, ends=None)
    if caller.role is not Role.OPERATOR:
        return _answer(403, said="The token is not an operator's.", ends=None)
    await rooms.audit.note(caller, Entry(Action.SIGN_IN, "session"))
    cookie, ends = rooms.sessions.open(caller.subject, end_of(token), datetime.now(UTC))
    answer = _answer(200, said=None, ends=ends, endpoint=f"{rooms.settings.public_url.rstrip('/')}/codec")
    _keep(answer, rooms, cookie, ends)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, rooms: InRooms) -> HTMLResponse:
    if not from_own_page(request):
        return _answer(403, said="The form was sent by another site.", ends=None)
    answer = _answer(200, said="Signed out.", ends=None)
    _keep(answer, rooms, "", datetime.now(UTC))
    return answer


def _keep(answer: HTMLResponse, rooms: Rooms, cookie: str, ends: datetime) -> None:
    """The UI may be on another site, as Temporal Cloud's is: then a browser sends it along only as SameSite=None."""
    production = rooms.settings.environment == "production"
    seconds = max(0, int((ends - datetime.now(UTC)).total_seconds()))
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=seconds,
        path="/codec",
        httponly=True,
        secure=production,
        samesite="none" if production else "lax",
    )


def _answer(code: int, *, said: str | None, ends: datetime | None, endpoint: str = "") -> HTMLResponse:
    until = f"{ends:%H:%M} UTC" if ends else None
    return page("sign_in.html", code, policy=WITH_FORM, said=said, until=until, endpoint=endpoint)
