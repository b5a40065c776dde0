"""Free time as the predicate finds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class FreeTime:
    """Runs of starts, one step after another: `mechanics[i]` can begin from `firsts[i]` on until `lasts[i]`, inclusive.

    `mechanic_is_known` is false when one was named and there is none such.
    """

    step_minutes: int
    duration_minutes: int
    mechanic_is_known: bool
    mechanics: Sequence[UUID]
    firsts: Sequence[datetime]
    lasts: Sequence[datetime]
