"""When a part that has died is started again."""

import time
from dataclasses import dataclass, field

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
STEADY_SECONDS = 60.0


@dataclass
class Supervision:
    """The delay doubles with each death in a row and begins anew once a part has lived for `STEADY_SECONDS`."""

    _delays: dict[str, float] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)

    def delay_after_death(self, name: str, lived_seconds: float) -> float:
        """Notes a death and returns after how many seconds the part is due."""
        last = self._delays.get(name)
        steady = last is None or lived_seconds >= STEADY_SECONDS
        delay = FIRST_DELAY_SECONDS if steady or last is None else min(2 * last, LONGEST_DELAY_SECONDS)
        self._delays[name] = delay
        self._due[name] = time.monotonic() + delay
        return delay

    def is_due(self, name: str) -> bool:
        return time.monotonic() >= self._due[name]
