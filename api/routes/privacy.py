"""A customer's personal data: removed on request. And the log of who did what, for operators."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from api.callers import Authenticated, forbidden
from api.composition import InRooms, Rooms
from api.examples import AUDIT_LOG, ERASURE, shown
from api.openapi import problems
from api.problems import Problem, not_found
from api.reading import StrictRoute
from api.schemas import AuditEntry, AuditPage, AuditQuery, ErasureOut
from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.caller import Caller, Role
from pitstop.postgres.audit_log import AuditFilter

router = APIRouter(prefix="/v1", tags=["privacy"], route_class=StrictRoute)
CustomerId = Annotated[UUID, Path(description="The customer's id.", examples=["00000000-0000-4000-8000-0000000000c1"])]


@router.post(
    "/customers/{id}/erasure",
    status_code=202,
    responses={202: shown(ERASURE), **problems(401, 403, 404, 409, 422, 503)},
)
async def erase_customer(id: CustomerId, caller: Authenticated, rooms: InRooms) -> ErasureOut:
    """Removes the customer's personal data, at once from here and soon from Stripe; amounts, times and ids stay.

    Only when all of the customer's bookings have ended. Asking again does no harm.
    """
    _may_erase(caller, id)
    erased = await rooms.engine.erase(id, caller)
    if erased.open_bookings:
        raise _still_open(erased.open_bookings)
    return await _erasure(rooms, caller, id)


@router.get("/customers/{id}/erasure", responses={200: shown(ERASURE), **problems(401, 403, 404, 422, 503)})
async def read_erasure(id: CustomerId, caller: Authenticated, rooms: InRooms) -> ErasureOut:
    """How far it has got."""
    _may_erase(caller, id)
    return await _erasure(rooms, caller, id)


def _may_erase(caller: Caller, customer: UUID) -> None:
    if caller.role is Role.CUSTOMER and caller.subject != str(customer):
        raise not_found("customer")
    if caller.role not in (Role.CUSTOMER, Role.OPERATOR):
        raise forbidden("Personal data is removed at the word of the customer, or of an operator.")


def _still_open(bookings: tuple[UUID, ...]) -> Problem:
    named = ", ".join(map(str, bookings))
    detail = f"These bookings have not ended, or their refund is still under way: {named}. Cancel them or wait."
    return Problem(409, "open_bookings", "There are open bookings", detail)


async def _erasure(rooms: Rooms, caller: Caller, id: UUID) -> ErasureOut:
    row = await rooms.desk.erasure(caller, id)
    if row is None:
        raise not_found("erasure")
    status = "completed" if row["completed_at"] else "at_payment_provider"
    return ErasureOut.model_validate({**row, "status": status})


@router.get("/audit-log", responses={200: shown(AUDIT_LOG), **problems(401, 403, 422, 503)})
async def read_audit_log(query: Annotated[AuditQuery, Query()], caller: Authenticated, rooms: InRooms) -> AuditPage:
    """Who did what, newest first. For operators; each look is itself an entry."""
    if caller.role is not Role.OPERATOR:
        raise forbidden("The audit log is for operators.")
    rows = await rooms.audit.read(caller, _wanted(query), Entry(Action.READ_AUDIT_LOG, "audit_log"))
    page = rows[: query.limit]
    more = str(page[-1]["id"]) if len(rows) > query.limit else None
    return AuditPage(items=[AuditEntry.model_validate(row) for row in page], next_cursor=more)


def _wanted(query: AuditQuery) -> AuditFilter:
    return AuditFilter(
        actor=query.actor,
        action=query.action,
        object_id=str(query.object_id) if query.object_id else None,
        since=query.from_,
        until=query.to,
        before=int(query.cursor) if query.cursor else None,
        limit=query.limit + 1,
    )
