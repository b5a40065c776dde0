"""Controls of hand-overs, proposals and other prices: in each the product lacks something, and the model sees it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest

from pitstop.postgres import moves, proposals, steps, supplements
from pitstop.postgres.asking import Asked
from tests.life.model.controls import HOUR, NOW, Mutant, instead, not_told_of, play_course, shows, sql
from tests.life.model.machine import Course
from tests.life.model.second_thoughts import WholeCourse

_BOOKED, _WANTED, _THIRD = timedelta(hours=48), timedelta(hours=120), timedelta(hours=96)
_LATE = (-20 * HOUR, False)


def _whole(course: Course) -> WholeCourse:
    """With a booking that costs the usual price, by a policy that gives all of it back until the day before."""
    course.somebody_books_and_pays(0, _BOOKED, False, False)
    return cast(WholeCourse, course)


def _asked(course: Course, when: tuple[timedelta | None, bool] = NOW, slot: timedelta = _WANTED) -> WholeCourse:
    """The customer wants what is dearer, and is to pay the difference."""
    whole = _whole(course)
    whole.somebody_moves_it(0, "customer", slot, True, 1, when, "dear")
    assert whole.known[-1].to_pay is not None
    return whole


def _cheaper(course: Course) -> None:
    whole = _whole(course)
    whole.somebody_moves_it(0, "customer", _WANTED, True, 1, NOW, "cheap")
    whole.what_is_owed_goes_back(0, False)
    whole.somebody_cancels_it(0, "operator", NOW)
    whole.what_is_owed_goes_back(0, False)
    assert whole.known[-1].owed == 8900


def _cheaper_late(course: Course) -> None:
    _whole(course).somebody_moves_it(0, "customer", _WANTED, True, 1, _LATE, "cheap")
    course.somebody_moves_it(0, "operator", _WANTED, False, 1, NOW, "cheap")
    assert course.known[-1].owed == 3000


def _waived(course: Course) -> None:
    whole = _whole(course)
    whole.somebody_moves_it(0, "operator", _WANTED, False, 1, NOW, "dear", False)
    whole.somebody_moves_it(0, "operator", _WANTED, False, 1, NOW, "dear", True)
    assert (whole.known[-1].plan, whole.known[-1].amount) == ("dear", 8900)


def _paid(course: Course) -> None:
    whole = _asked(course)
    whole.a_difference_is_paid_or_not(0, "paid twice", 0)
    whole.somebody_moves_it(0, "operator", _THIRD, False, 1, NOW, "standard")
    whole.somebody_cancels_it(0, "customer", NOW)
    whole.what_is_owed_goes_back(0, False)
    assert whole.known[-1].owed == 9900


def _paid_unheard(course: Course) -> None:
    """Stripe is asked at the end of the time, and says so."""
    whole = _asked(course)
    whole.a_difference_is_paid_or_not(0, "unheard", 0)
    whole.a_difference_is_paid_or_not(0, "over", 0)
    assert whole.known[-1].differences[-1].status == "applied"


def _lapsed(course: Course) -> None:
    whole = _asked(course)
    whole.a_difference_is_paid_or_not(0, "over", 0)
    whole.somebody_books(0, _WANTED, False, False)


def _held(course: Course) -> None:
    whole = _asked(course)
    whole.somebody_books(0, _WANTED, False, False)
    whole.a_difference_is_paid_or_not(0, "paid", 0)


def _lost(course: Course) -> None:
    """Nobody has heard of it when the time is over, and a rival takes the time as the customer pays."""
    whole = _asked(course)
    due = whole.known[-1].differences[-1]
    whole.now = due.lapses
    whole.somebody_books(0, _WANTED, False, False)
    whole.known.insert(0, whole.known.pop())
    whole.a_difference_is_paid_or_not(0, "paid", 0)
    whole.mails_go_out()
    assert due.status == "lost"


def _paid_late(course: Course) -> None:
    whole = _asked(course)
    whole.a_difference_is_paid_or_not(0, "paid", 5)
    whole.what_is_owed_goes_back(0, False)


def _replaced(course: Course) -> None:
    whole = _asked(course)
    whole.a_difference_is_paid_or_not(0, "unheard", 0)
    whole.somebody_moves_it(0, "customer", _THIRD, True, 1, NOW, "dear")
    assert [each.status for each in whole.known[-1].differences] == ["replaced", "open"]


def _cancelled(course: Course) -> None:
    whole = _asked(course)
    whole.somebody_cancels_it(0, "customer", NOW)
    whole.a_difference_is_paid_or_not(0, "paid", 0)


def _late_and_cancelled(course: Course) -> None:
    whole = _asked(course, _LATE)
    whole.a_difference_is_paid_or_not(0, "paid", 0)
    whole.somebody_cancels_it(0, "customer", NOW)
    assert whole.known[-1].kept == 4950


def _left_unpaid(course: Course) -> None:
    """As often as its policy lets the customer move it: once."""
    whole = cast(WholeCourse, course)
    whole.somebody_moves_it(0, "customer", _WANTED, True, 1, NOW, "dear")
    whole.a_difference_is_paid_or_not(0, "over", 0)
    whole.somebody_moves_it(0, "customer", _WANTED, True, 1, NOW, "dear")
    assert len(whole.known[-1].differences) == 1


def _begins_at_once(course: Course) -> None:
    """What is wanted begins in this moment: there is no time to pay."""
    whole = _whole(course)
    whole.somebody_moves_it(0, "operator", _WANTED, False, 1, NOW)
    whole.now = whole.base
    whole.somebody_cancels_it(2, "operator", NOW)
    whole.somebody_moves_it(0, "customer", timedelta(0), True, 1, NOW, "dear")


def _handed_over(course: Course) -> None:
    whole = _whole(course)
    whole.somebody_hands_it_over(0, "operator", 1, 1, NOW)
    whole.mails_go_out()
    whole.somebody_books(1, _BOOKED, False, False)
    whole.somebody_books(0, _BOOKED, False, False)


def _handed_over_to_a_rival(course: Course) -> None:
    whole = _whole(course)
    whole.somebody_books_and_pays(1, _BOOKED, False, False)
    whole.somebody_hands_it_over(0, "mechanic", 0, 1, NOW)


def _proposed(course: Course, when: tuple[timedelta | None, bool] = NOW) -> WholeCourse:
    whole = _whole(course)
    whole.somebody_proposes_times(0, "mechanic", [(_WANTED, 0), (_THIRD, 1)], 180, when)
    assert whole.known[-1].proposal is not None
    return whole


def _taken(course: Course) -> None:
    whole = _proposed(course, _LATE)
    whole.the_customer_answers(0, "other", NOW)
    whole.the_customer_answers(0, "last", NOW)
    whole.somebody_cancels_it(0, "customer", NOW)
    assert whole.known[-1].kept == 0


def _taken_late(course: Course) -> None:
    whole = _proposed(course)
    whole.now += 4 * HOUR
    whole.the_customer_answers(0, "first", NOW)
    whole.the_customer_answers(0, "none", NOW)
    whole.the_customer_answers(0, "declines", NOW)


def _gone_meanwhile(course: Course) -> None:
    whole = _proposed(course)
    whole.somebody_books(0, _WANTED, False, False)
    whole.the_customer_answers(0, "first", NOW)
    whole.the_customer_answers(0, "last", NOW)


def _moved_meanwhile(course: Course) -> None:
    whole = _proposed(course)
    booking = whole.known[-1]
    assert booking.proposal is not None
    first = booking.proposal.options[0]
    whole.somebody_moves_it(0, "operator", timedelta(hours=72), False, 1, NOW)
    assert booking.proposal is None
    whole.takes(booking, *first)


async def _resell_for_nothing(asked: Asked, offer: asyncpg.Record, difference: int, price: int) -> None:
    await _RESELL(asked, offer, 0, price)


async def _resell_at_its_price(asked: Asked, offer: asyncpg.Record, difference: int, price: int) -> None:
    await _RESELL(asked, offer, difference, offer["amount"])


async def _move_by_customer(asked: Asked, aim: moves.Aim, **how: Any) -> dict[str, Any]:
    return await _MOVE(asked, aim, **how | {"counted": True})


async def _close_but_for_what_is_done(connection: Any, booking_id: UUID, how: str, now: Any) -> Any:
    """The supplement stays, whatever else is done with the booking."""
    if how != "closed":
        await _CLOSE_SUPPLEMENT(connection, booking_id, how, now)


async def _close_answered(connection: Any, booking_id: UUID, how: str, now: Any) -> bool:
    """The proposal stays, whatever else is done with the booking."""
    return how != "closed" and await _CLOSE_PROPOSAL(connection, booking_id, how, now)


_RESELL, _MOVE = moves._resell, moves.move
_CLOSE_SUPPLEMENT, _CLOSE_PROPOSAL = steps.close_supplement, steps.close_proposal


MUTANTS: dict[str, Mutant] = {
    "the difference of a cheaper plan stays": (instead(moves, "_resell", _resell_for_nothing), _cheaper),
    "moving gives back more than cancelling": (instead(moves, "percent_back", lambda asked: 100), _cheaper_late),
    "what is waived is on the bill": (instead(moves, "_resell", _resell_at_its_price), _waived),
    "a paid move improves the refund": (
        instead(moves, "_percent_at_most", lambda asked, counted, paid: 100),
        _late_and_cancelled,
    ),
    "what has lapsed stays held": (
        sql(
            steps._SUPPLEMENTS, "close_supplement", "r.status = 'reserved'", "r.status = 'reserved' AND $2 <> 'lapsed'"
        ),
        _lapsed,
    ),
    "nothing is held while it may be paid": (
        sql(supplements._SQL, "hold_for_supplement", "'reserved', u.lapses_at", "'reserved', u.asked_at"),
        _held,
    ),
    "what is paid late moves it": (
        sql(supplements._SQL, "supplement_of", "u.lapses_at,", "u.lapses_at + interval '1 day' AS lapses_at,"),
        _paid_late,
    ),
    "what is paid late stays": (
        sql(supplements._SQL, "return_payment", "payment_intent_id = $2", "payment_intent_id = $2 AND FALSE"),
        _paid_late,
    ),
    "what was replaced is as good as new": (
        sql(supplements._SQL, "supplement_of", "u.status,", "'open' AS status,"),
        _replaced,
    ),
    "a cancellation leaves it to be paid": (
        instead(steps, "close_supplement", _close_but_for_what_is_done),
        _cancelled,
    ),
    "times are held for nothing for ever": (
        sql(supplements._SQL, "left_unpaid", "count(*)", "count(*) * 0"),
        _left_unpaid,
    ),
    "the former mechanic's time stays taken": (
        sql(moves._SQL, "move_reservation", "mechanic_id = $2, starts_at", "mechanic_id = r.mechanic_id, starts_at"),
        _handed_over,
    ),
    "what is handed over stays the former mechanic's": (
        sql(moves._SQL, "hand_over", "mechanic_id = $2,", "mechanic_id = COALESCE(mechanic_id, $2),"),
        _handed_over,
    ),
    "the customer is not told of a hand-over": (not_told_of("handed_over"), _handed_over),
    "what is taken counts as the customer's move": (instead(proposals, "move", _move_by_customer), _taken),
    "what has lapsed can be taken": (
        sql(proposals._SQL, "open_proposal", "expires_at", "expires_at + interval '1 day' AS expires_at"),
        _taken_late,
    ),
    "a proposal outlives a move": (instead(steps, "close_proposal", _close_answered), _moved_meanwhile),
}
_PLAYED = [
    _paid,
    _paid_unheard,
    _lost,
    _begins_at_once,
    _handed_over_to_a_rival,
    _gone_meanwhile,
]


@pytest.mark.parametrize("course", _PLAYED)
def test_what_is_rare(machine: type[Course], course: Callable[[Course], None]) -> None:
    play_course(machine, course)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_a_guard_it_is_found(machine: type[Course], monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    shows(machine, monkeypatch, MUTANTS[mutant])
