"""A booking's calendar entry, to be fetched."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Response

from api.callers import Reader
from api.composition import InRooms
from api.problems import Problem, not_found
from api.reading import StrictRoute
from api.routes.bookings import problems
from api.sheets import sheet_of
from pitstop.domain.booking import BookingStatus
from pitstop.gateways.invite import invite
from pitstop.gateways.wording import one_line

router = APIRouter(prefix="/v1/bookings", tags=["bookings"], route_class=StrictRoute)


@router.get(
    "/{id}/invite.ics",
    response_class=Response,
    responses={
        200: {"description": "The calendar entry as it stands.", "content": {"text/calendar": {}}},
        **problems(401, 404, 422, 503),
    },
)
async def read_invite(id: UUID, caller: Reader, rooms: InRooms) -> Response:
    """An iTIP message (RFC 5546): REQUEST while the booking stands, CANCEL once it is cancelled."""
    sheet = await sheet_of(rooms, caller, id)
    if sheet is None:
        raise not_found()
    if not sheet.was_confirmed:
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
