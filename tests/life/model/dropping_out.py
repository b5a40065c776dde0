"""A mechanic takes time off over a booking, or goes offline before one: it is flagged, and somebody deals with it, or
nobody does."""

from datetime import timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.life.model.agreed import DURATION, MINUTE, SOON, Away, Flag, meet
from tests.life.model.machine import IN_TIME, WHICH, Course, When
from tests.life.model.rules import Expected

# From when to when, by the start of a booking. The first two are not over it.
SPANS = {
    "until then": (timedelta(hours=-2), timedelta(0)),
    "from its end on": (DURATION, timedelta(hours=3)),
    "from then on": (timedelta(0), timedelta(hours=6)),
    "until it has begun": (timedelta(hours=-1), MINUTE),
    "for days": (timedelta(hours=-30), timedelta(hours=30)),
}


class DroppingOut(Course):
    """The mechanics' own rules change no booking, and flag those at which they will not be."""

    @rule(which=WHICH, span=st.sampled_from(list(SPANS)), when=IN_TIME, heard=st.booleans())
    def a_mechanic_takes_time_off(self, which: int, span: str, when: When, heard: bool = True) -> None:
        """`heard`: the booking's run is told at once."""
        booking = self.one_that_stands(which)
        self._waits(booking, when)
        since, until = (booking.start + each for each in SPANS[span])
        if any((each.mechanic, each.span) == (booking.mechanic, (since, until)) for each in self.away):
            return
        id = self.does(self.floor.takes_off(booking.mechanic, (since, until), self.now))
        self.away.append(Away(id, booking.mechanic, (since, until)))
        self._follows(booking.mechanic, heard)

    @rule(which=WHICH, heard=st.booleans())
    def a_mechanic_is_back(self, which: int, heard: bool = True) -> None:
        if not self.away:
            return
        away = self.away.pop(which % len(self.away))
        self.does(self.floor.is_back(away.mechanic, away.id, self.now))
        self._follows(away.mechanic, heard)

    @rule(mechanic=st.integers(0, 1), which=WHICH, when=IN_TIME, back=st.booleans())
    def a_mechanic_goes_offline(self, mechanic: int, which: int, when: When, back: bool = False) -> None:
        """Or comes online."""
        who = self.floor.mechanics[mechanic]
        if not back:
            self._waits(self.one_that_stands(which), when)
        self.does(self.floor.goes(who, back, self.now))
        (self.offline.discard if back else self.offline.add)(who)
        self._follows(who, True)

    @rule(which=WHICH, sweep=st.booleans())
    def its_run_takes_notice(self, which: int, sweep: bool) -> None:
        """Of what was put on record beside it; `sweep`: of what starts soon with somebody who is offline, too."""
        if sweep:
            self.does(self.floor.sweep(self.now))
            late = [each for each in self.known if each.status == "confirmed" and self._is_offline_soon(each)]
            self._are_flagged([each for each in late if not each.is_flagged])
        booking = self.some(which, "confirmed")
        if booking is not None:
            self.looks(booking)

    def _is_offline_soon(self, booking: Expected) -> bool:
        return booking.mechanic in self.offline and self.now < booking.start <= self.now + SOON

    def _follows(self, mechanic: UUID, heard: bool) -> None:
        """What the change of rules does to the flags of this mechanic's bookings."""
        concerned = [each for each in self.known if each.mechanic == mechanic]
        away = [each for each in concerned if self._will_be_missed(each)]
        for each in concerned:
            if each not in away:
                each.mechanic_is_there_after_all()
        coming = [each for each in away if each.status in ("awaiting_payment", "confirmed") and each.start > self.now]
        self._are_flagged([each for each in coming if not each.is_flagged])
        for each in concerned if heard else ():
            if any(flag.news for flag in each.flags):
                self.looks(each)

    def _will_be_missed(self, booking: Expected) -> bool:
        """Its time is its own, has not gone by, and its mechanic will not be there."""
        if not booking.has_its_own(self.now) or booking.start + DURATION <= self.now:
            return False
        off = (each.span for each in self.away if each.mechanic == booking.mechanic)
        session = (booking.start, booking.start + DURATION)
        offline = booking.mechanic in self.offline and booking.start <= self.now + SOON
        return offline or any(meet(span, session) for span in off)

    def _are_flagged(self, bookings: list[Expected]) -> None:
        there = self.does(self.floor.open_flags([each.id for each in bookings])) if bookings else {}
        for each in bookings:
            assert each.id in there, f"not flagged at {self.now}: {each}"
            each.flags.append(Flag(there[each.id]))
