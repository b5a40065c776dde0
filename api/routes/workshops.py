"""Workshops and their bays: opened by operators, kept by their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from api import cursors
from api.callers import Authenticated, forbidden
from api.composition import InRooms
from api.dashboards import DASHBOARD, Dashboard, DashboardQuery
from api.examples import shown
from api.openapi import problems
from api.problems import Problem, invalid_field, not_found
from api.reading import StrictRoute
from api.workshops import (
    ASSIGNED,
    BAY_SET,
    WORKSHOP,
    WORKSHOPS,
    AssignmentIn,
    AssignmentSet,
    BayChange,
    BayIn,
    BaySet,
    Workshop,
    WorkshopIn,
    WorkshopPage,
    WorkshopQuery,
    WorkshopSummary,
)
from pitstop.domain.caller import Caller, Role
from pitstop.domain.rules import UnknownTimezone
from pitstop.postgres.workshops import NameTaken, UnknownWorkshop

T = TypeVar("T")
router = APIRouter(prefix="/v1", tags=["workshops"], route_class=StrictRoute)
Id = Annotated[UUID, Path(description="The workshop's id.", examples=["00000000-0000-4000-8000-0000000000c1"])]
BayId = Annotated[UUID, Path(description="The bay's id.", examples=["0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d"])]
MechanicId = Annotated[UUID, Path(examples=["00000000-0000-4000-8000-0000000000a1"])]
_READING = problems(401, 403, 404, 422, 503)
_WRITING = problems(400, 401, 403, 404, 408, 413, 415, 422, 503)
_NAMING = {**_WRITING, **problems(409)}


@router.get("/workshops", responses={200: shown(WORKSHOPS), **problems(401, 403, 422, 503)})
async def list_workshops(
    query: Annotated[WorkshopQuery, Query()], caller: Authenticated, rooms: InRooms
) -> WorkshopPage:
    """For mechanics, who refer customers to them, and operators; oldest first."""
    _require_staff(caller)
    rows = await rooms.workshops.page(cursors.decode(query.cursor), query.limit + 1)
    page = rows[: query.limit]
    more = cursors.encode(page[-1]["created_at"], page[-1]["id"]) if len(rows) > query.limit else None
    return WorkshopPage(items=[WorkshopSummary.model_validate(row) for row in page], next_cursor=more)


@router.post("/workshops", status_code=201, responses={201: shown(WORKSHOP), **_WRITING})
async def open_workshop(sent: WorkshopIn, caller: Authenticated, rooms: InRooms, response: Response) -> Workshop:
    """Opens a workshop, without bays and mechanics. For operators."""
    _require_operator(caller)
    with _refusals():
        row = _found(await rooms.workshops.open(caller, sent.sheet()))
    response.headers["Location"] = f"/v1/workshops/{row['id']}"
    return Workshop.model_validate(row)


@router.get("/workshops/{id}", responses={200: shown(WORKSHOP), **_READING})
async def read_workshop(id: Id, caller: Authenticated, rooms: InRooms) -> Workshop:
    """The workshop with its bays and mechanics, for mechanics and operators."""
    _require_staff(caller)
    return Workshop.model_validate(_found(await rooms.workshops.workshop(id)))


@router.put("/workshops/{id}", responses={200: shown(WORKSHOP), **_WRITING})
async def set_workshop(id: Id, sent: WorkshopIn, caller: Authenticated, rooms: InRooms) -> Workshop:
    """Sets it as a whole, for whoever keeps it and for operators. Bookings keep the period that they were made with."""
    _require_staff(caller)
    with _refusals():
        return Workshop.model_validate(_found(await rooms.workshops.set(caller, id, sent.sheet())))


@router.post("/workshops/{id}/bays", status_code=201, responses={201: shown(BAY_SET), **_NAMING})
async def add_bay(id: Id, sent: BayIn, caller: Authenticated, rooms: InRooms) -> BaySet:
    """A further bay, which can be booked at once. 409 `name_taken`: the workshop has one of this name."""
    _require_staff(caller)
    with _refusals():
        return BaySet.model_validate(_found(await rooms.workshops.add_bay(caller, id, sent.name)))


@router.put("/workshops/{id}/bays/{bay_id}", responses={200: shown(BAY_SET), **_NAMING})
async def set_bay(id: Id, bay_id: BayId, sent: BayChange, caller: Authenticated, rooms: InRooms) -> BaySet:
    """Names it anew, takes it out of use, or into use again.

    No booking is moved or cancelled: those in a bay that is out of use are in the answer, and the workshop decides.
    """
    _require_staff(caller)
    with _refusals():
        row = await rooms.workshops.set_bay(caller, id, bay_id, sent.name, sent.active, _now())
    return BaySet.model_validate(_found(row, "bay"))


@router.put("/mechanics/{mechanic_id}/workshop", responses={200: shown(ASSIGNED), **_WRITING})
async def assign(mechanic_id: MechanicId, sent: AssignmentIn, caller: Authenticated, rooms: InRooms) -> AssignmentSet:
    """Says where a mechanic works, and whether it keeps the workshop. For operators.

    No booking is moved: those in bays of another workshop are in the answer.
    """
    _require_operator(caller)
    if sent.keeps_workshop and sent.workshop_id is None:
        raise invalid_field("body.keeps_workshop", "needs a workshop to keep")
    with _refusals():
        row = await rooms.workshops.assign(caller, mechanic_id, sent.workshop_id, sent.keeps_workshop, _now())
    return AssignmentSet.model_validate(_found(row, "mechanic"))


@router.get("/workshops/{id}/dashboard", responses={200: shown(DASHBOARD), **_READING})
async def dashboard(
    id: Id, query: Annotated[DashboardQuery, Query()], caller: Authenticated, rooms: InRooms, response: Response
) -> Dashboard:
    """What is booked on these days of the workshop's own zone, what waits for an answer, and how the days went.

    For whoever keeps the workshop, and operators.
    """
    _require_staff(caller)
    response.headers["Cache-Control"] = "no-store"
    return Dashboard.model_validate(_found(await rooms.dashboards.of(caller, id, query.first, query.last, _now())))


def _require_staff(caller: Caller) -> None:
    """Which mechanic keeps which workshop is the database's to say."""
    if caller.role not in (Role.MECHANIC, Role.OPERATOR):
        raise forbidden("Workshops are for mechanics and operators.")


def _require_operator(caller: Caller) -> None:
    if caller.role is not Role.OPERATOR:
        raise forbidden("This is for operators.")


def _found(row: T | None, what: str = "workshop") -> T:
    if row is None:
        raise not_found(what)
    return row


@contextmanager
def _refusals() -> Iterator[None]:
    """What only the database knows."""
    try:
        yield
    except UnknownTimezone:
        raise invalid_field("body.timezone", "must be an IANA time zone such as America/Toronto") from None
    except UnknownWorkshop:
        raise invalid_field("body.workshop_id", "names no workshop; GET /v1/workshops lists them") from None
    except NameTaken:
        raise Problem(409, "name_taken", "The name is taken", "The workshop has a bay of this name already.") from None


def _now() -> datetime:
    return datetime.now(UTC)
