"""A booking as its customer sees it: for the page that manages it and for the calendar."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from api.composition import Rooms
from api.problems import not_found
from api.schemas import BookingOut, PaymentState
from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Caller, Role
from pitstop.domain.catalogue import SessionKind
from pitstop.domain.changes import POSSIBLE_IN, ChangeKind
from pitstop.domain.identity import invite_uid
from pitstop.domain.notices import BookingFacts, Language, join_url

_CUSTOMERS_SIDE = (Role.CUSTOMER, Role.LINK, Role.SERVICE)
# Columns of its query that are no facts of a mail's.
_OF_THE_SHEET = (
    *("status", "hold_expires_at", "was_confirmed", "options", "supplement", "timeline"),
    *("amount_awaiting_refund", "immediate", "checked_in_at", "mechanic_id"),
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """`was_confirmed`: there is a session, so that the customer has a calendar entry. `timeline` is oldest first.

    `amount_awaiting_refund`: what goes back, and has not gone yet.

    `options`: other times that are proposed, each with start, id and name of the mechanic. `supplement`: what was last
    to be paid to have it moved. `waiting_room_opens_at`: from when on the customer can come to an online session, and
    `checked_in_at` when it came; None where there is nothing to come to, and before it has come.
    """

    facts: BookingFacts
    status: BookingStatus
    hold_expires_at: datetime | None
    was_confirmed: bool
    options: list[dict[str, Any]] | None
    supplement: dict[str, Any] | None
    timeline: list[dict[str, Any]]
    amount_awaiting_refund: int
    immediate: bool
    checked_in_at: datetime | None
    waiting_room_opens_at: datetime | None
    mechanic_id: UUID | None = None

    def is_of(self, mechanic: Caller) -> bool:
        """Whether the session is this mechanic's: whoever keeps a workshop sees what others do there, too."""
        return str(self.mechanic_id) == mechanic.subject

    @property
    def in_calendars(self) -> bool:
        """Whether a copy of the session belongs into the customer's calendar, where no news of ours reaches it."""
        return self.status in (BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS) and not self.facts.is_tentative

    @property
    def is_payable(self) -> bool:
        """Whether the booking waits for money: its own, or the difference of a dearer plan."""
        differs = self.supplement is not None and self.supplement["status"] == "open"
        return self.status is BookingStatus.AWAITING_PAYMENT or differs

    def can_be_joined(self, now: datetime) -> bool:
        """Whether the customer can say now that it has come; the booking's run decides when it does (`CHECK_IN`)."""
        opens = self.waiting_room_opens_at
        return opens is not None and self.checked_in_at is None and opens <= now < self.facts.end


def manage_url(rooms: Rooms, caller: Caller, booking_id: UUID, end: datetime | None) -> str | None:
    """Whoever holds the link acts as the customer: only the customer's side is given it. An immediate session that
    nobody has taken ends soon, if it takes place."""
    return rooms.links.url(booking_id, end or datetime.now(UTC)) if caller.role in _CUSTOMERS_SIDE else None


async def booking_out(rooms: Rooms, caller: Caller, booking_id: UUID) -> BookingOut:
    """The booking with its timeline. Raises 404 for one that this caller may not see."""
    row = await rooms.desk.booking(caller, booking_id)
    if row is None:
        raise not_found()
    payment = None
    if row["payment_intent_id"]:
        payment = PaymentState(payment_intent_id=row["payment_intent_id"], status=row["payment_status"])
    supplement = _supplement(rooms, caller, row["supplement"])
    waiting_room = timedelta(seconds=rooms.settings.waiting_room_seconds)
    opens = row["start"] - waiting_room if row["start"] else None
    return BookingOut.model_validate(
        {**row, "payment": payment, "supplement": supplement, "waiting_room_opens_at": opens}
    )


def _supplement(rooms: Rooms, caller: Caller, found: dict[str, Any] | None) -> dict[str, Any] | None:
    """What is between the customer and us is no mechanic's. The secret is for who pays, as the database sees it."""
    if found is None or caller.role is Role.MECHANIC:
        return None
    payable = found["client_secret"] is not None
    return {**found, "publishable_key": rooms.settings.stripe_publishable_key if payable else None}


async def sheet_of(rooms: Rooms, caller: Caller, booking_id: UUID) -> Sheet | None:
    """None when there is no such booking that this caller may see."""
    row = await rooms.desk.sheet(caller, booking_id)
    if row is None:
        return None
    own = {name: row.pop(name) for name in _OF_THE_SHEET}
    kind, link = SessionKind(row["kind"]), manage_url(rooms, caller, booking_id, row["end"]) or ""
    facts = BookingFacts(
        **row | {"kind": kind, "language": Language(row["language"])},
        manage_url=link,
        join_url=join_url(link, kind),
        invite_uid=invite_uid(booking_id),
    )
    status = BookingStatus(own["status"])
    opens = _waiting_room(rooms, status, facts)
    return Sheet(facts=facts, waiting_room_opens_at=opens, **own | {"status": status})


def _waiting_room(rooms: Rooms, status: BookingStatus, facts: BookingFacts) -> datetime | None:
    """None for a session at a workshop, where one comes to the door, and for one that is not, or no more, to come."""
    if not facts.join_url or facts.untaken or status not in POSSIBLE_IN[ChangeKind.CHECK_IN]:
        return None
    return facts.start - timedelta(seconds=rooms.settings.waiting_room_seconds)
