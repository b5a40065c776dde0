"""What else becomes of a booking: it is handed over, other times are proposed, what is dearer is paid for, or not."""

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.life.model.agreed import MINUTE, Difference, Proposal
from tests.life.model.machine import IN_TIME, SECOND, SLOTS, WHICH, Course, When
from tests.life.model.rules import Expected

# Of these the later ones come first: they are more often to be had.
LATER = st.sampled_from(SLOTS[::-1])
OPTION = st.tuples(LATER, st.integers(0, 1))


class WholeCourse(Course):
    """With second mechanics, other plans and other times."""

    @rule(
        which=WHICH,
        what=st.sampled_from(["paid", "paid twice", "unheard", "over"]),
        late=st.integers(0, 5),
        slot=LATER,
        when=IN_TIME,
    )
    def a_difference_is_paid_or_not(
        self, which: int, what: str, late: int, slot: timedelta = SLOTS[-1], when: When = (None, False)
    ) -> None:
        """`late`: in time, mostly; at the end of the time, at that of the grace, or after it. `slot` and `when`: what
        somebody wants for a difference before, if nobody is to pay one yet."""
        owing = self._unsettled()
        if not owing:
            self.somebody_moves_it(which, "customer", slot, True, 1, when, "dear")
            owing = self._unsettled()
        if not owing:
            return
        booking, due = owing[which % len(owing)]
        ends = {3: due.expires, 4: due.lapses, 5: due.lapses + SECOND}.get(late, self.now)
        self.now = max(self.now, ends)
        if what == "over":
            self.now = max(self.now, due.expires if due.status == "open" else self.now)
            self._is_voided(booking, due)
        elif self.floor.till.pay(due.id, due.amount) and what != "unheard":
            for _ in range(2 if what == "paid twice" else 1):
                self._is_told_of_difference(booking, due, True)

    def _unsettled(self) -> list[tuple[Expected, Difference]]:
        """What is to be paid, and what Stripe has not been told that it is not."""
        return [(each, due) for each in reversed(self.known) for due in each.differences if not due.settled]

    @rule(
        which=WHICH,
        role=st.sampled_from(["mechanic", "operator"]),
        mechanic=st.integers(0, 1),
        stale=st.integers(0, 9),
        when=IN_TIME,
    )
    def somebody_hands_it_over(self, which: int, role: str, mechanic: int, stale: int, when: When) -> None:
        booking = self.one_that_stands(which)
        self._waits(booking, when)
        to = self.floor.mechanics[mechanic]
        expected = self._answer_to_hand_over(booking, role, to, stale == 9)
        wanted = {"mechanic_id": str(to)} | ({"version": 1} if stale == 9 else {})
        assert self._ask(booking, "hand_over", role, wanted) == expected, f"to {to} at {self.now}: {booking}"
        if expected is None and to != booking.mechanic:
            self.make_way(to, booking.start)
            booking.is_handed_over(to, self.changes_made[-1], self.now)

    def _answer_to_hand_over(self, booking: Expected, role: str, to: UUID, stale: bool) -> str | None:
        if stale and booking.status == "confirmed":
            return "version_conflict"
        if booking.status == "confirmed" and to == booking.mechanic:
            return None
        refusal = booking.refusal("hand_over", role, self.now)
        return refusal or self._answer_to_time(booking, to, booking.start)

    @rule(
        which=WHICH,
        role=st.sampled_from(["mechanic", "operator"]),
        options=st.lists(OPTION, min_size=1, max_size=2, unique=True),
        minutes=st.sampled_from([10, 180, 1440]),
        when=IN_TIME,
    )
    def somebody_proposes_times(
        self, which: int, role: str, options: list[tuple[timedelta, int]], minutes: int, when: When
    ) -> None:
        booking = self.one_that_stands(which)
        self._waits(booking, when)
        times = tuple((self.base + slot, self.floor.mechanics[mechanic]) for slot, mechanic in options)
        wanted = {"options": [sent(*each) for each in times], "expires_in_minutes": minutes}
        expected = self._answer_to_proposal(booking, role, times)
        assert self._ask(booking, "propose", role, wanted) == expected, f"{times} at {self.now}: {booking}"
        if expected is None:
            until = min(self.now + minutes * MINUTE, booking.start)
            booking.is_offered(Proposal(times, role, until), self.changes_made[-1])

    def _answer_to_proposal(
        self, booking: Expected, role: str, options: tuple[tuple[datetime, UUID], ...]
    ) -> str | None:
        if (refusal := booking.refusal("propose", role, self.now)) is not None:
            return refusal
        for start, mechanic in options:
            if (start, mechanic) == (booking.start, booking.mechanic):
                return "slot_not_offered"
            if (refusal := self._answer_to_time(booking, mechanic, start)) is not None:
                return refusal
        return None

    @rule(which=WHICH, answer=st.sampled_from(["first", "last", "other", "declines", "none"]), when=IN_TIME)
    def the_customer_answers(self, which: int, answer: str, when: When) -> None:
        """`other`: takes a time that was not offered. `none`: it lapses."""
        if not any(each.proposal for each in self.known):
            self.somebody_proposes_times(which, "operator", [(SLOTS[-1], 0), (SLOTS[-2], 1)], 180, (None, False))
        offered = [each for each in reversed(self.known) if each.proposal is not None]
        booking = offered[which % len(offered)] if offered else self.one_that_stands(which)
        self._waits(booking, when)
        if answer == "none":
            self._proposal_lapses(booking)
        elif answer == "declines":
            expected = "no_proposal" if booking.proposal is None else None
            assert self._ask(booking, "decline_proposal", "customer", {}) == expected
            booking.declines()
        else:
            self.takes(booking, *self._chosen(booking, answer))

    def _chosen(self, booking: Expected, answer: str) -> tuple[datetime, UUID]:
        if booking.proposal is None or answer == "other":
            return self.base + SLOTS[-1] + MINUTE * 15, booking.mechanic
        return booking.proposal.options[0 if answer == "first" else -1]

    def takes(self, booking: Expected, start: datetime, mechanic: UUID) -> None:
        expected = self._answer_to_taking(booking, start, mechanic)
        answer = self._ask(booking, "accept_proposal", "customer", sent(start, mechanic))
        assert answer == expected, f"{answer}, not {expected}: {start} with {mechanic} at {self.now}: {booking}"
        if expected is None and booking.proposal is not None:
            self.make_way(mechanic, start)
            held, by, change = booking.word == "proposed", booking.proposal.by, self.changes_made[-1]
            booking.is_moved(start, mechanic, by, self.now, change=change, agreed=held or by == "operator")
            if held:
                self.is_judged_anew(booking)

    def _answer_to_taking(self, booking: Expected, start: datetime, mechanic: UUID) -> str | None:
        if booking.status != "confirmed":
            return "no_proposal"
        offered = booking.proposal
        if offered is None or offered.expires <= self.now or (start, mechanic) not in offered.options:
            return "no_proposal"
        refusal = booking.refusal("accept_proposal", "customer", self.now)
        # What the workshop has proposed is held: no rule is asked again.
        return refusal or (None if booking.word == "proposed" else self._answer_to_time(booking, mechanic, start))

    def _proposal_lapses(self, booking: Expected) -> None:
        offered = booking.proposal
        self.now = max(self.now, offered.expires) if offered else self.now
        self.looks(booking)


def sent(start: datetime, mechanic: UUID) -> dict[str, str]:
    return {"start": start.isoformat(), "mechanic_id": str(mechanic)}
