"""A part that keeps dying is started ever more seldom; one that lived long starts quickly again."""

from pitstop.devstack.supervision import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, STEADY_SECONDS, Supervision


def test_the_delay_doubles_up_to_its_limit() -> None:
    supervision = Supervision()
    delays = [supervision.delay_after_death("api", 0.1) for _ in range(12)]
    assert delays[:3] == [FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS]
    assert delays[-1] == LONGEST_DELAY_SECONDS
    assert not supervision.is_due("api")


def test_a_long_life_resets_the_delay() -> None:
    supervision = Supervision()
    supervision.delay_after_death("api", 0.1)
    supervision.delay_after_death("api", 0.1)
    assert supervision.delay_after_death("api", STEADY_SECONDS) == FIRST_DELAY_SECONDS


def test_each_part_has_its_own_delay() -> None:
    supervision = Supervision()
    supervision.delay_after_death("api", 0.1)
    assert supervision.delay_after_death("worker", 0.1) == FIRST_DELAY_SECONDS
