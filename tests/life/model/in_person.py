"""A session at the workshop in plain Python: written from docs/workshops.md and docs/waiver.md.

It has a bay beside its mechanic. The workshop may want to be asked, and the customer signs a waiver before it starts.
"""

from dataclasses import dataclass
from datetime import datetime, time
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from tests.life.model.agreed import HOUR, MINUTE, Proposal, Span
from tests.life.model.rules import OF_THE_WORKSHOP, Expected

UNANSWERED = ("awaiting", "proposed")
_MORNING, _ZONE = time(8), ZoneInfo("America/Toronto")


@dataclass(slots=True)
class InPerson(Expected):
    """`minutes`: within which the workshop answers; None: it does not want to be asked. `said`: its word."""

    in_person: ClassVar[bool] = True

    minutes: int | None = None
    said: str | None = None
    until: datetime | None = None
    signed: bool = False

    @property
    def word(self) -> str | None:
        return self.said

    @property
    def answer_by(self) -> datetime | None:
        return self.until

    @property
    def is_unanswered(self) -> bool:
        return self.said in UNANSWERED

    def gives_back(self, now: datetime) -> int:
        """All while the workshop has not given its word, if no move before has made it less."""
        return self.share if self.is_unanswered else Expected.gives_back(self, now)

    def has(self, now: datetime) -> list[tuple[UUID, Span]]:
        offered = self.proposal
        return Expected.has(self, now) + (offered.held if offered is not None and offered.expires > now else [])

    def makes_way(self, mechanic: UUID, wanted: Span, now: datetime) -> None:
        Expected.makes_way(self, mechanic, wanted, now)
        if self.proposal is not None and self.proposal.expires <= now:
            self.proposal.held[:] = [
                each for each in self.proposal.held if not self._is_in_the_way(*each, mechanic, wanted)
            ]

    # The course

    def refusal(self, kind: str, role: str, now: datetime, absent: str = "customer") -> str | None:
        refused = Expected.refusal(self, kind, role, now, absent)
        if refused is not None or self.status != "confirmed":
            return refused
        if kind == "start":
            return "not_startable" if self.is_unanswered else None if self.signed else "waiver_missing"
        if kind == "no_show" and absent == "customer" and self.is_unanswered:
            return "not_absent"
        # The customer has to answer the workshop's proposal first.
        return "not_reschedulable" if kind == "propose" and self.said == "proposed" else None

    def _tells_of_payment(self, now: datetime) -> None:
        if self.minutes is None:
            self.owes("confirmation")
        else:
            self._waits_for_word(now)
            self.owes("workshop_asked")
            self.owes("workshop_request")

    def _waits_for_word(self, now: datetime) -> None:
        assert self.minutes is not None
        self.said, self.until = "awaiting", min(self.start, now + self.minutes * MINUTE)

    def _owes_reminders(self, now: datetime) -> None:
        """And what asks for the waiver: on the day at eight, an hour before the start at the latest."""
        Expected._owes_reminders(self, now)
        day = self.start.astimezone(_ZONE).date()
        asked = min(datetime.combine(day, _MORNING, _ZONE), self.start - HOUR)
        self.owes("waiver_request", self.since_move, max(now, asked))

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
        Expected.is_moved(self, start, mechanic, role, now, share)
        if self.minutes is None:
            return
        if role == "operator" if agreed is None else agreed:
            self.said, self.until = "confirmed", None
        else:
            self._is_asked_anew(change, now)

    def _is_asked_anew(self, change: UUID | None, now: datetime) -> None:
        self._waits_for_word(now)
        self.owes("workshop_request", f"{self.since_move}/{change}")

    def is_handed_over(self, mechanic: UUID, change: UUID, now: datetime) -> None:
        """The word stands as it was; what the workshop has proposed is proposed no more."""
        Expected.is_handed_over(self, mechanic, change, now)
        if self.said == "proposed":
            self._is_asked_anew(change, now)

    def _lets_go_of_lapsed(self, now: datetime) -> None:
        if self.is_unanswered and self.until is not None and self.until <= now:
            self._is_not_to_be("lapsed", "workshop_declined")
        else:
            Expected._lets_go_of_lapsed(self, now)

    def lets_go(self) -> None:
        """Whoever had to answer need not when it has ended."""
        Expected.lets_go(self)
        if self.is_unanswered and self.status not in ("awaiting_payment", "confirmed", "in_progress"):
            self.said, self.until = None, None

    # The workshop's word

    def answer_to_word(self, now: datetime) -> str | None:
        """Why the workshop cannot give it; at the last instant it can."""
        waited_for = self.status == "confirmed" and self.is_unanswered and self.until is not None and now <= self.until
        return None if waited_for else "not_awaited"

    def is_agreed(self, change: UUID) -> None:
        """The time that was booked. What was tentative in calendars is not any more."""
        self.said, self.until, self.proposal = "confirmed", None, None
        self.sequence += 1
        self._skips("proposal", *OF_THE_WORKSHOP)
        self.owes("confirmation", f"{self.since_move}/{change}")

    def is_refused(self) -> None:
        self._is_not_to_be("declined", "workshop_declined")

    def workshop_proposes(self, proposal: Proposal, change: UUID) -> None:
        """In place of what was proposed before. It is held, but for what the booking has already."""
        self.is_offered(None)
        self._skips(*OF_THE_WORKSHOP)
        self.proposal, self.said, self.until = proposal, "proposed", proposal.expires
        self.owes("workshop_proposal", f"/{change}")

    def declines(self) -> None:
        """The workshop cannot have the customer at the booked time: without another one it ends."""
        Expected.declines(self)
        if self.said == "proposed":
            self._is_not_to_be("declined", "cancellation")

    def _is_not_to_be(self, how: str, told: str) -> None:
        self.said, self.until = how, None
        self._ends("cancelled", self.amount, told)

    # Mails

    def goes_out(self, key: str, now: datetime) -> bool:
        kind = key.split("/")[1]
        stands = self.status == "confirmed"
        if kind in ("workshop_request", "workshop_asked"):
            stands = stands and self.said == "awaiting"
        elif kind == "workshop_proposal":
            stands = stands and self.said == "proposed" and self.proposal is not None and self.proposal.expires > now
        elif kind == "waiver_request":
            stands = stands and self.start > now and not self.signed
        elif kind in ("reminder", "confirmation") and stands and self.is_unanswered:
            stands = False
        else:
            return Expected.goes_out(self, key, now)
        self.mails[key] = "sent" if stands else "skipped"
        return stands
