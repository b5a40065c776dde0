"""The end of a booking: what becomes of its money, and who is told."""

from collections.abc import Mapping
from typing import Any

from pitstop.domain import notice_plan
from pitstop.domain.booking import BookingStatus
from pitstop.domain.notices import NoticeKind
from pitstop.postgres import steps
from pitstop.postgres.asking import Asked


async def settle(
    asked: Asked,
    status: BookingStatus,
    back: int,
    paid: bool,
    detail: dict[str, Any],
    told: NoticeKind | None,
    about: Mapping[str, Any] | None = None,
    invite_change: int = 0,
) -> None:
    """The booking's end: what stays of the money, what goes back, and what the customer is told (`about`)."""
    # A confirmation is of use after the session, too.
    past = (*steps.OF_ITS_TIME, *steps.OUTDATED)
    moot = past if status is BookingStatus.COMPLETED else list(NoticeKind)
    await steps.skip_notices(asked.connection, asked.booking_id, f"the booking is {status}", *moot)
    standing = [BookingStatus(asked.booking["status"])]
    kept = asked.booking["amount"] - back if paid else 0
    await steps.end(
        asked.connection,
        asked.booking_id,
        status,
        standing,
        asked.now,
        invite_change=invite_change,
        kept=kept,
        detail=asked.said | detail,
    )
    if back:
        await steps.owe_refund(asked.connection, asked.booking_id, back, status, asked.now)
    if told:
        notice = notice_plan.told_now(asked.booking_id, told, **asked.told_why | dict(about or {}))
        await steps.owe(asked.connection, asked.booking_id, notice)
