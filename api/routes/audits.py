"""What the last audit has found, for operators: as JSON, and as a page."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.addresses import Address, ClientAddress
from api.callers import Authenticated, Credentials, forbidden, verified
from api.composition import InRooms, Rooms
from api.examples import AUDIT, shown
from api.openapi import problems
from api.problems import Problem
from api.reading import StrictRoute
from api.routes.pages import WITH_FORM, PageRoute, from_own_page
from api.routes.pages import page as page_of
from api.schemas import AuditOut
from pitstop.domain.caller import Caller, Role

_LONGEST_FORM = 8192

router = APIRouter(prefix="/v1/operations", tags=["operations"], route_class=StrictRoute)
page = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/audit", responses={200: shown(AUDIT), **problems(401, 403, 404, 422, 503)})
async def last_audit(caller: Authenticated, rooms: InRooms) -> AuditOut:
    """The last pass of the audit, with each discrepancy and what to do about it. Operators only."""
    run = await _last(rooms, caller)
    if run is None:
        raise Problem(404, "not_found", "Not found", "No audit has come to its end yet.")
    return AuditOut.model_validate(run)


@page.get("/operations/audit")
async def audit_page(
    request: Request, rooms: InRooms, address: ClientAddress, credentials: Credentials
) -> HTMLResponse:
    """With a token in the header, the result; without one, a form that asks for it."""
    if credentials is None:
        return _ask()
    return await _shown(request, rooms, address, credentials.credentials)


@page.post("/operations/audit")
async def audit_page_for_token(request: Request, rooms: InRooms, address: ClientAddress) -> HTMLResponse:
    """The token comes in the form's body: it stands in no address, and nothing keeps it."""
    if not from_own_page(request):
        return _ask("The form was sent by another site.", 403)
    body = await request.body()
    form = parse_qs(body.decode("ascii", "replace")) if len(body) <= _LONGEST_FORM else {}
    token = form.get("token", [""])[-1].strip()
    return await _shown(request, rooms, address, token)


async def _shown(request: Request, rooms: Rooms, address: Address, token: str) -> HTMLResponse:
    try:
        run = await _last(rooms, await verified(request, rooms, address, token))
    except Problem as refused:
        if refused.status_code not in (401, 403):
            raise
        return _ask(refused.body.detail, refused.status_code)
    return page_of("audit.html", policy=WITH_FORM, run=run, now=datetime.now(UTC))


def _ask(why: str | None = None, code: int = 200) -> HTMLResponse:
    return page_of("audit_token.html", code, policy=WITH_FORM, why=why)


async def _last(rooms: Rooms, caller: Caller) -> dict[str, Any] | None:
    if caller.role is not Role.OPERATOR:
        raise forbidden("The audit is for operators.")
    return await rooms.audits.last(caller)
