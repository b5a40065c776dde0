"""What ought to become of a booking, in plain Python: written from the issue's words, not from the product's code."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from tests.life.model.agreed import (
    BUFFER,
    CUSTOMERS,
    GRACE,
    HOLD,
    HOUR,
    MINUTE,
    OFFSETS,
    Agreed,
    Difference,
    Flag,
    Proposal,
    Span,
    awake_after,
    blocked_by,
    meet,
    number_of,
    rounded_up,
)
from tests.life.model.refusals import REFUSALS

# Mails that tell of a word that is waited for.
OF_THE_WORKSHOP = ("workshop_request", "workshop_asked", "workshop_proposal")


@dataclass(slots=True)
class Expected:
    """A booking as it ought to stand.

    `share`: the most that still goes back; `live`: it blocks its slot; `lapses`: when its hold does. `owed`: what has
    gone back or is to, None where nothing is. `first_price`: what its own payment is over. `differences`: all that were
    ever to be paid. `proposal`: the open one.
    """

    in_person: ClassVar[bool] = False

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
    plan: str = "standard"
    differences: list[Difference] = field(default_factory=list)
    proposal: Proposal | None = None
    flags: list[Flag] = field(default_factory=list)
    first_price: int = 0
    # Whether its customer, who is far away, wants text messages; and no more of them since.
    texts: bool = False
    stopped: bool = False
    # From when on its time is free again, if it ended before its time.
    free_from: datetime | None = None

    def __post_init__(self) -> None:
        self.first_price = self.amount

    @property
    def moves(self) -> int:
        return max(len(self.starts) - 1, 0)

    @property
    def blocks(self) -> Span:
        start, end = blocked_by(self.start)
        return start, min(self.free_from or end, end)

    @property
    def place(self) -> tuple[datetime | None, UUID | None]:
        """When it is and with whom, as far as that is known."""
        return self.start, self.mechanic

    @property
    def number(self) -> str:
        """To which text messages go."""
        return number_of(self.id)

    @property
    def asked(self) -> dict[str, str | None]:
        """Which mechanics were asked to take it, and what they say."""
        return {}

    @property
    def word(self) -> str | None:
        """The workshop's."""
        return None

    @property
    def answer_by(self) -> datetime | None:
        """Until when it is waited for."""
        return None

    @property
    def turns(self) -> datetime | None:
        """When further mechanics are asked, or none any more."""
        return None

    @property
    def to_pay(self) -> Difference | None:
        return next((each for each in self.differences if each.status == "open"), None)

    @property
    def is_flagged(self) -> bool:
        return any(flag.is_open for flag in self.flags)

    @property
    def is_left_alone(self) -> bool:
        """The mechanic has not come, though the customer has; or has said that it would not."""
        return "mechanic" not in self.came and ("customer" in self.came or self.is_flagged)

    def gives_back(self, now: datetime) -> int:
        """The share of a customer who cancels: never more than before a move of the customer's."""
        return min(self.share, self.agreed.back(self.start, now))

    def has_its_own(self, now: datetime) -> bool:
        return self.live and (self.lapses is None or self.lapses > now)

    def has(self, now: datetime) -> list[tuple[UUID, Span]]:
        """The times of mechanics that nobody else can have."""
        due = self.to_pay
        own = [(self.mechanic, self.blocks)] if self.has_its_own(now) else []
        return own + ([(due.mechanic, due.blocks)] if due and due.held and due.lapses > now else [])

    def has_of(self, mechanic: UUID, now: datetime) -> list[Span]:
        return [span for whose, span in self.has(now) if whose == mechanic]

    def makes_way(self, mechanic: UUID, wanted: Span, now: datetime) -> None:
        """A hold that has run out is let go when somebody wants the time."""
        if self.live and self.lapses is not None and self.lapses <= now:
            self.live = not self._is_in_the_way(self.mechanic, self.blocks, mechanic, wanted)
        due = self.to_pay
        if due is not None and due.lapses <= now:
            due.held = due.held and not self._is_in_the_way(due.mechanic, due.blocks, mechanic, wanted)

    def _is_in_the_way(self, of: UUID, held: Span, mechanic: UUID, wanted: Span) -> bool:
        """In person it has a bay, too: both mechanics' workshop has one."""
        return (of == mechanic or self.in_person) and meet(held, wanted)

    # The course

    def is_held(self, now: datetime) -> None:
        self.status, self.live, self.lapses = "awaiting_payment", True, now + HOLD + GRACE

    def is_confirmed(self, now: datetime) -> None:
        self.status, self.session, self.live, self.lapses, self.paid = "confirmed", "scheduled", True, None, True
        self.starts = [self.start]
        self._tells_of_payment(now)
        self._owes_reminders(now)

    def _tells_of_payment(self, now: datetime) -> None:
        self.owes("confirmation")

    def has_lost_its_slot(self) -> None:
        """Paid, and somebody else has the slot."""
        self.paid, self.owed = True, self.amount

    def is_unpaid(self) -> None:
        self.status, self.live = "expired", False
        self.lets_go()

    def refusal(self, kind: str, role: str, now: datetime, absent: str = "customer") -> str | None:
        """Why it cannot be done as the booking stands, by the words of the API; None: it can, as far as that goes."""
        return REFUSALS[kind](self, role, now, absent)

    def does(self, kind: str, role: str, now: datetime, absent: str = "customer") -> None:
        if kind == "cancel":
            self._cancelled(role, now)
        elif kind == "check_in":
            self.came.add("mechanic" if role == "mechanic" else "customer")
        elif kind == "start" and self.status == "confirmed":
            self.status = self.session = "in_progress"
            self.came.add("mechanic")
            self._is_something_else()
        elif kind == "complete":
            self._over("completed", 0, now)
        elif kind == "no_show":
            self._missed(absent, now)

    def is_moved(
        self,
        start: datetime,
        mechanic: UUID,
        role: str,
        now: datetime,
        share: int | None = None,
        change: UUID | None = None,
        agreed: bool | None = None,
    ) -> None:
        """By whom. `share`: what went back when the customer asked for it, if that was before. `agreed`: the workshop
        wants it so; None: it does if an operator moves it."""
        if role in CUSTOMERS:
            self.customer_moves += 1
            self.share = min(self.share, self.gives_back(now) if share is None else share)
        self.start, self.mechanic = start, mechanic
        self.starts.append(start)
        self.sequence += 1
        self._is_something_else()
        self.owes("rescheduled", f"/move-{self.moves}")
        self._owes_reminders(now)

    def is_handed_over(self, mechanic: UUID, change: UUID, now: datetime) -> None:
        """The reminders stay: they are for this time."""
        self.mechanic, self.sequence = mechanic, self.sequence + 1
        self.lets_go()
        self._skips("handed_over", "at_risk", "proposal", "workshop_proposal")
        self.owes("handed_over", f"/{change}")

    def is_offered(self, proposal: Proposal | None, change: UUID | None = None) -> None:
        """Other times, in place of those before; None: not any more. The booking stands as it is."""
        self._skips("proposal", "workshop_proposal")
        self.proposal = proposal
        if proposal is not None:
            self.owes("proposal", f"/{change}")

    def declines(self) -> None:
        """The customer, what was proposed."""
        self.is_offered(None)

    def mechanic_is_there_after_all(self) -> None:
        for flag in self.flags:
            flag.news, flag.is_open = flag.news or flag.is_open, False

    def is_looked_at(self, now: datetime) -> None:
        """Its run reads what there is: it tells of flags, and lets go of what nobody has answered in time."""
        if self.status == "confirmed":
            self.takes_notice()
            self._lets_go_of_lapsed(now)

    def takes_notice(self) -> None:
        for flag in self.flags:
            self._is_told_of(flag)

    def _lets_go_of_lapsed(self, now: datetime) -> None:
        if self.proposal is not None and self.proposal.expires <= now:
            self.is_offered(None)

    def _is_told_of(self, flag: Flag) -> None:
        if flag.news and flag.is_open:
            self.owes("at_risk", f"/{flag.id}")
        elif flag.news and flag.noted:
            self._skips("at_risk")
            self.owes("confirmation", f"/{flag.id}")
        flag.news, flag.noted = False, flag.noted or flag.news

    def is_called_off(self, paid: bool) -> None:
        """By an operator in the engine: it ends in whatever it is, if it has not begun."""
        if self.status in ("awaiting_payment", "pending", "confirmed"):
            self.paid = self.paid or paid
            self._ends("cancelled", self.amount if self.paid else 0)

    def is_closed(self, now: datetime) -> None:
        """Its time is over, and nobody has said so."""
        if self.status == "confirmed" and self.is_left_alone:
            self._missed("mechanic", now)
        elif self.status in ("confirmed", "in_progress"):
            self._over("completed", 0, now)

    def _cancelled(self, role: str, now: datetime) -> None:
        share = self.gives_back(now) if self.status == "confirmed" and role in CUSTOMERS else 100
        self._ends("cancelled", rounded_up(self.amount * share, 100) if self.paid else 0)

    def _ends(self, status: str, back: int, tell: str = "cancellation") -> None:
        told = tell if self.session else "refund" if self.paid else None
        self.session = "cancelled" if self.session else None
        self.live, self.sequence = False, self.sequence + 1
        self._settled(status, back)
        self._skips()
        if told:
            self.owes(told)

    def _missed(self, absent: str, now: datetime) -> None:
        share = self.agreed.no_show_percent if absent == "customer" else 100
        self.absent = absent
        self._settled("no_show", rounded_up(self.amount * share, 100))
        self.session = "no_show"
        self._is_over_early(now)
        self._skips()
        self.owes("no_show")

    def _over(self, status: str, back: int, now: datetime) -> None:
        self._settled(status, back)
        self.session = "completed"
        self._is_over_early(now)
        self._is_something_else()

    def _is_over_early(self, now: datetime) -> None:
        """What was used of its time stays on record, a minute of it at least; the rest is free after the pause."""
        self.free_from = max(now, self.start + MINUTE) + BUFFER

    def _settled(self, status: str, back: int) -> None:
        self.status = status
        self.kept = self.amount - back if self.paid else 0
        self.gets_back(back)
        self.lets_go()

    def gets_back(self, amount: int) -> None:
        self.owed = (self.owed or 0) + amount or None

    def _is_something_else(self) -> None:
        """Than what it was reminded of, or told of, or what was proposed or to be paid for it."""
        self.lets_go()
        self._skips("reminder", "waiver_request", "handed_over", "at_risk", "proposal", *OF_THE_WORKSHOP)

    def lets_go(self) -> None:
        self.proposal = None
        for flag in self.flags:
            flag.news, flag.is_open = flag.news and not flag.is_open, False
        if self.to_pay is not None:
            self.to_pay.is_over("closed")

    # Mails

    def goes_out(self, key: str, now: datetime) -> bool:
        """Whether the mail that is due is sent; if not, it is skipped for good."""
        kind = key.split("/")[1]
        move = int(key.split("/move-")[1].split("/")[0]) if "/move-" in key else 0
        if kind in ("reminder", "difference_unpaid"):
            stands = self.status == "confirmed" and self.start > now and move == self.moves
        elif kind == "rescheduled":
            stands = self.status in ("confirmed", "in_progress") and move == self.moves
        elif kind == "proposal":
            stands = self.status == "confirmed" and self.proposal is not None and self.proposal.expires > now
        elif kind == "handed_over":
            stands = self.status in ("confirmed", "in_progress", "completed")
        elif kind == "at_risk":
            stands = self.status == "confirmed" and self.start > now and self.is_flagged
        elif kind == "taken":
            stands = self.status in ("in_progress", "completed")
        else:
            stands = kind != "confirmation" or self.status in ("confirmed", "in_progress", "completed")
        self.mails[key] = "sent" if stands else "skipped"
        return stands

    def is_sent(self, key: str, now: datetime) -> bool:
        """As `goes_out`: whoever has replied STOP gets no text message."""
        if self.stopped and key.endswith("/sms"):
            self.mails[key] = "skipped"
            return False
        return self.goes_out(key, now)

    def waiting(self, now: datetime) -> list[str]:
        """The mails that are to go out by now."""
        return [key for key, state in self.mails.items() if state == "pending" and (self.due[key] or now) <= now]

    def owes(self, kind: str, more: str = "", due: datetime | None = None, state: str = "pending") -> None:
        key = f"{self.id}/{kind}{more}"
        self.mails[key], self.due[key] = state, due

    @property
    def since_move(self) -> str:
        """What the keys of mails about the present time have besides."""
        return f"/move-{self.moves}" if self.moves else ""

    def _owes_reminders(self, now: datetime) -> None:
        for offset in OFFSETS:
            due = self.start - offset
            more = f"/{int(offset.total_seconds())}s{self.since_move}"
            self._owes_reminder(more, due, now)
            if self.texts:
                # The one shortly before comes at night, too.
                self._owes_reminder(f"{more}/sms", due if offset <= HOUR else awake_after(due), now)

    def _owes_reminder(self, more: str, due: datetime, now: datetime) -> None:
        self.owes("reminder", more, due, "pending" if due > now else "skipped")

    def owes_both(self, kind: str) -> None:
        """A mail, and where that is wanted a text message, at any hour."""
        self.owes(kind)
        if self.texts:
            self.owes(kind, "/sms")

    def _skips(self, *kinds: str) -> None:
        """All, where no kind is said."""
        for key, state in self.mails.items():
            if state == "pending" and (not kinds or key.split("/")[1] in kinds):
                self.mails[key] = "skipped"
