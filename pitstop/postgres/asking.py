"""A change that is asked for, as the transaction that decides on it has it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.caller import Role
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.course import Course
from pitstop.domain.policy import Policy, acts_for_customer
from pitstop.domain.reminder_plan import NO_TEXTS, TextRules
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection

_SQL = queries.load("changes")
# While the workshop or, on its proposal, the customer has not said yes.
UNANSWERED = ("awaiting", "proposed")


class Refused(Exception):
    """Nothing is changed; everything in the transaction is undone."""

    def __init__(self, refusal: ChangeRefusal, why: str, reason: SlotRefusal | None = None) -> None:
        super().__init__(why)
        self.refusal = refusal
        self.why = why
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Asked:
    """A change that is asked for, of a booking that this transaction has locked. `role` None: the clock asks.

    `reason`: why, in the words of whoever asks; for all who see the booking.
    """

    connection: Connection
    booking: asyncpg.Record
    role: Role | None
    wanted: dict[str, Any]
    course: Course
    now: datetime
    change_id: UUID | None = None
    texts: TextRules = NO_TEXTS
    reason: str | None = None

    @property
    def booking_id(self) -> UUID:
        id: UUID = self.booking["booking_id"]
        return id

    @property
    def policy(self) -> Policy:
        return Policy.model_validate(self.booking["policy"])

    @property
    def start(self) -> datetime:
        start: datetime = self.booking["starts_at"]
        return start

    @property
    def end(self) -> datetime:
        end: datetime = self.booking["ends_at"]
        return end

    @property
    def mechanic_id(self) -> UUID:
        id: UUID = self.booking["mechanic_id"]
        return id

    @property
    def length(self) -> timedelta:
        length: timedelta = self.booking["ends_at"] - self.booking["starts_at"]
        return length

    @property
    def for_customer(self) -> bool:
        return self.role is not None and acts_for_customer(self.role)

    @property
    def by(self) -> str:
        """Who has asked, as the timeline says it."""
        return "clock" if self.role is None else Role.CUSTOMER if self.role is Role.LINK else self.role

    @property
    def said(self) -> dict[str, Any]:
        """Who has asked, and why, as an entry of the timeline."""
        return {"by": self.by} | ({"reason": self.reason} if self.reason else {})

    @property
    def told_why(self) -> dict[str, str]:
        """What a mail adds if somebody else has changed the customer's booking."""
        return {"reason": self.reason} if self.reason and not self.for_customer else {}

    def is_in(self, *states: BookingStatus) -> bool:
        return self.booking["status"] in states

    async def note(self, event: str, **detail: Any) -> None:
        """An entry of the booking's timeline, which says who has asked, and why."""
        entry = self.said | detail
        await self.connection.execute(_SQL["note"], self.booking_id, self.now, event, entry)

    async def do(self, name: str, *arguments: Any) -> Any:
        return await self.connection.fetchval(_SQL[name], self.booking_id, *arguments)


def percent_back(asked: Asked) -> int:
    """What a customer who cancels now gets back: all while the workshop has not given its word; and never more than
    before a move of the customer's."""
    most: int = asked.booking["refund_percent_at_most"]
    if asked.booking["workshop_status"] in UNANSWERED:
        return most
    return min(asked.policy.percent_back(asked.start, asked.now), most)


def require_version(asked: Asked) -> None:
    version = asked.wanted.get("version")
    if version is not None and version != asked.booking["version"]:
        why = f"The booking has changed: its version is {asked.booking['version']}. Read it again, then decide."
        raise Refused(ChangeRefusal.VERSION_CONFLICT, why)


async def require_waiver(asked: Asked) -> None:
    """No session begins without the waiver that it needs. Signing locks the booking, too: it came before, or after."""
    if await asked.do("waiver_missing"):
        raise Refused(ChangeRefusal.WAIVER_MISSING, "The customer has not signed the waiver yet.")
