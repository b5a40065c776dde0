"""First come, first served: whatever happens in whatever order, the database offers what the reference offers."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from pitstop.devstack.stackfile import Stack
from tests.waitlist.line import Line, Open, lines
from tests.waitlist.reference import Reference, Waiting

SLOTS, MOST_MISSED = 3, 2
_WORLDS = 40
Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "join", "free", "free", "pay", "miss", "decline", "leave"]),
        st.integers(0, 5),
        st.integers(0, SLOTS - 1),
    ),
    min_size=3,
    max_size=14,
)


class Desk:
    """Lets plain functions, such as hypothesis drives, use asyncpg."""

    def __init__(self, runner: asyncio.Runner, make: Open) -> None:
        self._runner = runner
        self.make = make

    def run(self, awaitable: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return self._runner.run(awaited())


@pytest.fixture(scope="module")
def desk(stack: Stack) -> Iterator[Desk]:
    exits = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            yield Desk(runner, runner.run(exits.enter_async_context(lines(stack))))
        finally:
            runner.run(exits.aclose())


class Both:
    """The same steps, taken here and there."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.model = Reference(SLOTS, MOST_MISSED)
        self.taken = set(range(SLOTS))
        self.entries: dict[str, Any] = {}

    async def take(self, step: Step) -> None:
        what, who, slot = step
        if what == "join":
            await self._join(slot, min(SLOTS - 1, slot + who % 2))
        elif what == "free":
            await self._free(slot)
        elif (entry := self._somebody(what, who)) is not None:
            await self._ends(what, entry)
        assert await self.line.serve() == self.model.serve()
        assert self.model.nobody_is_passed_over()

    async def _join(self, first: int, last: int) -> None:
        name = f"entry {len(self.entries)}"
        self.entries[name] = await self.line.join(name, first, last, MOST_MISSED)
        self.model.join(name, first, last)

    async def _free(self, slot: int) -> None:
        if slot in self.taken:
            self.taken.remove(slot)
            await self.line.free(slot)
            self.model.comes_free(slot)

    def _somebody(self, what: str, who: int) -> Waiting | None:
        could = [each for each in self.model.line if (each.offer is None) is (what == "leave")]
        return could[who % len(could)] if could else None

    async def _ends(self, what: str, entry: Waiting) -> None:
        id = self.entries[entry.name]
        if what == "leave":
            await self.line.database.execute("UPDATE waitlist_entries SET status = 'left' WHERE id = $1", id)
        else:
            booking = await self.line.offer_of(id)
            assert booking is not None
            await getattr(self.line, what)(booking)
        getattr(self.model, what)(entry)


async def _play(make: Open, steps: list[Step]) -> None:
    both = Both(await make(SLOTS))
    for step in steps:
        await both.take(step)
    await both.line.database.execute("DELETE FROM freed_slots")
    await both.line.database.execute("UPDATE waitlist_entries SET status = 'left' WHERE status = 'waiting'")


def test_the_line_is_served_in_its_order(desk: Desk) -> None:
    @settings(max_examples=_WORLDS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @seed(6)
    @given(STEPS)
    def play(steps: list[Step]) -> None:
        desk.run(_play(desk.make, steps))

    play()


def test_a_line_served_from_its_end_would_show(desk: Desk) -> None:
    """The control: the reference notices when the last in line is served first."""

    async def backwards() -> None:
        line = await desk.make(1)
        await line.database.execute(
            "CREATE OR REPLACE FUNCTION last_first() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.place := -NEW.place; RETURN NEW; END $$;"
            " CREATE TRIGGER last_first BEFORE INSERT ON waitlist_entries FOR EACH ROW EXECUTE FUNCTION last_first()"
        )
        try:
            both = Both(line)
            for step in (("join", 0, 0), ("join", 0, 0), ("free", 0, 0)):
                await both.take(step)
        finally:
            await line.database.execute("DROP TRIGGER last_first ON waitlist_entries")

    with pytest.raises(AssertionError):
        desk.run(backwards())
