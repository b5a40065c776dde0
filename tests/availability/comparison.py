"""One question, put to the product in every way that it answers, and to the reference; what differs is wrong."""

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tests.availability import product, reference
from tests.availability.reference import MINUTE, Mechanic, World
from tests.availability.worlds import Question

Slot = tuple[datetime, UUID]


class Different(AssertionError):
    """The product contradicts itself or the reference."""


async def compare(connection: Any, question: Question, holds: int) -> None:
    """Raises `Different`. `holds`: how many slots at most are tried by a hold; those at edges of free time first."""
    async with product.undone(connection):
        world = await product.write(connection, question.world)
        question = replace(question, world=world)
        await connection.execute("SELECT set_config('TimeZone', $1, TRUE)", question.session_zone)
        expected = reference.bookable(world, question.since, question.until, question.at)
        async with product.undone(connection):
            await product.become(connection, "pitstop_api")
            await _compare_searches(connection, question, expected)
            await _compare_checks(connection, question)
            await _compare_others(connection, question)
        await _compare_holds(connection, question, set(expected), holds)


async def _compare_searches(connection: Any, question: Question, expected: list[Slot]) -> None:
    asked = (question.world, question.since, question.until, question.at)
    whole = await product.search(connection, *asked)
    _same("the search", whole, expected)
    # Small pages of a long answer are many questions: the last part of it will do.
    since = expected[-30][0] if len(expected) > 30 else question.since
    paged = await product.search(connection, question.world, since, question.until, question.at, question.page)
    _same(f"the search in pages of {question.page}", paged, [slot for slot in expected if slot[0] >= since])
    _same("the search of 0.1.0", await product.search_of_0_1_0(connection, *asked), expected)
    one = question.world.mechanics[-1].id
    alone = await product.search(connection, *asked, mechanic=one)
    _same("the search for one mechanic", alone, [slot for slot in expected if slot[1] == one])
    first = await product.first_free(connection, question.world, question.since, question.at) if expected else None
    if first and (first not in expected or first[0] != expected[0][0]):
        raise Different(f"the first free slot is {_slot(first)}, not {_slot(expected[0])}")


def _same(what: str, found: list[Slot], expected: list[Slot]) -> None:
    if found != expected:
        hidden = [_slot(slot) for slot in expected if slot not in found]
        extra = [_slot(slot) for slot in found if slot not in expected]
        raise Different(f"{what} hides {hidden}, shows {extra} and has {len(found)} slots for {len(expected)}")


async def _compare_checks(connection: Any, question: Question) -> None:
    slots = [*_on_grid(question), *_beside(question)]
    for slot, refusal in zip(slots, await product.checks(connection, question.world, slots, question.at), strict=True):
        _judge("the check", slot, refusal, question.world, question.at)


async def _compare_others(connection: Any, question: Question) -> None:
    """Who else asks the predicate: the check of a booking that is to be moved, late payments, `is_slot_available`."""
    world, at = question.world, question.at
    slots = _some([*_on_grid(question), *_beside(question)])
    for slot, free in zip(slots, await product.own_time(connection, world, slots, at), strict=True):
        end = slot[0] + world.service.duration
        if free != reference.own_time_is_free(world, world.mechanic(slot[1]), slot[0], end, at):
            raise Different(f"is_slot_available says {free} of {_slot(slot)}")
    slots = _some(_on_grid(question))
    for slot, free in zip(slots, await product.late_payments(connection, world, slots, at), strict=True):
        if free != reference.can_be_taken_again(world, world.mechanic(slot[1]), slot[0], at):
            raise Different(f"a late payment for {_slot(slot)} finds it free: {free}")
    for moving in [reservation.booking_id for reservation in world.reservations[:1]]:
        refusals = await product.checks(connection, world, slots, at, moving)
        without = world.moving(moving)
        for slot, refusal in zip(slots, refusals, strict=True):
            _judge("the check of a move", slot, refusal, without, at)


def _judge(who: str, slot: Slot, refusal: str | None, world: World, at: datetime) -> None:
    """A refusal names one of the reasons that hold; none: none holds."""
    reasons = reference.reasons(world, world.mechanic(slot[1]), slot[0], at)
    if (refusal not in reasons) if reasons else (refusal is not None):
        raise Different(f"{who} says {refusal} of {_slot(slot)}; reasons: {sorted(reasons)}")


async def _compare_holds(connection: Any, question: Question, free: set[Slot], most: int) -> None:
    world = question.world
    for start, id in _worth_holding(question, free, most):
        outcome = await product.try_hold(connection, world, world.mechanic(id), start, question.at)
        if (outcome.terms is not None) != ((start, id) in free):
            raise Different(f"the hold of {_slot((start, id))} says {outcome.reason}")
        if outcome.terms is None:
            _judge("the hold", (start, id), outcome.reason, world, question.at)
    for start in sorted({start for start, _ in _some(_on_grid(question), most // 3)}):
        await _compare_any(connection, question, start, [id for free_start, id in free if free_start == start])


async def _compare_any(connection: Any, question: Question, start: datetime, free: list[UUID]) -> None:
    """Where any mechanic would do, there is a hold as long as one is free, whoever was chosen at first."""
    first = question.world.mechanics[0]
    outcome = await product.try_hold(connection, question.world, first, start, question.at, any=True)
    held_by = (outcome.chosen_instead or first.id) if outcome.terms else None
    if (held_by not in free) if free else (held_by is not None):
        raise Different(f"any mechanic at {start} is {held_by}; free are {free}")


def _worth_holding(question: Question, free: set[Slot], most: int) -> Iterable[Slot]:
    """First those whose neighbour on the grid has the other answer."""
    slots = _on_grid(question)
    edges = {slot for pair in itertools.pairwise(slots) if (pair[0] in free) != (pair[1] in free) for slot in pair}
    rest = [slot for slot in slots if slot not in edges]
    return [*_some(sorted(edges), most), *_some(rest, most)][:most]


def _some(slots: list[Slot], most: int = 16) -> list[Slot]:
    """Not always the first ones, and the same ones whenever the same world is tried."""
    return random.Random(len(slots)).sample(slots, min(most, len(slots)))  # noqa: S311 - nothing is secret


def _on_grid(question: Question) -> list[Slot]:
    return [
        (start, mechanic.id)
        for mechanic in question.world.mechanics
        for start in reference.starts(question.world, mechanic, question.since, question.until)
    ]


def _beside(question: Question) -> Iterator[Slot]:
    """Starts off the grid, and those at which a session would be a minute beside the edge of the open hours."""
    duration = question.world.service.duration
    for mechanic in question.world.mechanics:
        yield question.since + timedelta(seconds=30), mechanic.id
        for edge in _edges(mechanic, question)[:4]:
            for moved in (-MINUTE, timedelta(0), MINUTE):
                yield edge + moved, mechanic.id
                yield edge + moved - duration, mechanic.id


def _edges(mechanic: Mechanic, question: Question) -> list[datetime]:
    """When the mechanic opens and closes."""
    span = reference.minutes(question.since, question.until)
    opened = [(minute, reference.is_open(mechanic, minute)) for minute in span]
    return [after[0] for before, after in itertools.pairwise(opened) if before[1] != after[1]]


def _slot(slot: Slot) -> str:
    return f"{slot[0]:%Y-%m-%dT%H:%M:%SZ} of {slot[1].int & 0xFF}"
