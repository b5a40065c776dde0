"""Controls of text messages: in each the product lacks something, and the model sees it."""

from datetime import timedelta
from typing import cast

import pytest

from pitstop.domain import reminder_plan
from pitstop.postgres import notices, offers
from tests.life.model.controls import HOUR, Mutant, instead, nothing, shows, sql
from tests.life.model.machine import Course
from tests.life.model.whole import WholeLife

_BOOKED = timedelta(hours=48)


def _reminded(course: Course) -> None:
    """At night where the customer is: the message waits for the morning, the one an hour before does not."""
    whole = cast(WholeLife, course)
    whole.somebody_books_and_pays(0, _BOOKED, False, True)
    booking = whole.known[-1]
    for before in (-24 * HOUR, -12 * HOUR, -HOUR):
        whole.time_passes(0, (before, False))
        whole.mails_go_out()
    sent = [key for key, state in booking.mails.items() if state == "sent" and key.endswith("/sms")]
    assert len(sent) == 2


def _stopped(course: Course) -> None:
    whole = cast(WholeLife, course)
    whole.somebody_books_and_pays(0, _BOOKED, False, True)
    whole.somebody_replies_stop(0)
    whole.time_passes(0, (-HOUR, False))


def _taken(course: Course) -> None:
    whole = cast(WholeLife, course)
    whole.somebody_wants_it_at_once(0, 0, True)
    whole.a_mechanic_takes_it(0, 0)
    whole.somebody_wants_it_at_once(2, 3, True)
    whole.the_search_goes_on(0, True)


MUTANTS: dict[str, Mutant] = {
    "a message wakes somebody": (instead(reminder_plan, "text_moment", lambda due, *_, **__: due), _reminded),
    "nobody hears STOP": (
        sql(notices._SQL, "claim_notice", "ANY($3::bytea[])", "ANY($3::bytea[]) AND FALSE"),
        _stopped,
    ),
    "who waits now gets a mail alone": (instead(offers, "_text", nothing), _taken),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_a_guard_it_is_found(machine: type[Course], monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    shows(machine, monkeypatch, MUTANTS[mutant], booked=())
