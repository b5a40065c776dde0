"""The steps without an engine, hundreds of them a second; and controls, in each of which one guard is gone.

PITSTOP_LIFE_EXAMPLES asks for more than an ordinary run (a night's: 5000).
"""

import os
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from pitstop.domain.policy import Policy
from pitstop.postgres import changes, moves, notices, steps
from tests.life.model.controls import HOUR, MINUTE, NOW, Mutant, nothing, play_course, shows, without
from tests.life.model.machine import Course

_USUAL = 50
EXAMPLES = int(os.environ.get("PITSTOP_LIFE_EXAMPLES", _USUAL))
_SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    database=None,
    derandomize=EXAMPLES == _USUAL,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


# A run that never came there would show nothing about it. What is rarer is played on purpose, below.
_ENDS = {"completed", "expired", "cancelled", "no_show"}


def test_whatever_happens_everything_is_as_it_ought_to_be(machine: type[Course]) -> None:
    seen: set[str] = set()

    class Counting(machine):  # type: ignore[misc, valid-type]
        def teardown(self) -> None:
            seen.update(booking.status for booking in self.known)
            seen.update(key.split("/")[1] for booking in self.known for key in booking.mails)
            seen.update("in part" for booking in self.known if booking.kept and booking.owed)
            super().teardown()

    run_state_machine_as_test(Counting, settings=_SETTINGS)
    # Which of the rare ones come depends on the instants at which it runs; the courses below play each of them.
    assert "confirmation" in seen
    assert _ENDS & seen


def _tier_ends_early(self: Policy, start: datetime, now: datetime) -> int:
    reached = [tier for tier in self.refund_tiers if start - now > timedelta(minutes=tier.minutes_before)]
    return max(reached, key=lambda tier: tier.minutes_before).percent if reached else 0


def _moved(course: Course) -> None:
    course.somebody_moves_it(0, "customer", timedelta(minutes=2880), True, 1, (-20 * HOUR, False))


def _cancelled_at(when: timedelta, role: str = "customer") -> Callable[[Course], None]:
    return lambda course: course.somebody_cancels_it(0, role, (when, False))


def _moved_and_cancelled(course: Course) -> None:
    course.somebody_moves_it(0, "customer", timedelta(minutes=5760), True, 1, (-20 * HOUR, False))
    course.somebody_cancels_it(0, "customer", NOW)


def _repeated(course: Course) -> None:
    _moved(course)
    course.somebody_moves_it(0, "operator", timedelta(minutes=5760), False, 1, NOW)
    course.last = (course.known[-1], course.changes_made[0], None)
    course.the_answer_was_lost_and_it_is_applied_again()


def _reminded_late(course: Course) -> None:
    """The worker is down when a reminder is due, and back when the session has begun."""
    course.time_passes(0, (5 * MINUTE, False))
    course.mails_go_out()


def _waited_in_vain(course: Course) -> None:
    course.the_session_goes_on(0, "check_in", False, (-5 * MINUTE, False))
    course.its_time_is_over(0)


def _missed_though_there(course: Course) -> None:
    course.the_session_goes_on(0, "check_in", False, (-5 * MINUTE, False))
    course.somebody_is_missed(0, "mechanic", "customer", (30 * MINUTE, False))


def _moved_to_a_lapsed_hold(course: Course) -> None:
    course.somebody_books(1, timedelta(minutes=2880), False, False)
    lapsed = course.known.pop()
    course.known.insert(0, lapsed)
    course.now = lapsed.lapses or course.now
    course.somebody_moves_it(0, "operator", timedelta(minutes=2880), False, 1, NOW)


def _paid_too_late(course: Course) -> None:
    course.somebody_books(0, timedelta(minutes=2880), False, False)
    course.somebody_pays_too_late(0, True)
    course.what_is_owed_goes_back(0, True)
    course.what_is_owed_goes_back(0, False)
    assert {"refunded", "confirmed"} <= {booking.status for booking in course.known}


def _started(course: Course) -> None:
    course.the_session_goes_on(0, "start", True, (-5 * MINUTE, False))
    course.somebody_cancels_it(0, "customer", NOW)
    course.the_session_goes_on(0, "complete", True, (30 * MINUTE, False))


def _over_early(course: Course) -> None:
    _started(course)
    course.somebody_books(1, timedelta(minutes=1500), False, False)
    assert course.known[-1].status == "awaiting_payment"


MUTANTS: dict[str, Mutant] = {
    "what is left of a session stays taken": (
        lambda patch: without(
            patch, changes._SQL, "shorten_reservation", "used.until < r.ends_at", "used.until < r.starts_at"
        ),
        _over_early,
    ),
    "a tier's last instant is outside it": (
        lambda patch: patch.setattr(Policy, "percent_back", _tier_ends_early),
        _cancelled_at(-6 * HOUR),
    ),
    "half a cent is the house's": (
        lambda patch: patch.setattr(changes, "part_of", lambda amount, percent: amount * percent // 100),
        _cancelled_at(-20 * HOUR),
    ),
    "a move improves the refund": (
        lambda patch: without(
            patch, moves._SQL, "move_booking", "LEAST(refund_percent_at_most, $7)", "LEAST(100, $7 + 100)"
        ),
        _moved_and_cancelled,
    ),
    "all of the money goes back always": (
        lambda patch: without(
            patch, steps._SQL, "request_refund", "$4::bigint - of_newer", "$4::bigint * 100 - of_newer"
        ),
        _cancelled_at(-20 * HOUR),
    ),
    "reminders of the old time stay": (lambda patch: patch.setattr(steps, "skip_notices", nothing), _moved),
    "the slot is kept after a cancellation": (
        lambda patch: without(
            patch, changes._SAGA, "release_reservation", "booking_id = $1", "booking_id = $1 AND $2 <> 'cancelled'"
        ),
        _cancelled_at(-20 * HOUR),
    ),
    "the move blocks the old time": (
        lambda patch: without(
            patch, moves._SQL, "move_reservation", "blocked = $4", "blocked = COALESCE(r.blocked, $4)"
        ),
        _moved,
    ),
    "the session stays where it was": (
        lambda patch: without(patch, moves._SQL, "move_session", "status = 'scheduled'", "status = 'pending'"),
        _moved,
    ),
    "a change is decided on each time": (
        lambda patch: without(patch, changes._SQL, "change", "c.outcome, c.detail", "NULL::text AS outcome, c.detail"),
        _repeated,
    ),
    "who has the booking no more decides on it": (
        lambda patch: without(patch, changes._SQL, "change", "b.mechanic_id::text = c.asked_by", "TRUE"),
        lambda course: course.a_mechanic_asks_who_does_not_have_it(0, "cancel"),
    ),
    "who has waited in vain pays": (lambda patch: patch.setattr(changes, "_came", _nobody), _waited_in_vain),
    "who is there is called absent": (lambda patch: patch.setattr(changes, "_came", _nobody), _missed_though_there),
    "a mail is not asked whether it stands": (
        lambda patch: without(
            patch,
            notices._SQL,
            "claim_notice",
            "b.status = 'confirmed' AND b.starts_at > $2 AND o.move = b.moves",
            "TRUE",
        ),
        _reminded_late,
    ),
    "holds that have run out stay in the way": (
        lambda patch: without(patch, moves._SAGA, "lapse_rivals", "expires_at <= $3", "expires_at <= $3 AND FALSE"),
        _moved_to_a_lapsed_hold,
    ),
}


async def _nobody(*_: object) -> set[str]:
    return set()


@pytest.mark.parametrize("course", [_paid_too_late, _started, _repeated])
def test_what_is_rare(machine: type[Course], course: Callable[[Course], None]) -> None:
    play_course(machine, course)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_a_guard_it_is_found(machine: type[Course], monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    shows(machine, monkeypatch, MUTANTS[mutant])
