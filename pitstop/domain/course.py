"""What a booking's run brings along to its steps: agreed when it was made, and the same for all its life."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pitstop.domain.offering import Patience


@dataclass(frozen=True, slots=True)
class Course:
    """How long before the start it reminds (`offsets`) and lets people in (`waiting_room`).

    `to_pay`: how long the customer may pay a difference, for which the new time is held; `grace`: how much longer.

    `paid`: whether the customer has paid, where the run has it from Stripe; None: as it is on record. `patience`: how
    long an immediate session waits for somebody who takes it.
    """

    offsets: Sequence[timedelta]
    waiting_room: timedelta
    paid: bool | None = None
    patience: Patience = field(default_factory=Patience)
    to_pay: timedelta = timedelta(minutes=15)
    grace: timedelta = timedelta(seconds=30)
