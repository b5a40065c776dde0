"""What the controls have in common: a product in which something is wrong, and a course that shows it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from pitstop.postgres import steps
from tests.life.model.machine import Course

NOW: tuple[None, bool] = (None, False)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
# What is wrong with the product in each, as a change of it, and what shows it; with the product as it is, nothing does.
Mutant = tuple[Callable[[pytest.MonkeyPatch], None], Callable[[Course], None]]

# Courses that have been played with the product as it is: once is enough for all controls that are shown by them.
_SOUND: set[Callable[[Course], None]] = set()


async def nothing(*_: object, **__: object) -> None:
    """Instead of a step."""


def without(monkeypatch: pytest.MonkeyPatch, statements: dict[str, str], name: str, what: str, by: str = "") -> None:
    assert what in statements[name], f"{name} has changed"
    monkeypatch.setitem(statements, name, statements[name].replace(what, by))


def sql(statements: dict[str, str], name: str, what: str, by: str = "") -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: without(patch, statements, name, what, by)


def instead(module: Any, name: str, other: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(module, name, other)


def not_told_of(kind: str) -> Callable[[pytest.MonkeyPatch], None]:
    """No mail of this kind is ever owed."""
    columns = "owed (key, kind, status, due_at, detail, channel, move, about)"
    return sql(steps._SQL, "owe_notices", columns, f"{columns} WHERE owed.kind <> '{kind}'")


def play_course(
    machine: type[Course], course: Callable[[Course], None], booked: tuple[bool, ...] = (True, True)
) -> None:
    """One course, with everything that the random ones are held to, of a shop in which this is `booked` before."""
    play = machine()
    play.a_shop_opens_and_has_bookings(booked)
    course(play)
    play.everything_is_as_it_ought_to_be()
    play.nobody_has_anothers_time()
    play.mails_go_out()
    play.everything_is_as_it_ought_to_be()
    play.teardown()


def shows(
    machine: type[Course], monkeypatch: pytest.MonkeyPatch, mutant: Mutant, booked: tuple[bool, ...] = (True, True)
) -> None:
    """With the product as it is, nothing is found; without the guard, it is."""
    take_away, course = mutant
    if course not in _SOUND:
        play_course(machine, course, booked)
        _SOUND.add(course)
    take_away(monkeypatch)
    with pytest.raises((AssertionError, asyncpg.IntegrityConstraintViolationError)):
        play_course(machine, course, booked)
