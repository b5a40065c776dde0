"""Bookings as their pages are made from them."""

from dataclasses import replace
from typing import Any

from api.sheets import Sheet
from pitstop.domain.booking import BookingStatus
from tests.gateways.samples import VIDEO

CONFIRMED = Sheet(
    facts=replace(VIDEO, join_url="https://pitstop.example/manage/abc/join?token=x"),
    status=BookingStatus.CONFIRMED,
    hold_expires_at=None,
    was_confirmed=True,
    options=None,
    supplement=None,
    timeline=[],
    amount_awaiting_refund=0,
    immediate=False,
    checked_in_at=None,
    waiting_room_opens_at=None,
)


def sheet(of: dict[str, Any] | None = None, **changes: Any) -> Sheet:
    """A confirmed video session of 14:00 to 15:00 in Toronto; `of` changes its facts."""
    return replace(CONFIRMED, facts=replace(CONFIRMED.facts, **of or {}), **changes)
