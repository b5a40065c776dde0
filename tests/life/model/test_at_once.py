"""Controls of immediate sessions: in each the product lacks something, and the model sees it."""

from typing import Any, cast

import pytest

from pitstop.domain.booking import BookingStatus
from pitstop.postgres import changes, offers, settling
from pitstop.postgres.asking import Asked
from tests.life.model.at_once import AtOnce
from tests.life.model.controls import HOUR, MINUTE, NOW, Mutant, instead, not_told_of, nothing, shows, sql
from tests.life.model.machine import Course
from tests.life.model.whole import WholeLife

_ANYBODY = 2


def _wanted(course: Course, preferred: int = _ANYBODY) -> tuple[WholeLife, AtOnce]:
    """Downtown, where the first mechanic is; the second one is in another part of the city."""
    whole = cast(WholeLife, course)
    whole.somebody_wants_it_at_once(preferred, 0, False)
    return whole, cast(AtOnce, whole.known[-1])


def _taken(course: Course) -> None:
    whole, booking = _wanted(course)
    whole.a_mechanic_takes_it(0, 1)
    whole.the_search_goes_on(0, False)
    whole.a_mechanic_takes_it(0, 1, 30)
    whole.a_mechanic_takes_it(0, 0)
    whole.mails_go_out()
    whole.the_session_goes_on(0, "complete", True, (30 * MINUTE, False))
    assert booking.asked == {str(whole.floor.mechanics[0]): "lapsed", str(whole.floor.mechanics[1]): "accepted"}


def _preferred(course: Course) -> None:
    """The one who is farther off is asked alone, and says no; then those who are near, and nobody twice."""
    whole, booking = _wanted(course, 1)
    whole.everything_is_as_it_ought_to_be()
    whole.a_mechanic_says_no(0, 1)
    whole.everything_is_as_it_ought_to_be()
    whole.a_mechanic_takes_it(0, 1)
    whole.a_mechanic_says_no(0, 0)
    assert booking.wave == 3


def _nobody(course: Course) -> None:
    whole, booking = _wanted(course)
    whole.the_search_goes_on(0, True)
    whole.what_is_owed_goes_back(0, False)
    whole.a_mechanic_takes_it(0, 0)
    assert (booking.status, booking.owed) == ("refunded", booking.amount)


def _late(course: Course) -> None:
    """The worker was away, and the mechanic's word and the clock's have come."""
    whole, booking = _wanted(course)
    whole.a_mechanic_takes_it(0, 0, 600)
    assert booking.status == "pending"


def _something_comes(course: Course) -> None:
    """Somebody books what would follow in the quarter of an hour after the session."""
    course.now = course.base
    whole, booking = _wanted(course, 1)
    whole.somebody_books(1, HOUR, False, False)
    whole.known.insert(0, whole.known.pop())
    whole.a_mechanic_takes_it(0, 1)
    assert booking.status == "pending"


def _called_off(course: Course) -> None:
    whole, booking = _wanted(course)
    whole.somebody_cancels_it(0, "customer", NOW)
    whole.a_mechanic_takes_it(0, 0)
    assert booking.owed == booking.amount


async def _settle_for_nothing(asked: Asked, status: BookingStatus, back: int, *more: Any) -> None:
    await settling.settle(asked, status, 0, *more)


MUTANTS: dict[str, Mutant] = {
    "whoever has not been asked takes it": (instead(offers, "_require_offered", nothing), _taken),
    "the customer is not told that it is taken": (not_told_of("taken"), _taken),
    "all are asked at once": (sql(offers._SQL, "offer_to", "taker.distance <= $3", "taker.distance <= $3 + 3"), _taken),
    "who is preferred is one of all": (
        sql(offers._SQL, "offer_to", "taker.mechanic_id = b.preferred_mechanic_id", "TRUE"),
        _preferred,
    ),
    "when nobody considers it nobody else is asked": (
        sql(offers._SQL, "somebody_considers", "SELECT EXISTS", "SELECT TRUE OR EXISTS"),
        _preferred,
    ),
    "who has said no is asked again": (
        sql(offers._SQL, "decide_offer", "SET outcome = $3", "SET outcome = NULLIF($3::text, 'declined')"),
        _preferred,
    ),
    "it is looked for without end": (instead(offers, "_give_up", nothing), _nobody),
    "what nobody has taken is kept": (instead(offers, "settle", _settle_for_nothing), _nobody),
    "it is taken after the time": (instead(offers, "_require_open", nothing), _late),
    "nothing is kept free after it": (
        sql(offers._SQL, "blocked", "b.duration_minutes + greatest", "b.duration_minutes + 0 * greatest"),
        _something_comes,
    ),
    "who calls it off pays": (instead(changes, "_percent_back", lambda asked: 50), _called_off),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_a_guard_it_is_found(machine: type[Course], monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    shows(machine, monkeypatch, MUTANTS[mutant], booked=())
