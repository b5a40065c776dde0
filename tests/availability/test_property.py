"""Shown ⇔ the check says available ⇔ a hold succeeds, and all as the reference has it, for worlds made at random.

PITSTOP_AVAILABILITY_EXAMPLES tries more worlds than an ordinary run (a night's: 20000), and each of their slots by
a hold. PITSTOP_AVAILABILITY_SEED makes them other worlds.
"""

import os

from tests.availability.comparison import compare
from tests.availability.conftest import Desk
from tests.availability.rounds import in_rounds, known_to_both
from tests.availability.worlds import Question

_USUAL_EXAMPLES = 200
EXAMPLES = int(os.environ.get("PITSTOP_AVAILABILITY_EXAMPLES", _USUAL_EXAMPLES))
SEED = int(os.environ.get("PITSTOP_AVAILABILITY_SEED", 0))
HOLDS = 8 if EXAMPLES <= _USUAL_EXAMPLES else 10_000


def test_every_slot_shown_can_be_booked_and_no_bookable_slot_is_hidden(desk: Desk) -> None:
    def ask(question: Question) -> None:
        known_to_both(desk, question)
        desk.run(compare(desk.connection, question, HOLDS))

    in_rounds(ask, EXAMPLES, SEED)
