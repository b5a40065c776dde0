"""The rules against the whole house: HTTP, the engine, Stripe's server, its webhooks, and mail."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.life.model import prices
from tests.life.model.agreed import DURATION, blocked_by, meet
from tests.life.model.house import LiveHouse, LiveShop
from tests.life.model.machine import STANDARD
from tests.life.model.prices import Wish
from tests.life.model.rules import Expected
from tests.support.people import Json

Answer = TypeVar("Answer")
HOUR, QUARTER, MINUTE = timedelta(hours=1), timedelta(minutes=15), timedelta(minutes=1)
SLOTS = [HOUR * hours for hours in (0, 2, 24, 26, 72)]
WHICH = st.integers(0, 2)
# Before or after the start; none so near a boundary that the seconds of a test would matter.
WHENS = st.sampled_from([None, None, -30 * HOUR, -5 * HOUR, -100 * MINUTE, -8 * MINUTE, 5 * MINUTE, 12 * MINUTE])


class Live(RuleBasedStateMachine):
    """Each example has a shop of its own. Each booking has the clock of its run."""

    run_in: ClassVar[Callable[[Awaitable[Any]], Any]]
    house: ClassVar[LiveHouse]

    def __init__(self) -> None:
        super().__init__()
        self.known: list[tuple[Expected, Json]] = []

    def does(self, awaitable: Awaitable[Answer]) -> Answer:
        answer: Answer = type(self).run_in(awaitable)
        return answer

    def some(self, which: int) -> tuple[Expected, Json] | None:
        standing = [each for each in reversed(self.known) if each[0].status in ("confirmed", "in_progress")]
        there = standing or list(reversed(self.known))
        return there[which % len(there)] if there else None

    def is_free(self, mechanic: UUID, start: datetime, but: Expected | None = None) -> bool:
        others = [each for each, _ in self.known if each is not but]
        taken = (span for each in others for span in each.has_of(mechanic, each.start))
        return not any(meet(span, blocked_by(start)) for span in taken)

    @initialize(news=st.sampled_from(["come", "drop", "duplicate"]))
    def a_shop_opens_and_has_a_booking(self, news: str) -> None:
        self.shop: LiveShop = self.does(type(self).house.shop())
        self.base = self.shop.shop.start(days=4)
        self.somebody_books(HOUR * 0, 0, news)

    @rule(slot=st.sampled_from(SLOTS), mechanic=st.integers(0, 1), news=st.sampled_from(["come", "drop", "duplicate"]))
    def somebody_books(self, slot: timedelta, mechanic: int, news: str) -> None:
        start, whose = self.base + slot, self.shop.mechanics[mechanic]
        booking = self.does(self.shop.book(start, whose))
        assert (booking is not None) == self.is_free(whose, start)
        if booking is None:
            return
        model = Expected(UUID(booking["id"]), whose, start, 8900, STANDARD)
        self.does(self.shop.pay(booking, news))
        now = self.does(self.shop.now(booking))
        model.is_held(now)
        model.is_confirmed(now)
        self.known.append((model, booking))
        self._mails_go_out(model, now)

    @rule(
        which=WHICH,
        slot=st.sampled_from(SLOTS),
        who=st.sampled_from(["customer", "operator"]),
        when=WHENS,
        plan=st.sampled_from([None, "cheap", "dear"]),
        waive=st.booleans(),
        then=st.sampled_from(["come", "drop", "lapses", "cancelled", "replaced"]),
    )
    def somebody_moves_it(
        self, which: int, slot: timedelta, who: str, when: timedelta | None, plan: str | None, waive: bool, then: str
    ) -> None:
        """`then`: what becomes of a difference, if one is to be paid."""
        found = self._at(which, when)
        if found is None:
            return
        model, booking, now = found
        wish = Wish(self.base + slot, model.mechanic, plan, waive and who == "operator")
        if not self._asks_to_move(model, booking, who, wish, now) or wish.is_where(model):
            return
        if wish.is_to_be_paid(model, who):
            self._is_to_be_paid(model, booking, wish, who, now, then)
        else:
            prices.moves(model, wish, who, now, STANDARD)
            self._mails_go_out(model, now)

    def _asks_to_move(self, model: Expected, booking: Json, who: str, wish: Wish, now: datetime) -> bool:
        """Whether it is granted."""
        sent: Json = {"start": wish.start.isoformat()}
        sent |= {"plan_id": str(self.shop.plans[wish.plan])} if wish.plan else {}
        sent |= {"waive_difference": True} if wish.waive else {}
        time = prices.answer_to_time(wish.start, now, self.is_free(model.mechanic, wish.start, model))
        wanted = prices.answer_to_move(model, wish, who, now, time)
        got = self.does(self.shop.ask(booking, who, "reschedule", sent))
        assert got == wanted, f"{who}: {wish} at {now}: {model}"
        return got is None

    def _is_to_be_paid(self, model: Expected, booking: Json, wish: Wish, who: str, now: datetime, then: str) -> None:
        """Nobody else gets the time meanwhile, and the booking stands as it is."""
        due = self.does(self.shop.difference(booking))
        asked = prices.asks(model, UUID(due["id"]), wish, who, now)
        assert (due["status"], due["amount"]) == ("open", asked.amount)
        assert self.does(self.shop.book(wish.start, wish.mechanic)) is None
        if then in ("come", "drop"):
            self.does(self.shop.pay_difference(booking, due, then))
            self._is_settled(model, paid=True, now=asked.expires if then == "drop" else now)
        elif then == "cancelled":
            self._asks(model, booking, who, "cancel", now)
            self.does(self.shop.is_voided(booking, due))
        elif then == "replaced" and self._asks_to_move(
            model, booking, who, other := replace(wish, start=wish.start + QUARTER), now
        ):
            self.does(self.shop.is_voided(booking, due))
            self._is_to_be_paid(model, booking, other, who, now, "come")
        else:
            self.does(self.shop.let_lapse(booking, due))
            self._is_settled(model, paid=False, now=asked.expires)

    def _is_settled(self, model: Expected, *, paid: bool, now: datetime) -> None:
        self._mails_go_out(model, now)
        prices.hears(model, model.differences[-1], paid, now, True, STANDARD)
        self._mails_go_out(model, now)

    @rule(
        which=WHICH,
        deed=st.sampled_from(
            [
                ("customer", "cancel"),
                ("mechanic", "cancel"),
                ("customer", "check_in"),
                ("mechanic", "start"),
                ("mechanic", "complete"),
                ("mechanic", "no_show"),
                ("operator", "no_show"),
            ]
        ),
        absent=st.sampled_from(["customer", "mechanic"]),
        when=WHENS,
    )
    def somebody_asks(self, which: int, deed: tuple[str, str], absent: str, when: timedelta | None) -> None:
        found = self._at(which, when)
        if found is None:
            return
        (model, booking, now), (who, what) = found, deed
        self._asks(model, booking, who, what, now, absent)

    def _asks(
        self, model: Expected, booking: Json, who: str, what: str, now: datetime, absent: str = "customer"
    ) -> None:
        wanted = model.refusal(what, who, now, absent)
        whoever = model.mechanic if who == "mechanic" else who
        got = self.does(self.shop.ask(booking, whoever, what, {"absent": absent} if what == "no_show" else {}))
        assert got == wanted, f"{what} by {who} at {now}: {model}"
        if got is None and model.status in ("confirmed", "in_progress"):
            model.does(what, who, now, absent)
            self._mails_go_out(model, now)

    @rule(which=WHICH)
    def its_time_is_over(self, which: int) -> None:
        found = self.some(which)
        if found is None or found[0].status not in ("confirmed", "in_progress"):
            return
        model, booking = found
        self.does(self.shop.to_the_end(booking))
        self._mails_go_out(model, model.start)
        model.is_closed(model.start + DURATION + 30 * MINUTE)
        self._mails_go_out(model, model.start + DURATION + 30 * MINUTE)

    def _at(self, which: int, when: timedelta | None) -> tuple[Expected, Json, datetime] | None:
        """One of the bookings, at that moment of its run, if it is still to come."""
        found = self.some(which)
        if found is None:
            return None
        model, booking = found
        if model.status not in ("confirmed", "in_progress"):
            return model, booking, model.start
        now = self.does(self.shop.now(booking))
        if when is not None and model.start + when > now:
            self.does(self.shop.forward_to(booking, model.start + when))
            now = model.start + when
            self._mails_go_out(model, now)
        return model, booking, now

    def _mails_go_out(self, model: Expected, now: datetime) -> None:
        """Those that are due by then, each in its time."""
        for key in sorted(model.waiting(now), key=lambda each: model.due[each] or now):
            model.goes_out(key, model.due[key] or now)

    @invariant()
    def everything_is_as_it_ought_to_be(self) -> None:
        for model, booking in self.known:
            seen = self.does(self.shop.seen(booking))
            there = (seen["status"], seen["start"], seen["mechanic"], seen["moves"], seen["confirmed"])
            assert there == (model.status, model.start, model.mechanic, model.moves, 1)
            money = (seen["plan"], seen["amount"], seen["back"])
            assert money == (self.shop.plans[model.plan], model.amount, model.owed or 0)
            assert seen["refunded"][0] == seen["refunded"][1] <= (model.owed or 0)

    def teardown(self) -> None:
        for model, booking in self.known:
            self.does(self.shop.has_its_mails(booking, model.mails))
        if self.known:
            self.does(type(self).house.books.agree(*(booking for _, booking in self.known)))
