"""Hand-overs and proposals against the whole house: what is done, and who may do what afterwards."""

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.life.model.agreed import MINUTE, Proposal
from tests.life.model.live import SLOTS, WHENS, WHICH, Live
from tests.life.model.prices import answer_to_time
from tests.life.model.rules import Expected
from tests.support.people import Json

_Times = tuple[tuple[datetime, UUID], ...]


class WholeLive(Live):
    """With second mechanics and other times."""

    @rule(which=WHICH, who=st.sampled_from(["mechanic", "operator"]), when=WHENS)
    def somebody_hands_it_over(self, which: int, who: str, when: timedelta | None) -> None:
        found = self._at(which, when)
        if found is None:
            return
        model, booking, now = found
        former, whoever = model.mechanic, model.mechanic if who == "mechanic" else who
        [to] = [each for each in self.shop.mechanics if each != former]
        wanted = model.refusal("hand_over", who, now)
        wanted = wanted or answer_to_time(model.start, now, self.is_free(to, model.start, model))
        assert self.does(self.shop.ask(booking, to, "cancel", {})) == "not_found"
        got = self.does(self.shop.ask(booking, whoever, "hand_over", {"mechanic_id": str(to)}))
        assert got == wanted, f"{who} to {to} at {now}: {model}"
        if got is None:
            model.is_handed_over(to, self.does(self.shop.last_change(booking)), now)
            assert self.does(self.shop.ask(booking, former, "cancel", {})) == "not_found"
            self._mails_go_out(model, now)

    @rule(
        which=WHICH,
        who=st.sampled_from(["mechanic", "operator"]),
        options=st.lists(st.tuples(st.sampled_from(SLOTS), st.integers(0, 1)), min_size=1, max_size=2, unique=True),
        answer=st.sampled_from(["takes", "takes", "declines", "lapses", "cancelled"]),
        when=WHENS,
    )
    def somebody_proposes_times(
        self, which: int, who: str, options: list[tuple[timedelta, int]], answer: str, when: timedelta | None
    ) -> None:
        found = self._at(which, when)
        if found is None:
            return
        model, booking, now = found
        times = tuple((self.base + slot, self.shop.mechanics[mechanic]) for slot, mechanic in options)
        whoever = model.mechanic if who == "mechanic" else who
        sent = {"options": [_sent(*each) for each in times], "expires_in_minutes": 10}
        got = self.does(self.shop.ask(booking, whoever, "propose", sent))
        assert got == self._answer_to_proposal(model, who, times, now), f"{times} by {who} at {now}: {model}"
        if got is None:
            until = min(now + 10 * MINUTE, model.start)
            model.is_offered(Proposal(times, who, until), self.does(self.shop.last_change(booking)))
            self._mails_go_out(model, now)
            self._is_answered(model, booking, times[-1], answer, now)

    def _answer_to_proposal(self, model: Expected, who: str, times: _Times, now: datetime) -> str | None:
        if (refusal := model.refusal("propose", who, now)) is not None:
            return refusal
        for start, mechanic in times:
            if (start, mechanic) == (model.start, model.mechanic):
                return "slot_not_offered"
            if (refusal := answer_to_time(start, now, self.is_free(mechanic, start, model))) is not None:
                return refusal
        return None

    def _is_answered(
        self, model: Expected, booking: Json, time: tuple[datetime, UUID], answer: str, now: datetime
    ) -> None:
        """In each of the ways it is answered once: afterwards there is nothing to answer any more."""
        assert model.proposal is not None
        if answer == "takes":
            assert self.does(self.shop.ask(booking, "customer", "proposal/accept", _sent(*time))) is None
            model.is_moved(*time, model.proposal.by, now)
        elif answer == "declines":
            assert self.does(self.shop.ask(booking, "customer", "proposal/decline", {})) is None
            model.is_offered(None)
        elif answer == "lapses":
            self.does(self.shop.forward_to(booking, model.proposal.expires + MINUTE))
            now = model.proposal.expires + MINUTE
            model.is_offered(None)
        else:
            self._asks(model, booking, "operator", "cancel", now)
        self._mails_go_out(model, now)
        assert self.does(self.shop.ask(booking, "customer", "proposal/accept", _sent(*time))) == "no_proposal"


def _sent(start: datetime, mechanic: UUID) -> Json:
    return {"start": start.isoformat(), "mechanic_id": str(mechanic)}
