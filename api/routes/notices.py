"""A booking's notices, for operators: how each fares, and sending one again."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.callers import Authenticated, BookingId, forbidden
from api.composition import InRooms
from api.examples import NOTICES, shown
from api.openapi import problems
from api.problems import Problem, not_found
from api.reading import StrictRoute
from api.schemas import Sent
from pitstop.domain.caller import Caller, Role
from pitstop.domain.notices import Channel, NoticeKind
from pitstop.domain.text_messages import DeliveryStatus

router = APIRouter(prefix="/v1/bookings", tags=["notices"], route_class=StrictRoute)


class EarlierSending(BaseModel):
    sending: int
    status: Literal["sent", "skipped", "failed"]
    sent_at: datetime | None
    delivery_status: DeliveryStatus | None
    delivery_code: int | None
    delivery_at: datetime | None


class NoticeOut(BaseModel):
    key: str = Field(description="Names the notice for ever.")
    kind: NoticeKind
    channel: Channel
    status: Literal["pending", "sending", "sent", "skipped", "failed"]
    due_at: datetime | None = Field(description="null: at once.")
    attempts: int = Field(description="How often it has been tried, in all sendings.")
    sending: int = Field(description="Rises when it is sent again.")
    sent_at: datetime | None
    detail: str | None = Field(description="Why it was not sent, or what went wrong last.")
    delivery_status: DeliveryStatus | None = Field(description="Of a text message: the last that Twilio has said.")
    delivery_code: int | None = Field(description="Twilio's error, where it was not delivered.")
    delivery_at: datetime | None
    earlier: list[EarlierSending] = Field(description="What had come of it, each time that it was sent again.")


class NoticePage(BaseModel):
    items: list[NoticeOut]
    next_cursor: None = None


class ResendIn(Sent):
    key: str = Field(max_length=200, examples=["7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11/confirmation"])


@router.get("/{id}/notices", responses={200: shown(NOTICES), **problems(401, 403, 404, 422, 503)})
async def list_notices(id: BookingId, caller: Authenticated, rooms: InRooms) -> NoticePage:
    """Every mail and text message that is owed, sent, or was deliberately not sent. For operators."""
    _only_operators(caller)
    rows = await rooms.board.notices(caller, id)
    if rows is None:
        raise not_found()
    return NoticePage(items=[NoticeOut.model_validate(row) for row in rows])


@router.post(
    "/{id}/notices/resend",
    status_code=202,
    responses={202: shown(NOTICES), **problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503)},
)
async def resend_notice(id: BookingId, sent: ResendIn, caller: Authenticated, rooms: InRooms) -> NoticePage:
    """Sends a notice again that was sent, failed or skipped, if it still holds.

    A reminder whose session has begun, or a text message to somebody who has replied STOP, is skipped again. 409
    `notice_pending`: it has not been sent yet. It goes out at its time, or is being tried; its run is told to look.
    """
    _only_operators(caller)
    resent = await rooms.board.resend(caller, id, sent.key)
    if resent is None:
        raise not_found("notice")
    standing, again = resent
    await rooms.engine.tell_notices_owed(standing)
    page = NoticePage(items=[NoticeOut.model_validate(row) for row in await rooms.board.notices(caller, id) or []])
    if not again:
        raise _pending(next(each for each in page.items if each.key == sent.key))
    return page


def _pending(notice: NoticeOut) -> Problem:
    if notice.attempts:
        tried = f"It is being tried, {notice.attempts} times so far" + (f": {notice.detail}" if notice.detail else "")
        how = f"{tried}. It goes on by itself; send it again once it is sent or failed."
    elif notice.due_at is not None and notice.due_at > datetime.now(UTC):
        how = f"It goes out by itself at {notice.due_at:%Y-%m-%d %H:%M:%S} UTC. Send it again after that."
    else:
        how = "It is about to be sent. Look at the notices again in a minute."
    return Problem(409, "notice_pending", "It has not been sent yet", how)


def _only_operators(caller: Caller) -> None:
    if caller.role is not Role.OPERATOR:
        raise forbidden("Notices are looked after by operators.")
