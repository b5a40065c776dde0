"""A booking's calendar entry, to be fetched or to be put into a calendar on the web."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from api.calendars import CALENDAR_LINKS, CalendarLinks
from api.callers import BookingId, Reader, forbidden
from api.composition import InRooms
from api.examples import shown
from api.problems import Problem, not_found
from api.reading import StrictRoute
from api.routes.bookings import problems
from api.sheets import sheet_of
from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Role
from pitstop.gateways.calendar_links import calendar_links
from pitstop.gateways.invite import invite
from pitstop.gateways.wording import one_line

# An immediate session that nobody has taken yet, or nobody did.
_WITHOUT_A_TIME = (BookingStatus.PENDING, BookingStatus.REFUNDED)
router = APIRouter(prefix="/v1/bookings", tags=["bookings"], route_class=StrictRoute)


@router.get(
    "/{id}/invite.ics",
    response_class=Response,
    responses={
        200: {"description": "The calendar entry as it stands.", "content": {"text/calendar": {}}},
        **problems(401, 403, 404, 422, 503),
    },
)
async def read_invite(id: BookingId, caller: Reader, rooms: InRooms) -> Response:
    """An iTIP message (RFC 5546): REQUEST while the booking stands, CANCEL once it is cancelled.

    Its status is TENTATIVE while the workshop's word is waited for. It names the customer and its mail address, so
    that it is none for the mechanic, who has a feed.
    """
    sheet = await sheet_of(rooms, caller, id)
    if sheet is None:
        raise not_found()
    if caller.role is Role.MECHANIC:
        raise forbidden("The invite is its customer's. Sessions of a mechanic are in its feed.")
    if not sheet.was_confirmed or sheet.status in _WITHOUT_A_TIME:
        raise Problem(404, "not_found", "Not found", "The booking was never confirmed, so it has no calendar entry.")
    part = invite(
        sheet.facts,
        "CANCEL" if sheet.status is BookingStatus.CANCELLED else "REQUEST",
        now=datetime.now(UTC),
        organizer_address=rooms.settings.mail_from,
        organizer_name=one_line(rooms.settings.mail_from_name),
    )
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="invite.ics"'}
    return Response(part.content, media_type=f"text/calendar; charset=utf-8; method={part.method}", headers=headers)


@router.get("/{id}/calendar-links", responses={200: shown(CALENDAR_LINKS), **problems(401, 404, 422, 503)})
async def read_calendar_links(id: BookingId, caller: Reader, rooms: InRooms, response: Response) -> CalendarLinks:
    """Links that put the session into a calendar on the web, as a copy that no later invite moves."""
    response.headers["Cache-Control"] = "no-store"
    sheet = await sheet_of(rooms, caller, id)
    if sheet is None:
        raise not_found()
    if not sheet.in_calendars:
        why = "The booking does not stand, or its workshop has not confirmed it, so it is not for a calendar."
        raise Problem(404, "not_found", "Not found", why)
    return CalendarLinks(**calendar_links(sheet.facts))
