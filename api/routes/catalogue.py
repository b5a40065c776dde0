"""Services, mechanics and free slots: public."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from api import cursors
from api.budgets import LIMITED_READ, LIMITED_SEARCH
from api.composition import InRooms
from api.examples import MECHANICS, NEXT, SERVICES, SLOTS, VERDICT, shown
from api.openapi import problems
from api.problems import Problem, invalid_field
from api.reading import StrictRoute
from api.schemas import (
    AvailabilityQuery,
    Mechanic,
    MechanicPage,
    MechanicQuery,
    NextQuery,
    NextSlot,
    Service,
    ServicePage,
    Slot,
    SlotCheck,
    SlotPage,
    SlotVerdict,
)
from api.slot_pages import SlotsOfAPage
from pitstop.domain.places import Place
from pitstop.domain.wall_clock import WallClock

# A day more than the longest horizon that a mechanic can have (`mechanics.horizon_days`).
_FURTHEST = timedelta(days=366)

router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=StrictRoute)


@router.get("/services", dependencies=[LIMITED_READ], responses={200: shown(SERVICES), **problems(422, 503)})
async def list_services(rooms: InRooms) -> ServicePage:
    """What can be booked, with durations (minutes) and prices (minor units)."""
    return ServicePage(items=[Service.model_validate(row) for row in await rooms.catalogue.services()])


@router.get("/mechanics", dependencies=[LIMITED_READ], responses={200: shown(MECHANICS), **problems(422, 503)})
async def list_mechanics(query: Annotated[MechanicQuery, Query()], rooms: InRooms) -> MechanicPage:
    """Who can be booked."""
    rows = await rooms.catalogue.mechanics(query.service_id, query.country, query.city)
    return MechanicPage(items=[Mechanic.model_validate(row) for row in rows])


@router.get(
    "/availability",
    dependencies=[LIMITED_SEARCH],
    response_model=SlotPage,
    responses={200: shown(SLOTS), **problems(422, 503)},
)
async def search_slots(query: Annotated[AvailabilityQuery, Query()], rooms: InRooms) -> Response:
    """Free slots, ordered by start, then mechanic: one entry for each mechanic and start."""
    now = datetime.now(UTC)
    if query.to <= now:
        raise invalid_field("query.to", "must lie in the future: slots that have passed cannot be booked")
    after, span = cursors.decode(query.cursor), (_within_reach(query.from_, now), _within_reach(query.to, now))
    free = await rooms.catalogue.free_time(query.service_id, query.mechanic_id, span, now, after, query.limit + 1)
    if free is None:
        raise _unknown_service()
    if not free.mechanic_is_known:
        raise _unknown_mechanic()
    page = SlotsOfAPage(free, query.limit)
    clock = await _clock(rooms, query.timezone, page.span) if query.timezone and page.span else None
    return Response(page.written(clock), media_type="application/json")


@router.get("/availability/next", dependencies=[LIMITED_SEARCH], responses={200: shown(NEXT), **problems(422, 503)})
async def first_free_slot(query: Annotated[NextQuery, Query()], rooms: InRooms) -> NextSlot:
    """The first free slot, and who would get it where several have it. Null: none, as far ahead as anybody plans."""
    now = datetime.now(UTC)
    await _require_known(rooms, query)
    near = Place(query.country, query.city, query.postal_code)
    since = _within_reach(query.from_ or now, now)
    found = await rooms.catalogue.next_slot(query.service_id, query.mechanic_id, near, since, now)
    return NextSlot(slot=await _shown(rooms, found, query.timezone) if found else None)


@router.post(
    "/availability/check",
    dependencies=[LIMITED_SEARCH],
    responses={200: shown(VERDICT), **problems(400, 408, 413, 415, 422, 503)},
)
async def check_slot(sent: SlotCheck, rooms: InRooms) -> SlotVerdict:
    """Whether one slot can be booked at this moment, and if not, why."""
    reason = await rooms.catalogue.refusal(sent.mechanic_id, sent.service_id, sent.start, datetime.now(UTC))
    return SlotVerdict(available=reason is None, reason=reason)


def _within_reach(moment: datetime, now: datetime) -> datetime:
    """Nothing is looked for in the past, nor further ahead than anybody may plan."""
    return min(max(moment, now), now + _FURTHEST)


async def _shown(rooms: InRooms, found: dict[str, Any], timezone: str | None) -> Slot:
    """In the asked zone too."""
    if not timezone:
        return Slot(**found)
    clock = await _clock(rooms, timezone, (found["start"], found["start"]))
    return Slot(**found, local_start=clock.local(found["start"]).isoformat())


async def _clock(rooms: InRooms, timezone: str, span: tuple[datetime, datetime]) -> WallClock:
    """By the database's zone data."""
    try:
        return await rooms.catalogue.wall_clock(timezone, span)
    except LookupError:
        raise invalid_field("query.timezone", "is a zone that the booking engine does not know") from None


async def _require_known(rooms: InRooms, query: NextQuery) -> None:
    if not await rooms.catalogue.has_service(query.service_id):
        raise _unknown_service()
    if query.mechanic_id and not await rooms.catalogue.has_mechanic(query.mechanic_id):
        raise _unknown_mechanic()


def _unknown_service() -> Problem:
    return invalid_field("query.service_id", "names no service; GET /v1/services lists them")


def _unknown_mechanic() -> Problem:
    return invalid_field("query.mechanic_id", "names no mechanic; GET /v1/mechanics lists them")
