"""Shown ⇔ the check says available ⇔ a hold succeeds, and all of it as the reference has it, for worlds made at random.

PITSTOP_AVAILABILITY_EXAMPLES tries more worlds than an ordinary run (a night's worth: 20000), and each of their slots by a hold.
"""

import os
from datetime import timedelta

from hypothesis import HealthCheck, assume, given, settings

from tests.availability.comparison import compare
from tests.availability.conftest import Desk
from tests.availability.worlds import Question, questions
from tests.availability.zones import Agreement

_USUAL_EXAMPLES = 250
EXAMPLES = int(os.environ.get("PITSTOP_AVAILABILITY_EXAMPLES", _USUAL_EXAMPLES))
HOLDS = 12 if EXAMPLES <= _USUAL_EXAMPLES else 10_000
agreement = Agreement()


def known_to_both(desk: Desk, question: Question) -> None:
    """The database's zone data decides: a zone in which Python's differs at that time is no case for the reference."""
    week = timedelta(days=7)
    for mechanic in question.world.mechanics:
        same = agreement.holds(desk.connection, mechanic.timezone, question.since - week, question.until + week)
        assume(desk.run(same))


def test_every_slot_shown_can_be_booked_and_no_bookable_slot_is_hidden(desk: Desk) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES == _USUAL_EXAMPLES,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(questions())
    def asked(question: Question) -> None:
        known_to_both(desk, question)
        desk.run(compare(desk.connection, question, HOLDS))

    asked()
