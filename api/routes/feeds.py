"""A mechanic's calendar to subscribe to, and its address."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from api import budgets
from api.addresses import ClientAddress
from api.calendars import CALENDAR, FEED, FeedAddress
from api.callers import Authenticated, forbidden
from api.composition import InRooms, Rooms
from api.examples import shown
from api.openapi import problems
from api.problems import not_found
from api.reading import StrictRoute
from api.routes.mechanics import Id
from pitstop.domain.caller import Caller, Role
from pitstop.domain.feeds import Address
from pitstop.gateways.feed import feed_calendar, feed_tag

router = APIRouter(prefix="/v1/mechanics/{id}", tags=["mechanics"], route_class=StrictRoute)
Token = Annotated[str, Query(description="The token of the feed's address.", max_length=200, examples=["AAAAAAAAQAC…"])]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        max_length=1000,
        description="The ETag of the copy that one has.",
        examples=['"6f1c0c6d2b0f4a7e9d3a5b8c1e2f4a6b"'],
    ),
]
_REFUSALS = problems(401, 403, 404, 422, 503)


@router.post("/calendar-token", status_code=201, responses={201: shown(CALENDAR), **_REFUSALS})
async def make_calendar_token(id: Id, caller: Authenticated, rooms: InRooms) -> FeedAddress:
    """A new address for the mechanic's calendar, for the mechanic and for operators. The one before opens nothing."""
    _may_have(caller, id)
    return _told(rooms, await rooms.feeds.renew(caller, id, datetime.now(UTC)))


@router.get("/calendar-token", responses={200: shown(CALENDAR), **_REFUSALS})
async def read_calendar_token(id: Id, caller: Authenticated, rooms: InRooms) -> FeedAddress:
    """The address as it stands. 404: there is none."""
    _may_have(caller, id)
    return _told(rooms, await rooms.feeds.address(caller, id))


@router.delete("/calendar-token", status_code=204, responses=_REFUSALS)
async def remove_calendar_token(id: Id, caller: Authenticated, rooms: InRooms) -> None:
    """The calendar is open to nobody, until an address is made again."""
    _may_have(caller, id)
    if not await rooms.feeds.remove(caller, id):
        raise not_found("calendar")


@router.get(
    "/calendar.ics",
    response_class=Response,
    responses={
        200: {"description": "What takes the mechanic's time.", "content": {"text/calendar": {"example": FEED}}},
        304: {"description": "It is as in the copy that one has."},
        **problems(404, 422, 503),
    },
)
async def read_calendar(
    id: Id, token: Token, rooms: InRooms, address: ClientAddress, if_none_match: IfNoneMatch = None
) -> Response:
    """For calendar programs to subscribe to: sessions that stand or have been, and time off, a year ahead.

    Of the customer it has the first word of the name. 404 for every token but the present one.
    """
    feed_id = rooms.feed_links.feed_of(id, token)
    if feed_id is None:
        await rooms.rates.spend(budgets.failures(rooms, address))
        raise not_found("calendar")
    await rooms.rates.spend(budgets.of_feed(rooms, feed_id))
    feed = await rooms.feeds.read(feed_id, id, datetime.now(UTC))
    if feed is None:
        raise not_found("calendar")
    tag = feed_tag(feed)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and _has(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    written = await asyncio.to_thread(feed_calendar, feed)  # some thousand entries take a while
    return Response(written, media_type="text/calendar; charset=utf-8", headers=headers)


def _may_have(caller: Caller, mechanic_id: UUID) -> None:
    """The database asks the same; here it is said in words."""
    if caller.role is Role.OPERATOR:
        return
    if caller.role is not Role.MECHANIC:
        raise forbidden("The address of a mechanic's calendar is for the mechanic and for operators.")
    if caller.subject != str(mechanic_id):
        raise not_found("mechanic")


def _told(rooms: Rooms, address: Address | None) -> FeedAddress:
    if address is None:
        raise not_found("calendar")
    url = rooms.feed_links.url(address.mechanic_id, address.feed_id)
    return FeedAddress(url=url, webcal_url=f"webcal://{url.partition('://')[2]}", made_at=address.made_at)


def _has(if_none_match: str, tag: str) -> bool:
    """RFC 9110, 13.1.2: compared weakly, since somebody on the way may have compressed the text."""
    named = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return tag in named or "*" in named
