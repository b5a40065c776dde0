"""Sessions at the workshop: it gives its word or proposes other times, and the customer signs before it starts."""

from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.life.model.agreed import DURATION, MINUTE, Proposal, Span, blocked_by, meet
from tests.life.model.in_person import InPerson
from tests.life.model.machine import IN_TIME, NOBODYS, SLOTS, STANDARD, STRICT, WHICH, Course, When
from tests.life.model.second_thoughts import LATER, OPTION, sent

PERIODS = (None, 120, 1440)


class AtWorkshop(Course):
    """With a bay, a word and a waiver."""

    @rule(
        mechanic=st.integers(0, 1), slot=st.sampled_from(SLOTS), minutes=st.sampled_from(PERIODS), strict=st.booleans()
    )
    def somebody_books_in_person(self, mechanic: int, slot: timedelta, minutes: int | None, strict: bool) -> None:
        self.does(self.floor.wants_to_be_asked(minutes))
        place = (self.floor.mechanics[mechanic], self.base + slot, 8900, STRICT if strict else STANDARD)
        booking = InPerson(NOBODYS, *place, minutes=minutes, texts=strict)
        if self.is_booked(booking):
            self.pays(booking)

    def _one_that_waits(self, which: int, slot: timedelta = SLOTS[-1]) -> InPerson | None:
        """One whose word is waited for; if there is none, somebody books one, if it can be had."""
        there = self._in_person("confirmed")
        if not any(each.is_unanswered for each in there):
            self.somebody_books_in_person(which % 2, slot, 120, False)
            there = self._in_person("confirmed")
        waiting = [each for each in there if each.is_unanswered] or there or self._in_person()
        return waiting[which % len(waiting)] if waiting else None

    def _in_person(self, *states: str) -> list[InPerson]:
        found = [each for each in reversed(self.known) if isinstance(each, InPerson)]
        return [each for each in found if not states or each.status in states]

    @rule(
        which=WHICH,
        answer=st.sampled_from(["yes", "yes", "no", "none"]),
        late=st.integers(0, 5),
        slot=LATER,
    )
    def the_workshop_answers(self, which: int, answer: str, late: int = 0, slot: timedelta = SLOTS[-1]) -> None:
        """`late`: 3, at the last instant; 4, after it. `none`: the time is over."""
        booking = self._one_that_waits(which, slot)
        if booking is None:
            return
        if booking.until is not None:
            ends = {3: booking.until, 4: booking.until + MINUTE}.get(late, self.now)
            self.now = max(self.now, booking.until if answer == "none" else ends)
        if answer == "none":
            self.looks(booking)
        elif answer == "yes":
            self.says_yes(booking)
        else:
            self._says_no(booking)

    @property
    def _keeper(self) -> UUID:
        """Who speaks for the workshop, also of what the other one does there."""
        return self.floor.mechanics[0]

    def says_yes(self, booking: InPerson) -> None:
        before = booking.status == "confirmed" and booking.said == "confirmed"
        expected = None if before else booking.answer_to_word(self.now)
        assert self._ask(booking, "workshop_confirm", "mechanic", {}, self._keeper) == expected, (
            f"yes at {self.now}: {booking}"
        )
        if expected is None and not before:
            booking.is_agreed(self.changes_made[-1])

    def _says_no(self, booking: InPerson) -> None:
        expected = booking.answer_to_word(self.now)
        assert self._ask(booking, "workshop_decline", "mechanic", {}, self._keeper) == expected, (
            f"no at {self.now}: {booking}"
        )
        if expected is None:
            booking.is_refused()

    @rule(
        which=WHICH,
        options=st.lists(OPTION, min_size=1, max_size=2, unique=True),
        operator=st.booleans(),
        when=IN_TIME,
    )
    def the_workshop_proposes(
        self, which: int, options: list[tuple[timedelta, int]], operator: bool, when: When = (None, False)
    ) -> None:
        booking = self._one_that_waits(which, SLOTS[0])
        if booking is None:
            return
        self._waits(booking, when)
        times = tuple((self.base + slot, self.floor.mechanics[mechanic]) for slot, mechanic in options)
        expected = self._answer_to_proposed(booking, times)
        wanted = {"options": [sent(*each) for each in times]}
        role = "operator" if operator else "mechanic"
        answer = self._ask(booking, "workshop_propose", role, wanted, self._keeper)
        assert answer == expected, f"{times} at {self.now}: {booking}"
        if expected is None:
            for time, mechanic in times:
                self.make_way(mechanic, time)
            booking.workshop_proposes(self._proposal(booking, times, role), self.changes_made[-1])

    def _proposal(self, booking: InPerson, times: tuple[tuple[datetime, UUID], ...], role: str) -> Proposal:
        """The customer has as long as the workshop had, and not beyond any of the times."""
        assert booking.minutes is not None
        expires = min(self.now + booking.minutes * MINUTE, booking.start, *(time for time, _ in times))
        return Proposal(times, role, expires, [(who, _beside(blocked_by(time), booking.blocks)) for time, who in times])

    def _answer_to_proposed(self, booking: InPerson, times: tuple[tuple[datetime, UUID], ...]) -> str | None:
        if (refusal := booking.answer_to_word(self.now)) is not None:
            return refusal
        if booking.start <= self.now:
            return "not_reschedulable"
        starts = sorted(time for time, _ in times)
        if any(later - earlier < DURATION for earlier, later in pairwise(starts)):
            return "slot_not_offered"
        for time, mechanic in times:
            if (time, mechanic) == (booking.start, booking.mechanic) or time == self.now:
                return "slot_not_offered"
            if (refusal := self._answer_to_time(booking, mechanic, time)) is not None:
                return refusal
        # It has one bay: what shares the booked time is another mechanic's to take, in another bay.
        others = (time for time, mechanic in times if mechanic != booking.mechanic)
        return "slot_unavailable" if any(meet(blocked_by(time), booking.blocks) for time in others) else None

    @rule(which=WHICH, slot=LATER)
    def the_customer_signs(self, which: int, slot: timedelta = SLOTS[-1]) -> None:
        """Again, too; what is not done at the workshop needs no signature."""
        if not self._in_person("confirmed"):
            self.somebody_books_in_person(which % 2, slot, None, False)
        booking = next(iter(self._in_person("confirmed")), None) or self.some(which)
        if booking is None:
            return
        signed = self.does(self.floor.signs(booking.id))
        if not isinstance(booking, InPerson):
            assert signed == "not_required"
        elif booking.status != "confirmed":
            assert signed == "not_signable"
        else:
            assert signed == "signed"
            booking.signed = True


def _beside(option: Span, own: Span) -> Span:
    """What of it the booking has not: both are as long, and they are not the same."""
    if not meet(option, own):
        return option
    return (option[0], own[0]) if option[0] < own[0] else (own[1], option[1])
