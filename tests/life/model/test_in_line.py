"""Controls of the waitlist: in each the product lacks something, and the model sees it."""

from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest

from pitstop.postgres import notices, waitlist
from tests.life.model.controls import MINUTE, NOW, Mutant, not_told_of, play_course, shows, sql
from tests.life.model.line import MISSED, OFFERED
from tests.life.model.machine import SECOND, Course
from tests.life.model.rules import Expected
from tests.life.model.waiting import Offered
from tests.life.model.whole import WholeLife

_BOOKED = timedelta(hours=48)


def _taken(course: Course, waiting: int = 1, hours: int = 0) -> tuple[WholeLife, Expected]:
    """And so many wait for it."""
    whole = cast(WholeLife, course)
    whole.somebody_books_and_pays(0, _BOOKED, False, False)
    for _ in range(waiting):
        whole.somebody_gets_in_line(0, hours)
    return whole, whole.known[-1]


def _offered(course: Course) -> None:
    """To the first, who lets it pass; then to the second, who is told, and pays."""
    whole, _ = _taken(course, 2)
    whole.somebody_cancels_it(0, "customer", NOW)
    whole.what_is_free_is_offered(False)
    whole.what_is_free_is_offered(False)
    whole.mails_go_out()
    assert [len(each.offers) for each in whole.entries] == [1, 0]
    whole.the_time_to_pay_is_over(0)
    whole.what_is_free_is_offered(False)
    whole.somebody_pays(0, "comes")
    assert [(each.status, each.missed) for each in whole.entries] == [("waiting", 1), ("fulfilled", 0)]


def _moved_away(course: Course) -> None:
    """Less than half an hour before the start it is of no use to anybody."""
    whole, booking = _taken(course)
    whole.now = booking.start - OFFERED + SECOND
    whole.somebody_cancels_it(0, "operator", NOW)
    whole.what_is_free_is_offered(True)
    assert len(whole.known) == 1


def _let_go_of(course: Course) -> None:
    """As often as one may; of more than one time that it could have, it is offered one at a time."""
    whole, _ = _taken(course, waiting=0)
    whole.a_mechanic_takes_time_off(0, "from then on", NOW)
    whole.somebody_gets_in_line(0, 3)
    whole.somebody_cancels_it(0, "operator", NOW)
    whole.a_mechanic_is_back(0)
    for _ in range(MISSED):
        whole.what_is_free_is_offered(True)
        assert isinstance(whole.known[-1], Offered)
        whole.somebody_cancels_it(0, "customer", NOW)
    whole.what_is_free_is_offered(True)
    assert (whole.entries[0].status, len(whole.known)) == ("closed", 1 + MISSED)


def _held_in_vain(course: Course) -> None:
    """Nobody tells that a hold has run out by the clock; the sweep looks."""
    whole = cast(WholeLife, course)
    whole.somebody_books(0, _BOOKED, False, False)
    whole.somebody_books_and_pays(1, _BOOKED, False, False)
    whole.known.reverse()
    whole.somebody_gets_in_line(0)
    whole.now += 20 * MINUTE
    whole.what_is_free_is_offered(True)
    assert isinstance(whole.known[-1], Offered)


def _told_late(course: Course) -> None:
    """The worker was away; the offer is over."""
    whole, _ = _taken(course)
    whole.somebody_cancels_it(0, "mechanic", NOW)
    whole.what_is_free_is_offered(False)
    whole.now += OFFERED
    whole.mails_go_out()


def _over(course: Course) -> None:
    whole, _ = _taken(course)
    whole.its_time_is_over(0)
    whole.what_is_free_is_offered(True)
    assert whole.entries[0].status == "lapsed"


_SQL = waitlist._SQL
MUTANTS: dict[str, Mutant] = {
    "what comes free is forgotten": (sql(_SQL, "oldest_freed", "ORDER BY", "WHERE FALSE ORDER BY"), _offered),
    "the last are the first": (sql(_SQL, "line", "ORDER BY e.place", "ORDER BY e.place DESC"), _offered),
    "nobody is told of an offer": (not_told_of("waitlist_offer"), _offered),
    "it is offered when there is no time to answer": (
        sql(_SQL, "fit", "+ $5::interval", "+ 0 * $5::interval"),
        _moved_away,
    ),
    "whoever has an offer gets another": (
        sql(_SQL, "line", "o.status IN ('holding', 'awaiting_payment')", "FALSE"),
        _let_go_of,
    ),
    "nobody looks for itself": (
        sql(_SQL, "look", "w.status = 'waiting'", "w.status = 'waiting' AND FALSE"),
        _held_in_vain,
    ),
    "an offer is told that is over": (
        sql(notices._SQL, "claim_notice", "AND b.hold_expires_at > $2", "AND b.hold_expires_at IS NOT NULL"),
        _told_late,
    ),
    "it waits for what is over": (sql(_SQL, "lapse", "upper(span) <= $1", "upper(span) <= $1 AND FALSE"), _over),
}


@pytest.mark.parametrize("course", [_let_go_of])
def test_what_is_rare(machine: type[Course], course: Callable[[Course], None]) -> None:
    play_course(machine, course, booked=())


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_a_guard_it_is_found(machine: type[Course], monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    shows(machine, monkeypatch, MUTANTS[mutant], booked=())
