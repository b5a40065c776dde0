"""A booking that stands though its mechanic will not be there by its own rules: when it is flagged, how that ends."""

from datetime import datetime, timedelta
from enum import StrEnum

from pitstop.domain.rules import ConflictReason


class Resolution(StrEnum):
    """How a flag ends. `taken_back`: the mechanic is there after all."""

    HANDED_OVER = "handed_over"
    RESCHEDULED = "rescheduled"
    CANCELLED = "cancelled"
    ENDED = "ended"
    TAKEN_BACK = "taken_back"


_AWAY = (ConflictReason.TIME_OFF, ConflictReason.OUTSIDE_HOURS)


def is_away(reason: ConflictReason, start: datetime, now: datetime, soon: timedelta) -> bool:
    """Whether a mechanic with this conflict will not be there. Offline is for now: it concerns what starts soon."""
    return reason in _AWAY or (reason is ConflictReason.OFFLINE and start <= now + soon)
