"""Customers, mechanics, operators, Stripe and the clock, at random: what the steps do is what the rules say."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pitstop.audit.ports import Records
from tests.life.model import prices
from tests.life.model.agreed import DURATION, Agreed, Away, Difference, Flag, blocked_by, meet
from tests.life.model.prices import PLANS, Wish
from tests.life.model.rules import Expected
from tests.life.model.seen import audited, difference
from tests.life.model.shop_floor import MOMENTS, Floor

Answer = TypeVar("Answer")
SECOND = timedelta(seconds=1)
STANDARD = Agreed(((1440, 100), (120, 50)), 120, 5, 0, 10)
STRICT = Agreed(((2880, 100), (360, 33), (0, 10)), 360, 1, 25, 0)
# By which whatever is sold anew is sold.
ANEW = Agreed(((1440, 100), (90, 40)), 90, 3, 5, 5)
NOBODYS = UUID(int=0)
_OPEN = ("awaiting_payment", "pending", "confirmed", "in_progress")
_OF_MECHANICS = ("cancel", "check_in", "start", "complete", "no_show", "reschedule", "hand_over", "propose")
SLOTS = [timedelta(minutes=minutes) for minutes in (0, 60, 75, 150, 1440, 1500, 2880, 4320, 5760, 7200)]
WHICH = st.integers(0, 3)
# How far from the booking's start, and whether a second earlier; mostly at once.
When = tuple[timedelta | None, bool]
_MOMENT = st.one_of(st.none(), st.sampled_from(MOMENTS))
WHEN = st.tuples(_MOMENT, st.booleans())
_WHEN_IT_BEGINS = st.sampled_from([moment for moment in MOMENTS if abs(moment) <= timedelta(hours=2)])
# Seldom too late, and as often at once as when less or nothing would go back.
_BEFORE = st.sampled_from([moment for moment in MOMENTS if moment <= timedelta(hours=-2)])
IN_TIME = st.tuples(st.one_of(st.none(), _BEFORE, _BEFORE, _MOMENT), st.booleans())
WHEN_IT_BEGINS = st.tuples(st.one_of(st.none(), _WHEN_IT_BEGINS), st.booleans())


class Course(RuleBasedStateMachine):
    """Each example has a shop of its own. `now` is the moment of every run: none is before another."""

    run_in: ClassVar[Callable[[Awaitable[Any]], Any]]
    opens: ClassVar[Callable[[Agreed], Awaitable[Floor]]]
    records: ClassVar[Records]

    def __init__(self) -> None:
        super().__init__()
        self.known: list[Expected] = []
        self.away: list[Away] = []
        self.offline: set[UUID] = set()
        self.changes_made: list[UUID] = []
        self.last: tuple[Expected, UUID, str | None] | None = None
        today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        self.base = today + timedelta(days=5)
        self.now = self.base - timedelta(days=3)

    def does(self, awaitable: Awaitable[Answer]) -> Answer:
        answer: Answer = type(self).run_in(awaitable)
        return answer

    def some(self, which: int, *states: str) -> Expected | None:
        """One of the bookings in these states, the newest first."""
        there = [each for each in reversed(self.known) if not states or each.status in states]
        return there[which % len(there)] if there else None

    def one_that_stands(self, which: int) -> Expected:
        """One that is confirmed and still to come; if there is none any more, somebody books one of some later week."""
        there = [each for each in reversed(self.known) if each.status == "confirmed" and each.start > self.now]
        if there:
            return there[which % len(there)]
        self.base = (self.now + timedelta(days=4)).replace(hour=12, minute=0, second=0, microsecond=0)
        self.somebody_books_and_pays(0, SLOTS[0], False, False)
        return self.known[-1]

    def is_free(
        self, mechanic: UUID, start: datetime, but: Expected | None = None, in_person: bool | None = None
    ) -> bool:
        """Whether nobody but this booking has the mechanic then, nor the workshop's one bay if it needs that."""
        bay = but is not None and but.in_person if in_person is None else in_person
        others = [each for each in self.known if each is not but]
        taken = (
            span
            for each in others
            for whose, span in each.has(self.now)
            if whose == mechanic or (bay and each.in_person)
        )
        return not any(meet(span, blocked_by(start)) for span in taken)

    def is_there(self, mechanic: UUID, start: datetime, length: timedelta = DURATION) -> bool:
        """Whether a session could be booked with the mechanic then, as far as the mechanic wants."""
        away = (each for each in self.away if each.mechanic == mechanic)
        return mechanic not in self.offline and not any(meet(each.span, (start, start + length)) for each in away)

    def make_way(self, mechanic: UUID, start: datetime) -> None:
        """Holds that have run out are let go when somebody else wants the time."""
        for each in self.known:
            each.makes_way(mechanic, blocked_by(start), self.now)

    # What happens

    @initialize(strict=st.tuples(st.booleans(), st.booleans()))
    def a_shop_opens_and_has_bookings(self, strict: tuple[bool, ...]) -> None:
        """One of each mechanic, as far as they are said."""
        self.floor = self.does(type(self).opens(ANEW))
        for mechanic, (slot, is_strict) in enumerate(zip(SLOTS[:5:4], strict, strict=False)):
            self.somebody_books_and_pays(mechanic, slot, is_strict, is_strict)

    @rule(mechanic=st.integers(0, 1), slot=st.sampled_from(SLOTS), cheap=st.booleans(), strict=st.booleans())
    def somebody_books(self, mechanic: int, slot: timedelta, cheap: bool, strict: bool) -> None:
        who, start = self.floor.mechanics[mechanic], self.base + slot
        agreed = STRICT if strict else STANDARD
        self.is_booked(Expected(NOBODYS, who, start, 999 if cheap else 8900, agreed, texts=strict))

    def is_booked(self, booking: Expected) -> bool:
        """Whether it has its slot."""
        who, start = booking.mechanic, booking.start
        free = self.is_free(who, start, in_person=booking.in_person)
        may = start >= self.now and free and self.is_there(who, start)
        got = self.does(self.floor.hold(booking, self.now))
        self.make_way(who, start)
        assert (got is not None) == may, f"held: {got is not None}, to be held: {may}"
        if got is not None:
            booking.id = got
            booking.is_held(self.now)
            self.known.append(booking)
        return may

    def pays(self, booking: Expected) -> None:
        assert self.floor.till.pay(booking.id, booking.amount)
        self._is_told_of_payment(booking)

    @rule(mechanic=st.integers(0, 1), slot=st.sampled_from(SLOTS), cheap=st.booleans(), strict=st.booleans())
    def somebody_books_and_pays(self, mechanic: int, slot: timedelta, cheap: bool, strict: bool) -> None:
        before = len(self.known)
        self.somebody_books(mechanic, slot, cheap, strict)
        if len(self.known) > before:
            self.pays(self.known[-1])

    @rule(which=WHICH, event=st.sampled_from(["comes", "is late", "comes twice"]))
    def somebody_pays(self, which: int, event: str) -> None:
        booking = self.some(which, "awaiting_payment")
        if booking is None or booking.owed or not self.floor.till.pay(booking.id, booking.amount):
            return
        for _ in range({"comes": 1, "is late": 0, "comes twice": 2}[event]):
            self._is_told_of_payment(booking)

    @rule(which=WHICH)
    def the_news_of_a_payment_comes(self, which: int) -> None:
        """Late, or once more."""
        booking = self.some(which)
        if booking is not None and self.floor.till.intents[booking.id] == "succeeded":
            self._is_told_of_payment(booking)

    @rule(which=WHICH, rivals=st.booleans())
    def somebody_pays_too_late(self, which: int, rivals: bool) -> None:
        """When the hold has lapsed, and perhaps a rival has the slot."""
        booking = self.some(which, "awaiting_payment")
        if booking is None or booking.owed or booking.lapses is None:
            return
        self.now = max(self.now, booking.lapses)
        if rivals and None not in booking.place:
            self.somebody_books_and_pays(
                self.floor.mechanics.index(booking.mechanic), booking.start - self.base, False, False
            )
        if self.floor.till.pay(booking.id, booking.amount):
            self._is_told_of_payment(booking)

    @rule(which=WHICH)
    def the_time_to_pay_is_over(self, which: int) -> None:
        booking = self.some(which, "awaiting_payment")
        if booking is None or booking.owed:
            return
        if self.floor.till.void(booking.id):
            self._is_told_of_payment(booking)
        else:
            self.does(self.floor.close_unpaid(booking.id, self.now))
            booking.is_unpaid()

    def _is_told_of_payment(self, booking: Expected) -> None:
        if booking.status.startswith("awaiting") and not booking.owed:
            retaken = self.now < booking.start and self._could_have(booking, booking.mechanic, booking.start)
            self.make_way(booking.mechanic, booking.start) if not booking.live else None
            kept = booking.live or retaken
            assert self.does(self.floor.confirm(booking.id, self.now)) == kept
            booking.is_confirmed(self.now) if kept else booking.has_lost_its_slot()
        else:
            self.does(self.floor.confirm(booking.id, self.now))

    def _could_have(self, booking: Expected, mechanic: UUID, start: datetime) -> bool:
        return self.is_free(mechanic, start, booking) and self.is_there(mechanic, start)

    @rule(
        which=WHICH,
        role=st.sampled_from(["customer", "operator", "service"]),
        slot=st.sampled_from(SLOTS),
        other=st.booleans(),
        stale=st.integers(0, 9),
        when=IN_TIME,
        plan=st.sampled_from([None, None, "cheap", "dear", *PLANS]),
        waive=st.booleans(),
    )
    def somebody_moves_it(
        self,
        which: int,
        role: str,
        slot: timedelta,
        other: bool,
        stale: int,
        when: When,
        plan: str | None = None,
        waive: bool = False,
    ) -> None:
        booking = self.one_that_stands(which) if plan else self.some(which, "confirmed") or self.some(which)
        if booking is None:
            return
        self._waits(booking, when)
        mechanic = self.floor.mechanics[0 if other else -1] if role == "operator" else booking.mechanic
        wish = Wish(self.base + slot, mechanic, plan, waive)
        wanted = {"start": wish.start.isoformat(), "mechanic_id": str(mechanic), "waive_difference": waive}
        wanted |= {"plan_id": str(self.floor.premises.plan(plan, booking.in_person))} if plan else {}
        time = self._answer_to_time(booking, mechanic, wish.start)
        is_stale = stale == 9 and booking.status == "confirmed"
        expected = "version_conflict" if is_stale else prices.answer_to_move(booking, wish, role, self.now, time)
        answer = self._ask(booking, "reschedule", role, wanted | ({"version": 1} if stale == 9 else {}))
        assert answer == expected, f"{wish} by {role} at {self.now}: {booking}"
        if answer is None and not wish.is_where(booking):
            self._goes_where_it_is_wanted(booking, role, wish)

    def _goes_where_it_is_wanted(self, booking: Expected, role: str, wish: Wish) -> None:
        if not wish.is_to_be_paid(booking, role):
            self.make_way(wish.mechanic, wish.start)
            prices.moves(booking, wish, role, self.now, ANEW, self.changes_made[-1])
        elif not prices.is_asked_again(booking, wish, self.now):
            self.make_way(wish.mechanic, wish.start)
            due = prices.asks(booking, self.changes_made[-1], wish, role, self.now)
            for each in booking.differences[:-1]:
                self._is_voided(booking, each)
            assert self.does(self.floor.request(booking.id, due.id, self.now)) == due.amount

    def _is_voided(self, booking: Expected, due: Difference) -> None:
        """Nobody is to pay it any more: Stripe is told, and says whether somebody has."""
        if not due.settled:
            self._is_told_of_difference(booking, due, self.floor.till.void(due.id))

    def _is_told_of_difference(self, booking: Expected, due: Difference, paid: bool) -> None:
        self.does(self.floor.settle(booking.id, due.id, paid, self.now))
        free, before, held = self._could_have(booking, due.mechanic, due.start), due.status, due.held
        prices.hears(booking, due, paid, self.now, free, ANEW)
        if (before, due.status) == ("open", "applied"):
            self.make_way(due.mechanic, due.start)
            if held:
                self.is_judged_anew(booking)

    def is_judged_anew(self, booking: Expected) -> None:
        """At a time that was held for it: its mechanic may have taken that off, which its customer is told."""
        session = (booking.start, booking.start + DURATION)
        if any(each.mechanic == booking.mechanic and meet(each.span, session) for each in self.away):
            booking.flags.append(Flag(self.does(self.floor.open_flags([booking.id]))[booking.id]))
        booking.takes_notice()

    def _answer_to_time(self, booking: Expected, mechanic: UUID, start: datetime) -> str | None:
        if not self.is_there(mechanic, start):
            return "slot_not_offered"
        return prices.answer_to_time(start, self.now, self.is_free(mechanic, start, booking))

    def looks(self, booking: Expected) -> None:
        """Its run takes notice of what has happened beside it, and of what nobody has answered in time."""
        self.does(self.floor.look(booking.id, self.now))
        booking.is_looked_at(self.now)

    @rule(which=WHICH, role=st.sampled_from(["customer", "mechanic", "operator", "service"]), when=WHEN)
    def somebody_cancels_it(self, which: int, role: str, when: When) -> None:
        booking = self.some(which, *_OPEN) or self.some(which)
        if booking is None or (booking.status == "awaiting_payment" and booking.owed):
            return
        self._waits(booking, when)
        if booking.status == "awaiting_payment" and not self._has_nobody(booking, role):
            booking.paid = self.floor.till.void(booking.id)
        self._changes(booking, "cancel", role)

    @rule(
        which=WHICH,
        kind=st.sampled_from(["check_in", "start", "complete"]),
        mechanic=st.booleans(),
        when=WHEN_IT_BEGINS,
    )
    def the_session_goes_on(self, which: int, kind: str, mechanic: bool, when: When) -> None:
        booking = self.some(which, "confirmed", "in_progress") or self.some(which)
        if booking is not None:
            self._waits(booking, when)
            self._changes(booking, kind, "mechanic" if mechanic or kind != "check_in" else "customer")

    @rule(
        which=WHICH,
        role=st.sampled_from(["mechanic", "operator"]),
        absent=st.sampled_from(["customer", "mechanic"]),
        when=WHEN_IT_BEGINS,
    )
    def somebody_is_missed(self, which: int, role: str, absent: str, when: When) -> None:
        booking = self.some(which, "confirmed", "in_progress") or self.some(which)
        if booking is not None:
            self._waits(booking, when)
            self._changes(booking, "no_show", role, absent)

    def _changes(self, booking: Expected, kind: str, role: str, absent: str = "customer") -> None:
        wanted = {"absent": absent} if kind == "no_show" else {}
        nobodys = self._has_nobody(booking, role)
        expected = "not_theirs" if nobodys else booking.refusal(kind, role, self.now, absent)
        assert self._ask(booking, kind, role, wanted) == expected, f"{kind} by {role} at {self.now}: {booking}"
        if expected is None and booking.status in _OPEN:
            booking.does(kind, role, self.now, absent)

    @staticmethod
    def _has_nobody(booking: Expected, role: str) -> bool:
        """Whether no mechanic could ask: an immediate session that nobody has taken."""
        return role == "mechanic" and booking.place[1] is None

    def _ask(
        self, booking: Expected, kind: str, role: str, wanted: dict[str, Any], by: UUID | None = None
    ) -> str | None:
        """`by`: which mechanic, if not the one that has it."""
        who = str(by or booking.place[1]) if role == "mechanic" else "somebody"
        change = self.does(self.floor.ask(booking.id, kind, role, who, wanted, self.now))
        paid = booking.paid if booking.status == "awaiting_payment" and kind == "cancel" else None
        self.changes_made.append(change)
        answer = self.does(self.floor.apply(booking.id, change, self.now, paid))
        self.last = (booking, change, answer)
        return answer

    @rule(which=WHICH, kind=st.sampled_from(_OF_MECHANICS))
    def a_mechanic_asks_who_does_not_have_it(self, which: int, kind: str) -> None:
        """Any more: it was handed over, or moved, in that moment."""
        booking = self.some(which)
        if booking is not None:
            [other, *_] = [each for each in self.floor.mechanics if each != booking.place[1]]
            assert self._ask(booking, kind, "mechanic", {}, other) == "not_theirs", f"{kind} by {other}: {booking}"

    @precondition(lambda self: self.last is not None)
    @rule()
    def the_answer_was_lost_and_it_is_applied_again(self) -> None:
        assert self.last is not None
        booking, change, answer = self.last
        assert self.does(self.floor.apply(booking.id, change, self.now)) == answer

    @rule(which=WHICH)
    def an_operator_calls_the_run_off(self, which: int) -> None:
        booking = self.some(which, "awaiting_payment", "pending", "confirmed")
        if booking is None or (booking.status == "awaiting_payment" and booking.owed):
            return
        paid = booking.status in ("pending", "confirmed") or self.floor.till.void(booking.id)
        self.does(self.floor.saga.call_off(booking.id, paid, "called_off", self.now))
        booking.is_called_off(paid)

    @rule(which=WHICH)
    def its_time_is_over(self, which: int) -> None:
        booking = self.some(which, "confirmed", "in_progress")
        if booking is not None:
            self.now = max(self.now, booking.start + DURATION)
            self.does(self.floor.close(booking.id, self.now))
            booking.is_closed(self.now)

    @rule(which=WHICH, answer_lost=st.booleans())
    def what_is_owed_goes_back(self, which: int, answer_lost: bool) -> None:
        owing = [each for each in self.known if each.owed]
        if not owing:
            return
        booking = owing[which % len(owing)]
        reason = "slot_gone" if booking.status == "awaiting_payment" else None
        self.does(self.floor.refund(booking.id, reason, self.now, answer_lost=answer_lost))
        if booking.status == "awaiting_payment" and not answer_lost:
            booking.status, booking.kept, booking.live = "refunded", 0, False
            booking.lets_go()
            booking.owes("refund")

    @rule()
    def mails_go_out(self) -> None:
        for booking in self.known:
            for key in booking.waiting(self.now):
                assert self.does(self.floor.send(key, self.now)) == booking.is_sent(key, self.now), key
                assert not self.does(self.floor.send(key, self.now)), "it went out twice"

    @rule(which=WHICH, when=WHEN)
    def time_passes(self, which: int, when: When) -> None:
        booking = self.some(which, *_OPEN)
        if booking is not None:
            self._waits(booking, when)

    def _waits(self, booking: Expected, when: When) -> None:
        """Until something changes for the booking, or the second before that; no clock goes back."""
        moment, a_moment_before = when
        if moment is not None:
            due = booking.lapses if booking.lapses is not None else booking.start + moment
            self.now = max(self.now, due - SECOND * a_moment_before)

    # What has to hold

    @invariant()
    def everything_is_as_it_ought_to_be(self) -> None:
        there = self.does(self.floor.stand([booking.id for booking in self.known])) if self.known else {}
        for booking in self.known:
            differs = difference(there[booking.id], booking)
            assert not differs, differs

    @invariant()
    def nobody_has_anothers_time(self) -> None:
        if self.known:
            assert self.does(self.floor.overlaps(self.now)) == 0

    def teardown(self) -> None:
        if self.known:
            found = self.does(audited(type(self).records, self.floor.till, self.known))
            assert not found, found


def runner() -> asyncio.Runner:
    return asyncio.Runner()
