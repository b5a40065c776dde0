"""How worlds are tried: as hypothesis makes them, the same in every run."""

from collections.abc import Callable
from datetime import timedelta

from hypothesis import HealthCheck, Phase, assume, given, seed, settings

from tests.availability.conftest import Desk
from tests.availability.worlds import Question, questions
from tests.availability.zones import Agreement

# After ten examples hypothesis makes most of the next from parts of those before. These worlds are better apart.
_ROUND = 10
_agreement = Agreement()


def known_to_both(desk: Desk, question: Question) -> None:
    """The database's zone data decides: a zone in which Python's differs at that time is no case for the reference."""
    week = timedelta(days=7)
    for mechanic in question.world.mechanics:
        same = _agreement.holds(desk.connection, mechanic.timezone, question.since - week, question.until + week)
        assume(desk.run(same))


def in_rounds(ask: Callable[[Question], None], examples: int, first_seed: int = 0, shrink: bool = True) -> None:
    """Puts so many questions; one that fails is made as small as it can be, and raised."""
    of_a_round = settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    for number in range(examples // _ROUND):
        seed(f"{first_seed}/{number}")(of_a_round(given(questions())(ask)))()
