"""Services, mechanics and free slots: public."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api import cursors
from api.budgets import LIMITED_READ, LIMITED_SEARCH
from api.composition import InRooms
from api.examples import MECHANICS, NEXT, SERVICES, SLOTS, VERDICT, shown
from api.openapi import problems
from api.problems import invalid_field
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
from pitstop.domain.places import Place

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


@router.get("/availability", dependencies=[LIMITED_SEARCH], responses={200: shown(SLOTS), **problems(422, 503)})
async def search_slots(query: Annotated[AvailabilityQuery, Query()], rooms: InRooms) -> SlotPage:
    """Free slots, ordered by start, then mechanic: one entry for each mechanic and start."""
    now = datetime.now(UTC)
    if query.to <= now:
        raise invalid_field("query.to", "must lie in the future: slots that have passed cannot be booked")
    await _require_known(rooms, query)
    span = (query.from_, query.to)
    rows = await rooms.catalogue.free_slots(
        query.service_id, query.mechanic_id, span, now, cursors.decode(query.cursor), query.limit + 1
    )
    page = rows[: query.limit]
    more = cursors.encode(page[-1]["start"], page[-1]["mechanic_id"]) if len(rows) > query.limit else None
    return SlotPage(slots=await _shown(rooms, page, query.timezone), next_cursor=more)


@router.get("/availability/next", dependencies=[LIMITED_SEARCH], responses={200: shown(NEXT), **problems(422, 503)})
async def first_free_slot(query: Annotated[NextQuery, Query()], rooms: InRooms) -> NextSlot:
    """The first free slot, near a place: where several mechanics have it, the one who would get it. Null: nobody is free as
    far ahead as anybody plans."""
    now = datetime.now(UTC)
    await _require_known(rooms, query)
    near = Place(query.country, query.city, query.postal_code)
    found = await rooms.catalogue.next_slot(query.service_id, query.mechanic_id, near, query.from_ or now, now)
    return NextSlot(slot=(await _shown(rooms, [found], query.timezone))[0] if found else None)


@router.post(
    "/availability/check",
    dependencies=[LIMITED_SEARCH],
    responses={200: shown(VERDICT), **problems(400, 408, 413, 415, 422, 503)},
)
async def check_slot(sent: SlotCheck, rooms: InRooms) -> SlotVerdict:
    """Whether one slot can be booked at this moment, and if not, why."""
    reason = await rooms.catalogue.refusal(sent.mechanic_id, sent.service_id, sent.start, datetime.now(UTC))
    return SlotVerdict(available=reason is None, reason=reason)


async def _shown(rooms: InRooms, found: Sequence[dict[str, Any]], timezone: str | None) -> list[Slot]:
    """In the asked zone too, by the database's zone data."""
    if not timezone or not found:
        return [Slot(**slot) for slot in found]
    try:
        clock = await rooms.catalogue.wall_clock(timezone, (found[0]["start"], found[-1]["start"]))
    except LookupError:
        raise invalid_field("query.timezone", "is a zone that the booking engine does not know") from None
    return [Slot(**slot, local_start=clock.local(slot["start"]).isoformat()) for slot in found]


async def _require_known(rooms: InRooms, query: AvailabilityQuery | NextQuery) -> None:
    if not await rooms.catalogue.has_service(query.service_id):
        raise invalid_field("query.service_id", "names no service; GET /v1/services lists them")
    if query.mechanic_id and not await rooms.catalogue.has_mechanic(query.mechanic_id):
        raise invalid_field("query.mechanic_id", "names no mechanic; GET /v1/mechanics lists them")
