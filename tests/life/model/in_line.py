"""The waitlist: somebody waits for what is taken; what comes free is offered to the first in line, once."""

from datetime import datetime
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from pitstop.domain.waitlist import Offer
from tests.life.model.agreed import HOUR, blocked_by, meet
from tests.life.model.line import OFFERED
from tests.life.model.machine import ANEW, NOBODYS, WHICH, Course
from tests.life.model.rules import Expected
from tests.life.model.waiting import Entry, Offered


class InLine(Course):
    """With those who wait."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    @rule(which=WHICH, hours=st.sampled_from([0, 0, 3]))
    def somebody_gets_in_line(self, which: int, hours: int = 0) -> None:
        """For the time of a booking, or so many hours; what could be booked at once nobody waits for."""
        booking = self.some(which, "confirmed", "awaiting_payment")
        if booking is None or None in booking.place or booking.start <= self.now:
            booking = self.one_that_stands(which)
        stands = booking.status in ("confirmed", "awaiting_payment") and None not in booking.place
        if stands and booking.start > self.now:
            span = (booking.start, booking.start + HOUR * hours)
            self._waits_in_line(Entry(NOBODYS, uuid4(), booking.mechanic, *span, len(self.entries)))

    def _waits_in_line(self, entry: Entry) -> None:
        span = (entry.since, entry.until)
        free = any(start >= self.now and self._could_be_had(entry, start) for start in entry.starts)
        id = self.does(self.floor.line.join(entry.customer, entry.mechanic, span, self.now))
        assert (id is None) == free, f"free: {free}, {span} of {entry.mechanic} at {self.now}"
        if id is not None:
            entry.id = id
            self.entries.append(entry)

    @rule(which=WHICH)
    def somebody_leaves_the_line(self, which: int) -> None:
        """What it is offered at that moment stays."""
        if self.entries:
            entry = self.entries[which % len(self.entries)]
            self.does(self.floor.line.leave(entry.customer, entry.id))
            entry.status = "left" if entry.status == "waiting" else entry.status

    @rule(which=WHICH, sweep=st.booleans())
    def somebody_gives_way(self, which: int, sweep: bool) -> None:
        """To one who waits."""
        if not any(each.status == "waiting" for each in self.entries):
            self.somebody_gets_in_line(which)
        waiting = [each for each in self.entries if each.status == "waiting"]
        if waiting:
            for booking in self._in_the_way_of(waiting[which % len(waiting)]):
                self._changes(booking, "cancel", "operator")
        self.what_is_free_is_offered(sweep)

    def _in_the_way_of(self, entry: Entry) -> list[Expected]:
        coming = [each for each in self.known if each.status == "confirmed" and each.start > self.now]
        wanted = blocked_by(entry.since)
        return [each for each in coming if each.mechanic == entry.mechanic and meet(each.blocks, wanted)]

    @rule(sweep=st.booleans())
    def what_is_free_is_offered(self, sweep: bool) -> None:
        """`sweep`: then nobody waits for what could be had. Otherwise of what has come free they are told."""
        if not self.entries:
            self.somebody_gets_in_line(0)
        self.does(self.floor.line.look(self.now, sweep))
        for entry in self.entries if sweep else ():
            entry.lapses(self.now)
        while (offer := self.does(self.floor.line.next_offer(self.now))) is not None:
            self._is_offered(offer)
        forgotten = [each for each in self.entries if sweep and self._may_have_some(each)]
        assert not forgotten, f"nobody has offered it at {self.now}: {forgotten}"

    def _is_offered(self, offer: Offer) -> None:
        [entry] = [each for each in self.entries if each.id == offer.entry_id]
        start = offer.standing.start
        assert start is not None
        assert offer.standing.mechanic_id == entry.mechanic
        assert self._may_have(entry, start), f"not to be offered {start} at {self.now}: {entry}"
        rivals = [each for each in self.entries if each.mechanic == entry.mechanic and each.wants(start)]
        assert entry is min(rivals, key=lambda each: each.place), f"not the first: {entry}"
        self.does(self.floor.hold_offer(offer, self.now))
        self.make_way(entry.mechanic, start)
        entry.offers.append(
            Offered(offer.standing.booking_id, entry.mechanic, start, 8900, ANEW, texts=True, entry=entry)
        )
        entry.offers[-1].is_held(self.now)
        self.known.append(entry.offers[-1])

    def _may_have_some(self, entry: Entry) -> bool:
        return any(self._may_have(entry, start) for start in entry.starts)

    def _may_have(self, entry: Entry, start: datetime) -> bool:
        """With time to answer."""
        return entry.wants(start) and start >= self.now + OFFERED and self._could_be_had(entry, start)

    def _could_be_had(self, entry: Entry, start: datetime) -> bool:
        return self.is_free(entry.mechanic, start) and self.is_there(entry.mechanic, start)

    @invariant()
    def everything_is_as_it_ought_to_be(self) -> None:
        """Those who wait, too."""
        super().everything_is_as_it_ought_to_be()
        if self.entries:
            seen = self.does(self.floor.line.seen(self.floor.database, [each.id for each in self.entries]))
            assert seen == {each.id: (each.status, each.missed) for each in self.entries}
