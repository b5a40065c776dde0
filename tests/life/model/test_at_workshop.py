"""Controls of sessions at the workshop: in each the product lacks something, and the model sees it."""

from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest

from pitstop.domain.changes import ChangeKind
from pitstop.postgres import (
    asking,
    changes,
    hand_overs,
    notices,
    proposals,
    saga,
    steps,
    workshop_proposals,
    workshop_words,
)
from tests.life.model.controls import HOUR, MINUTE, NOW, Mutant, instead, not_told_of, nothing, play_course, shows, sql
from tests.life.model.in_person import InPerson
from tests.life.model.machine import Course
from tests.life.model.whole import WholeLife

_BOOKED, _OTHER, _THIRD = timedelta(hours=48), timedelta(hours=96), timedelta(hours=120)
_NEXT, _DAY_AFTER = timedelta(hours=49), timedelta(hours=72)
# Until it starts.
_LONG = 10_080
_LATE = (-20 * HOUR, False)


def _booked(course: Course, minutes: int | None = 120, mailed: bool = True) -> tuple[WholeLife, InPerson]:
    whole = cast(WholeLife, course)
    whole.somebody_books_in_person(0, _BOOKED, minutes, False)
    if mailed:
        whole.mails_go_out()
    return whole, cast(InPerson, whole.known[-1])


def _agreed(course: Course) -> None:
    """At the last instant; then the customer moves it, and the workshop is asked anew."""
    whole, booking = _booked(course)
    whole.the_workshop_answers(0, "yes", 3)
    whole.mails_go_out()
    whole.says_yes(booking)
    whole.somebody_moves_it(0, "operator", _OTHER, False, 1, NOW)
    assert booking.said == "confirmed"
    whole.somebody_moves_it(0, "customer", _THIRD, True, 1, NOW)
    assert booking.said == "awaiting"


def _cancelled_before(course: Course) -> None:
    """Late, but the workshop has not said yes: all goes back. Reminders have not gone out."""
    whole, booking = _booked(course, _LONG)
    whole.time_passes(0, _LATE)
    whole.mails_go_out()
    whole.somebody_cancels_it(0, "customer", NOW)
    assert (booking.owed, booking.kept) == (booking.amount, 0)


def _missed(course: Course) -> None:
    """The worker was away when the time to answer was over: whoever was not confirmed was not expected either."""
    whole, booking = _booked(course, _LONG)
    whole.somebody_is_missed(0, "operator", "customer", (10 * MINUTE, False))
    whole.the_workshop_answers(0, "none")
    assert (booking.said, booking.owed) == ("lapsed", booking.amount)


def _refused(course: Course) -> None:
    whole, booking = _booked(course)
    whole.the_workshop_answers(0, "no")
    whole.what_is_owed_goes_back(0, False)
    assert (booking.status, booking.owed) == ("cancelled", booking.amount)


def _silent(course: Course) -> None:
    whole, booking = _booked(course)
    whole.the_workshop_answers(0, "none")
    whole.somebody_books_in_person(1, _BOOKED, None, False)
    assert (booking.status, booking.said) == ("cancelled", "lapsed")
    assert whole.known[-1].status == "confirmed"


def _too_late(course: Course) -> None:
    whole, booking = _booked(course)
    whole.the_workshop_answers(0, "yes", 4)
    assert booking.said == "awaiting"


def _proposed(course: Course) -> tuple[WholeLife, InPerson]:
    """Two times, of which the first goes on where the booked one ends; nobody else gets them, nor the bay then."""
    whole, booking = _booked(course)
    whole.the_workshop_proposes(0, [(_NEXT, 0), (_OTHER, 1)], False)
    whole.somebody_books(0, _NEXT, False, False)
    whole.somebody_books_in_person(0, _OTHER, None, False)
    whole.mails_go_out()
    assert (booking.said, len(whole.known)) == ("proposed", 1)
    return whole, booking


def _taken(course: Course) -> None:
    whole, booking = _proposed(course)
    whole.the_customer_answers(0, "last", NOW)
    whole.somebody_books(0, _NEXT, False, False)
    assert (booking.said, booking.moves, len(whole.known)) == ("confirmed", 1, 2)


def _taken_from_who_is_away(course: Course) -> None:
    """What is held is the customer's, who is told that the mechanic has taken it off meanwhile."""
    whole, booking = _booked(course)
    whole.the_workshop_proposes(0, [(_DAY_AFTER, 0)], False)
    whole.a_mechanic_takes_time_off(0, "for days", NOW)
    whole.the_customer_answers(0, "first", NOW)
    whole.mails_go_out()
    assert (booking.said, booking.moves, booking.is_flagged) == ("confirmed", 1, True)


def _an_operators(course: Course) -> None:
    """What an operator proposes needs no word, what its mechanic does needs it."""
    whole, booking = _booked(course)
    whole.somebody_proposes_times(0, "operator", [(_OTHER, 0)], 180, NOW)
    whole.the_customer_answers(0, "first", NOW)
    assert booking.said == "confirmed"
    whole.somebody_proposes_times(0, "mechanic", [(_THIRD, 0)], 180, NOW)
    whole.the_customer_answers(0, "first", NOW)
    assert booking.said == "awaiting"


def _declined(course: Course) -> None:
    whole, booking = _proposed(course)
    whole.the_customer_answers(0, "declines", NOW)
    assert (booking.status, booking.owed) == ("cancelled", booking.amount)


def _not_answered(course: Course) -> None:
    whole, booking = _proposed(course)
    whole.the_customer_answers(0, "none", NOW)
    assert (booking.status, booking.said) == ("cancelled", "lapsed")


def _agreed_after_all(course: Course) -> None:
    """What was proposed is free again; what others propose is not to be had meanwhile."""
    whole, booking = _proposed(course)
    whole.somebody_proposes_times(0, "mechanic", [(_THIRD, 0)], 180, NOW)
    whole.the_workshop_answers(0, "yes")
    whole.somebody_books(1, _OTHER, False, False)
    assert (booking.proposal, len(whole.known)) == (None, 2)


def _proposed_instead(course: Course) -> None:
    """In place of what its mechanic has proposed, of which the customer has not been told yet."""
    whole, booking = _booked(course)
    whole.somebody_proposes_times(0, "mechanic", [(_THIRD, 0)], 180, NOW)
    whole.the_workshop_proposes(0, [(_OTHER, 0)], True)
    whole.mails_go_out()
    assert booking.said == "proposed"


def _handed_over(course: Course) -> None:
    """The workshop has still to be asked."""
    whole, booking = _booked(course, mailed=False)
    whole.somebody_hands_it_over(0, "operator", 1, 1, NOW)
    assert booking.mails[f"{booking.id}/workshop_request"] == "pending"


def _handed_over_when_proposed(course: Course) -> None:
    whole, booking = _proposed(course)
    whole.somebody_hands_it_over(0, "operator", 1, 1, NOW)
    assert (booking.said, booking.proposal) == ("awaiting", None)


def _signed(course: Course) -> None:
    """It starts when the workshop has said yes, and the customer has signed, who was asked to on the day."""
    whole, booking = _booked(course, _LONG)
    whole.time_passes(0, (-10 * MINUTE, False))
    whole.mails_go_out()
    whole.the_session_goes_on(0, "start", True, NOW)
    whole.the_workshop_answers(0, "yes")
    whole.the_session_goes_on(0, "start", True, NOW)
    whole.the_customer_signs(0)
    whole.the_customer_signs(0)
    whole.the_session_goes_on(0, "start", True, NOW)
    whole.the_customer_signs(0)
    assert booking.status == "in_progress"


def _signed_before(course: Course) -> None:
    """Whoever has signed is not asked to."""
    whole, booking = _booked(course, None)
    whole.the_customer_signs(0)
    whole.time_passes(0, (-10 * MINUTE, False))
    whole.mails_go_out()
    assert booking.mails[f"{booking.id}/waiver_request"] == "skipped"


def _decline(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(changes._DEEDS, ChangeKind.DECLINE_PROPOSAL, proposals.decline)


_WORDS, _CLAIM = workshop_words._SQL, notices._SQL
MUTANTS: dict[str, Mutant] = {
    "nobody's word is waited for": (sql(saga._SQL, "confirm_booking", "'awaiting' END", "'confirmed' END"), _agreed),
    "a customer's time needs no word": (
        sql(_WORDS, "place_anew", "WHEN $2 = 'as_it_was' AND place.same AND", "WHEN place.same AND"),
        _agreed,
    ),
    "the workshop's yes stays tentative": (sql(_WORDS, "end_waiting", "THEN 1 ELSE", "THEN 0 ELSE"), _agreed),
    "who cancels before the word pays": (instead(asking, "UNANSWERED", ()), _cancelled_before),
    "reminders go out before the word": (
        sql(_CLAIM, "claim_notice", "o.kind IN ('reminder', 'confirmation')", "o.kind = 'confirmation'"),
        _cancelled_before,
    ),
    "who was not expected is missed": (instead(changes, "UNANSWERED", ()), _missed),
    "what the workshop declines is paid for": (instead(changes, "part_of", lambda *_: 0), _refused),
    "who is silent agrees": (instead(workshop_words, "has_lapsed", lambda *_: False), _silent),
    "the customer is not told of a no": (not_told_of("workshop_declined"), _silent),
    "a word comes too late and counts": (instead(workshop_words, "require_awaited", lambda asked: None), _too_late),
    "what is proposed is not held": (
        sql(
            workshop_proposals._SQL,
            "hold_option",
            "'reserved', $6, $3",
            "'reserved', $6::timestamptz - interval '1 day', $3",
        ),
        _taken,
    ),
    "what the workshop has proposed needs its word": (
        sql(_WORDS, "place_anew", "'agreed' THEN 'confirmed'", "'agreed' THEN 'awaiting'"),
        _taken,
    ),
    "who declines comes at the booked time": (_decline, _declined),
    "what was proposed stays held": (
        sql(steps._PROPOSALS, "close_proposal", "r.proposal_id = closed.id", "r.proposal_id = closed.id AND FALSE"),
        _agreed_after_all,
    ),
    "times are told that are proposed no more": (
        instead(workshop_words, "OUTDATED", workshop_words.OF_THE_WORD),
        _proposed_instead,
    ),
    "of what is handed over the workshop is not asked": (
        instead(hand_overs, "_OUTDATED", steps.OUTDATED),
        _handed_over,
    ),
    "it starts though the workshop has not agreed": (
        instead(workshop_words, "require_agreed", lambda asked: None),
        _signed,
    ),
    "it starts though nobody has signed": (instead(changes, "require_waiver", nothing), _signed),
    "who has signed is asked to": (sql(_CLAIM, "claim_notice", "AND waiver_missing(b.id)"), _signed_before),
}
_PLAYED = [_not_answered, _handed_over_when_proposed, _taken_from_who_is_away, _an_operators]


@pytest.mark.parametrize("course", _PLAYED)
def test_what_is_rare(machine: type[Course], course: Callable[[Course], None]) -> None:
    play_course(machine, course, booked=())


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_a_guard_it_is_found(machine: type[Course], monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    shows(machine, monkeypatch, MUTANTS[mutant], booked=())
