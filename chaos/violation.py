"""What a check has found, and the words that checks share."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

ENDS = frozenset(("completed", "expired", "payment_failed", "cancelled", "refunded", "no_show"))
# A booking that keeps the money: it was or will be delivered.
KEEPS_MONEY = frozenset(("confirmed", "in_progress", "completed", "no_show"))


class Violation(BaseModel):
    """`invariant`: I1 to I9 as in docs/architecture.md, `answer` for what a client was told against the contract."""

    invariant: str
    booking_id: str | None
    found: str


Found = Iterator[Violation]


def violation(invariant: str, booking: Any, found: str) -> Violation:
    return Violation(invariant=invariant, booking_id=str(booking) if booking else None, found=found)
