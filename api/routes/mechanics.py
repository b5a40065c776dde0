"""A mechanic's own rules: working hours, time off, online or not, and what is booked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Path, Query, Response

from api import cursors, stated_rules
from api.callers import Authenticated, forbidden
from api.composition import InRooms
from api.examples import shown
from api.flags import tell_runs
from api.openapi import problems
from api.problems import invalid_field, not_found
from api.reading import StrictRoute
from api.rule_examples import (
    OFFERS,
    ONLINE_SET,
    RESERVATIONS,
    SCHEDULE,
    SCHEDULE_SET,
    TIME_OFF_ADDED,
    TIME_OFF_PAGE,
)
from api.schedules import (
    Offer,
    OfferPage,
    OnlineIn,
    OnlineSet,
    PeriodQuery,
    Reservation,
    ReservationPage,
    ReservationQuery,
    Schedule,
    ScheduleIn,
    ScheduleSet,
    TimeOff,
    TimeOffAdded,
    TimeOffIn,
    TimeOffPage,
    TimeOffQuery,
)
from pitstop.domain.caller import Caller, Role
from pitstop.domain.rules import UnknownRegion, UnknownService, UnknownTimezone
from pitstop.postgres.rules import Period

T = TypeVar("T")
router = APIRouter(prefix="/v1/mechanics/{id}", tags=["mechanics"], route_class=StrictRoute)
Id = Annotated[UUID, Path(description="The mechanic's id.", examples=["00000000-0000-4000-8000-0000000000a1"])]
TimeOffId = Annotated[UUID, Path(examples=["0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d"])]
_READING = problems(401, 403, 404, 422, 503)
_WRITING = problems(400, 401, 403, 404, 408, 413, 415, 422, 503)
_MOST_PARTS_NAMED = 60


@router.get("/schedule", responses={200: shown(SCHEDULE), **_READING})
async def read_schedule(id: Id, caller: Authenticated, rooms: InRooms) -> Schedule:
    """When the mechanic works and what it offers, for the mechanic and for operators. It can be sent back as it is."""
    _may_read(caller, id)
    return Schedule.model_validate(stated_rules.shown(_found(await rooms.rules.schedule(caller, id, _now()))))


@router.put("/schedule", responses={200: shown(SCHEDULE_SET), **_WRITING})
async def set_schedule(
    id: Id, sent: ScheduleIn, caller: Authenticated, rooms: InRooms, after: BackgroundTasks
) -> ScheduleSet:
    """The mechanic sets its rules, all at once. A field beside the four required ones that is left out stays as it is.

    No booking is moved or cancelled: those that the rules would not allow are in the answer, and the mechanic decides.
    Those outside the hours or in time off are flagged, and their customers told.
    """
    _may_change(caller, id)
    change = stated_rules.change_of(sent)
    with _refusals():
        row = _found(await rooms.rules.set_schedule(caller, id, change, _now()))
    after.add_task(tell_runs, rooms, caller, row["flags_changed"])
    return ScheduleSet.model_validate(stated_rules.shown(row))


@router.put("/online", responses={200: shown(ONLINE_SET), **_WRITING})
async def set_online(
    id: Id, sent: OnlineIn, caller: Authenticated, rooms: InRooms, after: BackgroundTasks
) -> OnlineSet:
    """Offline: nothing can be booked until the mechanic is online again. What is booked stays; what starts soon is
    flagged."""
    _may_change(caller, id)
    row = _found(await rooms.rules.set_online(caller, id, sent.online, _now()))
    after.add_task(tell_runs, rooms, caller, row["flags_changed"])
    return OnlineSet.model_validate(row)


@router.get("/time-off", responses={200: shown(TIME_OFF_PAGE), **_READING})
async def list_time_off(
    id: Id, query: Annotated[TimeOffQuery, Query()], caller: Authenticated, rooms: InRooms
) -> TimeOffPage:
    """By start, for the mechanic and for operators."""
    _may_read(caller, id)
    period = Period(query.from_ or (None if query.to else _now()), query.to)
    after = cursors.decode(query.cursor)
    rows = _found(await rooms.rules.time_off(caller, id, period, after, query.limit + 1))
    page, more = _page(rows, query)
    return TimeOffPage(items=[TimeOff.model_validate(row) for row in page], next_cursor=more)


@router.post("/time-off", status_code=201, responses={201: shown(TIME_OFF_ADDED), **_WRITING})
async def add_time_off(
    id: Id, sent: TimeOffIn, caller: Authenticated, rooms: InRooms, response: Response, after: BackgroundTasks
) -> TimeOffAdded:
    """Nothing can be booked that overlaps it. The same start and end again is the same time off.

    No booking is moved or cancelled: those in it are in the answer and flagged, and the mechanic decides.
    """
    _may_change(caller, id)
    now = _now()
    if sent.end <= now:
        raise invalid_field("body.end", "must lie in the future: time off that is over changes nothing")
    row = _found(await rooms.rules.add_time_off(caller, id, (sent.start, sent.end), sent.reason, now))
    after.add_task(tell_runs, rooms, caller, row["flags_changed"])
    response.headers["Location"] = f"/v1/mechanics/{id}/time-off/{row['id']}"
    return TimeOffAdded.model_validate(row)


@router.delete("/time-off/{time_off_id}", status_code=204, responses=problems(401, 403, 404, 422, 503))
async def remove_time_off(
    id: Id, time_off_id: TimeOffId, caller: Authenticated, rooms: InRooms, after: BackgroundTasks
) -> None:
    """The time can be booked again, at once. Bookings in it are not flagged any more."""
    _may_change(caller, id)
    row = await rooms.rules.remove_time_off(caller, id, time_off_id, _now())
    if row is None:
        raise not_found("time off")
    after.add_task(tell_runs, rooms, caller, row["flags_changed"])


@router.get("/reservations", responses={200: shown(RESERVATIONS), **_READING})
async def list_reservations(
    id: Id, query: Annotated[ReservationQuery, Query()], caller: Authenticated, rooms: InRooms
) -> ReservationPage:
    """What takes the mechanic's time, by start, for the mechanic and for operators; `status` is the reservation's."""
    _may_read(caller, id)
    asked = (Period(query.from_, query.to), query.status, cursors.decode(query.cursor), query.limit + 1)
    rows = _found(await rooms.rules.reservations(caller, id, *asked, _now()))
    page, more = _page(rows, query)
    return ReservationPage(items=[Reservation.model_validate(row) for row in page], next_cursor=more)


@router.get("/offers", responses={200: shown(OFFERS), **_READING})
async def list_offers(id: Id, caller: Authenticated, rooms: InRooms) -> OfferPage:
    """The immediate sessions that the mechanic may take, newest first: none while it is offline.

    `POST /v1/bookings/{id}/accept` takes one, `/decline-offer` leaves it to others.
    """
    _may_read(caller, id)
    rows = _found(await rooms.rules.offers(caller, id))
    return OfferPage(items=[Offer.model_validate(row) for row in rows])


def _may_read(caller: Caller, mechanic_id: UUID) -> None:
    if caller.role is not Role.OPERATOR:
        _may_change(caller, mechanic_id)


def _may_change(caller: Caller, mechanic_id: UUID) -> None:
    """The database asks the same; here it is said in words."""
    if caller.role is not Role.MECHANIC:
        raise forbidden("A mechanic's rules are the mechanic's own; operators may read them.")
    if caller.subject != str(mechanic_id):
        raise not_found("mechanic")


def _found(row: T | None) -> T:
    if row is None:
        raise not_found("mechanic")
    return row


def _page(rows: Sequence[dict[str, Any]], query: PeriodQuery) -> tuple[Sequence[dict[str, Any]], str | None]:
    page = rows[: query.limit]
    more = cursors.encode(page[-1]["start"], page[-1]["id"]) if len(rows) > query.limit else None
    return page, more


@contextmanager
def _refusals() -> Iterator[None]:
    """What only the database, or the calendar of holidays, knows."""
    try:
        yield
    except UnknownTimezone:
        raise invalid_field("body.timezone", "must be an IANA time zone such as America/Toronto") from None
    except UnknownRegion as error:
        named = ", ".join(error.known[:_MOST_PARTS_NAMED])
        remedy = f"those of the country are {named}" if named else "write a code in ISO 3166 such as CA or CA-ON"
        message = f"has no public holidays on record; {remedy}, and null takes none off"
        raise invalid_field("body.holiday_region", message) from None
    except UnknownService as error:
        message = "names no service; GET /v1/services lists them"
        raise invalid_field(f"body.services.{error.place}.service_id", message) from None


def _now() -> datetime:
    return datetime.now(UTC)
