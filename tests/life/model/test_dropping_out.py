"""Controls of mechanics who drop out: in each the product lacks something, and the model sees it."""

from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest

from pitstop.postgres import changes, flags, rules, saga, steps
from tests.life.model.controls import HOUR, MINUTE, NOW, Mutant, instead, not_told_of, play_course, shows, sql
from tests.life.model.machine import Course
from tests.life.model.rules import Expected
from tests.life.model.whole import WholeLife

_BOOKED = timedelta(hours=48)
_COME = (timedelta(0), False)


def _booked(course: Course, span: str | None = "from then on") -> tuple[WholeLife, Expected]:
    """And its mechanic takes time off."""
    whole = cast(WholeLife, course)
    whole.somebody_books_and_pays(0, _BOOKED, False, False)
    if span is not None:
        whole.a_mechanic_takes_time_off(0, span, NOW)
    return whole, whole.known[-1]


def _nobody_deals(course: Course) -> None:
    """With it: the mechanic does not come, of which it cannot accuse the customer."""
    whole, booking = _booked(course)
    assert booking.is_flagged
    whole.mails_go_out()
    whole.somebody_is_missed(0, "mechanic", "customer", (10 * MINUTE, False))
    whole.its_time_is_over(0)
    whole.what_is_owed_goes_back(0, False)
    assert (booking.status, booking.absent, booking.owed) == ("no_show", "mechanic", booking.amount)


def _comes_all_the_same(course: Course) -> None:
    whole, booking = _booked(course)
    whole.the_session_goes_on(0, "check_in", True, _COME)
    whole.its_time_is_over(0)
    assert booking.status == "completed"


def _handed_over(course: Course) -> None:
    whole, booking = _booked(course)
    whole.somebody_hands_it_over(0, "operator", 1, 1, NOW)
    whole.its_run_takes_notice(0, False)
    assert not booking.is_flagged


def _moved(course: Course) -> None:
    """Not to what is in the time off, too."""
    whole, booking = _booked(course, "for days")
    whole.somebody_moves_it(0, "operator", timedelta(hours=25), True, 1, NOW)
    assert booking.is_flagged
    whole.somebody_proposes_times(0, "mechanic", [(timedelta(hours=96), 0)], 180, NOW)
    whole.the_customer_answers(0, "first", NOW)
    assert not booking.is_flagged


def _back(course: Course) -> None:
    whole, booking = _booked(course)
    whole.mails_go_out()
    whole.a_mechanic_is_back(0)
    assert f"{booking.id}/confirmation/{booking.flags[0].id}" in booking.mails


def _beside(course: Course) -> None:
    whole, booking = _booked(course, "until then")
    whole.a_mechanic_takes_time_off(0, "from its end on", NOW)
    assert not booking.flags


def _offline(course: Course) -> None:
    """Long before nobody minds; when it comes near the sweep does."""
    whole, booking = _booked(course, None)
    whole.a_mechanic_goes_offline(0, 0, (-26 * HOUR, False))
    whole.its_run_takes_notice(0, True)
    whole.everything_is_as_it_ought_to_be()
    assert not booking.flags
    whole.time_passes(0, (-2 * HOUR, False))
    whole.its_run_takes_notice(0, True)
    assert booking.is_flagged
    whole.a_mechanic_goes_offline(0, 0, NOW, True)


async def _never(*_: object) -> bool:
    return False


MUTANTS: dict[str, Mutant] = {
    "time off flags nothing": (sql(flags._SQL, "raise_flags", "ORDER BY", "WHERE FALSE ORDER BY"), _handed_over),
    "time off beside it flags it": (
        sql(rules._SQL, "conflicts", "tstzrange(c.starts_at, c.ends_at))", "tstzrange(c.starts_at, c.ends_at, '[]'))"),
        _beside,
    ),
    "the customer is not told of it": (not_told_of("at_risk"), _handed_over),
    "nobody deals with it, and the customer pays": (instead(changes, "_is_flagged", _never), _nobody_deals),
    "who is handed it over is flagged": (
        sql(steps._FLAGS, "resolve_flags", "resolved_at IS NULL", "resolved_at IS NULL AND $2 <> 'handed_over'"),
        _handed_over,
    ),
    "what is moved stays flagged": (
        sql(steps._FLAGS, "resolve_flags", "resolved_at IS NULL", "resolved_at IS NULL AND $2 <> 'rescheduled'"),
        _moved,
    ),
    "who is back is away": (sql(flags._SQL, "take_back_flags", "resolved_at IS NULL", "FALSE"), _back),
    "nobody is told who is back": (
        sql(flags._SQL, "flags_noted", "COALESCE(noted_at, $2)", "COALESCE(noted_at, NULLIF($2::timestamptz, $2))"),
        _back,
    ),
    "offline flags whatever comes": (instead(flags, "is_away", lambda *_: True), _offline),
    "the sweep flags nothing": (sql(saga._FLAGS, "flag_offline", "NOT m.online", "NOT m.online AND FALSE"), _offline),
}


@pytest.mark.parametrize("course", [_comes_all_the_same])
def test_what_is_rare(machine: type[Course], course: Callable[[Course], None]) -> None:
    play_course(machine, course, booked=())


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_a_guard_it_is_found(machine: type[Course], monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    shows(machine, monkeypatch, MUTANTS[mutant], booked=())
