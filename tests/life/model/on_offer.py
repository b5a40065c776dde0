"""Immediate sessions: somebody wants one now, mechanics are asked in waves, one of them takes it, or nobody does."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.life.model.at_once import AtOnce, Crew
from tests.life.model.machine import NOBODYS, SECOND, STANDARD, STRICT, WHICH, Course
from tests.life.model.rules import Expected
from tests.life.model.shop_floor import Place

# Where a customer is, and how far that is from the mechanics of the shop: the first is downtown, the other not.
PLACES: list[tuple[Place, tuple[int, int]]] = [
    (("CA", "Toronto", "M5V 2T6"), (0, 1)),
    (("CA", "Toronto", "M4C 1A1"), (1, 0)),
    (("CA", "Ottawa", "K1A 0A1"), (2, 2)),
    (("US", "Buffalo", "14201"), (3, 3)),
]
_NOBODY = 2


class OnOffer(Course):
    """Sessions without a time."""

    @rule(
        preferred=st.integers(0, _NOBODY),
        place=st.integers(0, len(PLACES) - 1),
        strict=st.booleans(),
        paid=st.sampled_from([True, True, True, False]),
    )
    def somebody_wants_it_at_once(self, preferred: int, place: int, strict: bool, paid: bool = True) -> None:
        who = None if preferred == _NOBODY else self.floor.mechanics[preferred]
        (where, far), agreed = PLACES[place], STRICT if strict else STANDARD
        distance = dict(zip(self.floor.mechanics, far, strict=True))
        nobody = (NOBODYS, self.floor.mechanics[0], self.now, 8900, agreed)
        booking = AtOnce(*nobody, texts=strict, preferred=who, distance=distance)
        id = self.does(self.floor.hold_at_once(booking, who, where, self.now))
        assert id is not None
        booking.id = id
        booking.is_wanted(self.now)
        self.known.append(booking)
        if paid:
            assert self.floor.till.pay(booking.id, booking.amount)
            self._is_told_of_payment(booking)

    def _is_told_of_payment(self, booking: Expected) -> None:
        if isinstance(booking, AtOnce) and booking.status == "awaiting_payment":
            assert self.does(self.floor.confirm(booking.id, self.now))
            booking.is_paid_for(self.crew(), self.now)
        else:
            super()._is_told_of_payment(booking)

    def crew(self) -> Crew:
        online = [each for each in self.floor.mechanics if each not in self.offline]
        free = [each for each in self.floor.mechanics if self.is_free(each, self.now)]
        there = [each for each in free if self.is_there(each, self.now, SECOND)]
        return Crew(there, free, online)

    def _one_that_is_wanted(self, which: int) -> AtOnce:
        """One that nobody has yet, or had; if there is none, somebody wants one now."""
        there = [each for each in reversed(self.known) if isinstance(each, AtOnce)]
        pending = [each for each in there if each.status == "pending"] or there
        if not pending:
            self.somebody_wants_it_at_once(which % 3, which, False)
            return self._one_that_is_wanted(which)
        return pending[which % len(pending)]

    @rule(which=WHICH, mechanic=st.integers(0, 1), later=st.sampled_from([0, 0, 0, 59, 60, 599, 600]))
    def a_mechanic_takes_it(self, which: int, mechanic: int, later: int = 0) -> None:
        """`later`: so many seconds; at the last of them the search is over."""
        booking, who = self._one_that_is_wanted(which), self.floor.mechanics[mechanic]
        self.now += later * SECOND
        expected = booking.answer_to(who, self.crew(), self.now)
        answer = self._ask(booking, "accept", "mechanic", {}, who)
        assert answer == expected, f"{who} at {self.now}: {booking}"
        if expected is None and not booking.is_taken:
            self.make_way(who, self.now)
            booking.is_taken_by(who, self.now)

    @rule(which=WHICH, mechanic=st.integers(0, 1))
    def a_mechanic_says_no(self, which: int, mechanic: int) -> None:
        booking, who = self._one_that_is_wanted(which), self.floor.mechanics[mechanic]
        expected = booking.answer_to_no(who, self.now)
        assert self._ask(booking, "decline_offer", "mechanic", {}, who) == expected, f"{who}: {booking}"
        if expected is None:
            booking.is_declined_by(who, self.crew(), self.now)

    @rule(which=WHICH, ends=st.booleans())
    def the_search_goes_on(self, which: int, ends: bool) -> None:
        """Until the next are asked, or the time for that is over."""
        booking = self._one_that_is_wanted(which)
        if booking.turns is not None:
            self.now = max(self.now, booking.start if ends else booking.turns)
        self.does(self.floor.offer(booking.id, self.now))
        if booking.status == "pending":
            booking.search_goes_on(self.crew(), self.now)
