"""What ought to become of a booking, in plain Python: written from the issue's words, not from the product's code.

Amounts are minor units, instants aware. A booking's slot runs from its start for an hour, and blocks a quarter of an
hour after it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DURATION, BUFFER = HOUR, 15 * MINUTE
HOLD, GRACE = 15 * MINUTE, timedelta(seconds=30)
OFFSETS = (24 * HOUR, HOUR)
WAITING_ROOM = 15 * MINUTE
CUSTOMERS = ("customer", "service", "link")


@dataclass(frozen=True, slots=True)
class Agreed:
    """The frozen policy: `(minutes before, percent)` from the best tier to the worst."""

    tiers: tuple[tuple[int, int], ...]
    movable_minutes: int
    most_moves: int
    no_show_percent: int
    grace_minutes: int

    def back(self, start: datetime, now: datetime) -> int:
        """The share of whoever cancels at `now`: a tier's boundary is still inside it."""
        return next((share for minutes, share in self.tiers if now <= start - minutes * MINUTE), 0)

    def json(self) -> dict[str, object]:
        return {
            "refund_tiers": [{"minutes_before": minutes, "percent": share} for minutes, share in self.tiers],
            "reschedule_minutes_before": self.movable_minutes,
            "reschedule_limit": self.most_moves,
            "no_show_percent": self.no_show_percent,
            "grace_minutes": self.grace_minutes,
        }


@dataclass(slots=True)
class Expected:
    """A booking as it ought to stand.

    `share`: the most that still goes back; `live`: it blocks its slot; `lapses`: when its hold does. `owed`: what is to
    go back, None where nothing is.
    """

    id: UUID
    mechanic: UUID
    start: datetime
    amount: int
    agreed: Agreed
    status: str = "holding"
    live: bool = False
    lapses: datetime | None = None
    paid: bool = False
    owed: int | None = None
    kept: int | None = None
    share: int = 100
    sequence: int = 0
    customer_moves: int = 0
    starts: list[datetime] = field(default_factory=list)
    session: str | None = None
    absent: str | None = None
    came: set[str] = field(default_factory=set)
    mails: dict[str, str] = field(default_factory=dict)
    due: dict[str, datetime | None] = field(default_factory=dict)

    @property
    def moves(self) -> int:
        return max(len(self.starts) - 1, 0)

    @property
    def blocks(self) -> tuple[datetime, datetime]:
        return self.start, self.start + DURATION + BUFFER

    # The course

    def is_held(self, now: datetime) -> None:
        self.status, self.live, self.lapses = "awaiting_payment", True, now + HOLD + GRACE

    def is_confirmed(self, now: datetime) -> None:
        self.status, self.session, self.live, self.lapses, self.paid = "confirmed", "scheduled", True, None, True
        self.starts = [self.start]
        self._owes("confirmation")
        self._owes_reminders(now)

    def has_lost_its_slot(self) -> None:
        """Paid, and somebody else has the slot."""
        self.paid, self.owed = True, self.amount

    def is_unpaid(self) -> None:
        self.status, self.live = "expired", False

    def refusal(self, kind: str, role: str, now: datetime, absent: str = "customer") -> str | None:
        """Why it cannot be done as the booking stands, by the words of the API; None: it can, as far as that goes."""
        return _REFUSALS[kind](self, role, now, absent)

    def does(self, kind: str, role: str, now: datetime, absent: str = "customer") -> None:
        if kind == "cancel":
            self._cancelled(role, now)
        elif kind == "check_in":
            self.came.add("mechanic" if role == "mechanic" else "customer")
        elif kind == "start" and self.status == "confirmed":
            self.status = self.session = "in_progress"
            self.came.add("mechanic")
            self._skips("reminder")
        elif kind == "complete":
            self._over("completed", 0, now)
        elif kind == "no_show":
            self._missed(absent)

    def is_moved(self, start: datetime, mechanic: UUID, role: str, now: datetime) -> None:
        if role in CUSTOMERS:
            self.customer_moves += 1
            self.share = min(self.share, self.agreed.back(self.start, now))
        self.start, self.mechanic = start, mechanic
        self.starts.append(start)
        self.sequence += 1
        self._skips("reminder")
        self._owes("rescheduled", f"/move-{self.moves}")
        self._owes_reminders(now)

    def is_called_off(self, paid: bool) -> None:
        """By an operator in the engine: it ends in whatever it is, if it has not begun."""
        if self.status in ("awaiting_payment", "confirmed"):
            self.paid = self.paid or paid
            self._ends("cancelled", self.amount if self.paid else 0)

    def is_closed(self, now: datetime) -> None:
        """Its time is over, and nobody has said so."""
        if self.status == "confirmed" and self.came == {"customer"}:
            self._missed("mechanic")
        elif self.status in ("confirmed", "in_progress"):
            self._over("completed", 0, now)

    def _cancelled(self, role: str, now: datetime) -> None:
        share = 100
        if self.status == "confirmed" and role in CUSTOMERS:
            share = min(self.share, self.agreed.back(self.start, now))
        self._ends("cancelled", rounded_up(self.amount * share, 100) if self.paid else 0)

    def _ends(self, status: str, back: int) -> None:
        told = "cancellation" if self.session else "refund" if self.paid else None
        self.session = "cancelled" if self.session else None
        self.live, self.sequence = False, self.sequence + 1
        self._settled(status, back)
        self._skips()
        if told:
            self._owes(told)

    def _missed(self, absent: str) -> None:
        share = self.agreed.no_show_percent if absent == "customer" else 100
        self.absent = absent
        self._settled("no_show", rounded_up(self.amount * share, 100))
        self.session = "no_show"
        self._skips()
        self._owes("no_show")

    def _over(self, status: str, back: int, now: datetime) -> None:
        self._settled(status, back)
        self.session = "completed"
        self._skips("reminder")

    def _settled(self, status: str, back: int) -> None:
        self.status = status
        self.kept = self.amount - back if self.paid else 0
        self.owed = back or None

    # Mails

    def goes_out(self, key: str, now: datetime) -> bool:
        """Whether the mail that is due is sent; if not, it is skipped for good."""
        kind = key.split("/")[1]
        move = int(key.split("/move-")[1]) if "/move-" in key else 0
        if kind == "reminder":
            stands = self.status == "confirmed" and self.start > now and move == self.moves
        elif kind == "rescheduled":
            stands = self.status in ("confirmed", "in_progress") and move == self.moves
        else:
            stands = kind != "confirmation" or self.status in ("confirmed", "in_progress", "completed")
        self.mails[key] = "sent" if stands else "skipped"
        return stands

    def waiting(self, now: datetime) -> list[str]:
        """The mails that are to go out by now."""
        return [key for key, state in self.mails.items() if state == "pending" and (self.due[key] or now) <= now]

    def _owes(self, kind: str, more: str = "", due: datetime | None = None, state: str = "pending") -> None:
        key = f"{self.id}/{kind}{more}"
        self.mails[key], self.due[key] = state, due

    def _owes_reminders(self, now: datetime) -> None:
        for offset in OFFSETS:
            due = self.start - offset
            more = f"/{int(offset.total_seconds())}s" + (f"/move-{self.moves}" if self.moves else "")
            self._owes("reminder", more, due, "pending" if due > now else "skipped")

    def _skips(self, kind: str = "") -> None:
        for key, state in self.mails.items():
            if state == "pending" and f"/{kind}" in key:
                self.mails[key] = "skipped"


def rounded_up(amount: int, parts: int) -> int:
    return (amount + parts - 1) // parts


def _to_move(booking: Expected, role: str, now: datetime, absent: str) -> str | None:
    late = now >= booking.start
    if role in CUSTOMERS:
        late = late or now > booking.start - booking.agreed.movable_minutes * MINUTE
        late = late or booking.customer_moves >= booking.agreed.most_moves
    return "not_reschedulable" if booking.status != "confirmed" or late else None


def _to_cancel(booking: Expected, role: str, now: datetime, absent: str) -> str | None:
    if booking.status in ("awaiting_payment", "cancelled"):
        return None
    late = role in CUSTOMERS and now >= booking.start
    return "not_cancellable" if booking.status != "confirmed" or late else None


def _to_check_in(booking: Expected, role: str, now: datetime, absent: str) -> str | None:
    if booking.status not in ("confirmed", "in_progress"):
        return "not_open"
    if now < booking.start - WAITING_ROOM:
        return "too_early"
    return "not_open" if now >= booking.start + DURATION else None


def _to_start(booking: Expected, role: str, now: datetime, absent: str) -> str | None:
    if booking.status == "confirmed" and now < booking.start - WAITING_ROOM:
        return "too_early"
    return None if booking.status in ("confirmed", "in_progress") else "not_startable"


def _to_complete(booking: Expected, role: str, now: datetime, absent: str) -> str | None:
    return None if booking.status in ("in_progress", "completed") else "not_completable"


def _to_be_missed(booking: Expected, role: str, now: datetime, absent: str) -> str | None:
    if booking.status == "no_show":
        return None
    if booking.status not in ("confirmed", "in_progress"):
        return "not_absent"
    if now < booking.start + booking.agreed.grace_minutes * MINUTE:
        return "too_early"
    return "not_absent" if role == "mechanic" and absent in booking.came and absent == "customer" else None


_REFUSALS = {
    "reschedule": _to_move,
    "cancel": _to_cancel,
    "check_in": _to_check_in,
    "start": _to_start,
    "complete": _to_complete,
    "no_show": _to_be_missed,
}
