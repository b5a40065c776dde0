"""The plan is a function of its seed."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chaos import plan
from chaos.plan import FaultKind, Kind

SEEDS = st.integers(min_value=0, max_value=2**32)


@given(seed=SEEDS, quick=st.booleans())
def test_the_same_seed_is_the_same_plan(seed: int, quick: bool) -> None:
    assert plan.make(seed, 60, 90, quick=quick) == plan.make(seed, 60, 90, quick=quick)
    assert plan.make(seed, 60, 90, quick=quick) != plan.make(seed + 1, 60, 90, quick=quick)


@given(seed=SEEDS)
def test_nobody_but_rivals_wants_anothers_slot(seed: int) -> None:
    bookings = plan.make(seed, 200, 300).bookings
    slots = {(booking.mechanic, booking.minute): booking.number for booking in bookings}
    assert all(slots[booking.mechanic, booking.minute] == booking.number for booking in bookings)


@given(seed=SEEDS)
def test_the_short_form_has_everything(seed: int) -> None:
    made = plan.make(seed, 90, 45, quick=True)
    assert {booking.kind for booking in made.bookings} == set(Kind) - plan.SOON - plan.BY_OTHERS
    killed = Counter(part for fault in made.faults if fault.kind is FaultKind.KILL for part in fault.targets)
    assert set(killed) == set(plan.ALONE)
    assert {fault.kind for fault in made.faults} == set(FaultKind)
    first = min(fault.at for fault in made.faults)
    assert all(booking.at < first for booking in made.bookings if booking.calm)


@given(seed=SEEDS)
def test_the_long_form_ends_in_time(seed: int) -> None:
    made = plan.make(seed, 300, 390)
    assert max(fault.at for fault in made.faults) <= 390
    last = 390 // 60 + plan._LEAD_MINUTES
    soon = [booking for booking in made.bookings if booking.minute < plan._FAR_AHEAD]
    assert max(booking.minute for booking in soon if booking.kind not in plan._AHEAD) <= last
    assert all(booking.minute <= last + plan._AHEAD.get(booking.kind, 0) for booking in soon)
