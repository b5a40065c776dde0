"""The answer of a search is written by hand: it must be what the documented models would have written."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import cursors
from api.schemas import Slot, SlotPage
from api.slot_pages import SlotsOfAPage
from pitstop.domain.free_time import FreeTime
from pitstop.domain.wall_clock import WallClock

MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)
# Toronto's clocks go back at 06:00 UTC.
TORONTO = WallClock([(MIDNIGHT, timedelta(hours=-4)), (MIDNIGHT + timedelta(hours=6), timedelta(hours=-5))])
MECHANICS = [UUID(int=number) for number in (2**127, 3, 2**64)]

runs = st.lists(st.tuples(st.sampled_from(MECHANICS), st.integers(0, 60), st.integers(0, 40)), max_size=12)


def _free(found: list[tuple[UUID, int, int]], step: int) -> FreeTime:
    def at(steps: int) -> datetime:
        return MIDNIGHT + timedelta(minutes=step * steps)

    found = list({(mechanic, first): (mechanic, first, more) for mechanic, first, more in found}.values())
    return FreeTime(
        step, 45, True, [run[0] for run in found], [at(run[1]) for run in found], [at(run[1] + run[2]) for run in found]
    )


def _by_the_models(free: FreeTime, limit: int, clock: WallClock | None) -> bytes:
    found = sorted(
        (first + timedelta(minutes=free.step_minutes * more), mechanic)
        for mechanic, first, last in zip(free.mechanics, free.firsts, free.lasts, strict=True)
        for more in range((last - first) // timedelta(minutes=free.step_minutes) + 1)
    )
    slots = [
        Slot(
            mechanic_id=mechanic,
            start=start,
            end=start + timedelta(minutes=45),
            local_start=clock.local(start).isoformat() if clock else None,
        )
        for start, mechanic in found[:limit]
    ]
    more = cursors.encode(slots[-1].start, slots[-1].mechanic_id) if len(found) > limit else None
    return SlotPage(slots=slots, next_cursor=more).model_dump_json().encode()


@settings(max_examples=200, deadline=None)
@given(runs, st.sampled_from([5, 15, 60]), st.integers(1, 50), st.sampled_from([None, TORONTO]))
def test_what_is_written_is_what_the_models_write(
    found: list[tuple[UUID, int, int]], step: int, limit: int, clock: WallClock | None
) -> None:
    free = _free(found, step)
    assert SlotsOfAPage(free, limit).written(clock) == _by_the_models(free, limit, clock)


def test_a_local_time_that_comes_twice_is_told_apart() -> None:
    free = FreeTime(60, 45, True, [uuid4()], [MIDNIGHT + timedelta(hours=5)], [MIDNIGHT + timedelta(hours=6)])
    slots = SlotPage.model_validate_json(SlotsOfAPage(free, 10).written(TORONTO)).slots
    assert [slot.local_start for slot in slots] == ["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"]


@pytest.mark.parametrize("minutes", [0, 345, -570])
def test_a_distance_to_utc_is_written_as_rfc_3339_does(minutes: int) -> None:
    offset = timedelta(minutes=minutes)
    free = FreeTime(60, 45, True, [uuid4()], [MIDNIGHT], [MIDNIGHT])
    [slot] = SlotPage.model_validate_json(SlotsOfAPage(free, 10).written(WallClock([(MIDNIGHT, offset)]))).slots
    assert slot.local_start == MIDNIGHT.astimezone(timezone(offset)).isoformat()
