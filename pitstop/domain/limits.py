"""How much of the product one caller, address or card may use."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Budget:
    """A bucket of calls: it holds a minute's worth and fills evenly. `key` says whose it is, as a keyed hash."""

    name: str
    key: bytes
    per_minute: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Calls drawn from a budget; none: `wait_seconds` until there will be one."""

    calls: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Origin:
    """Somebody whose unpaid holds are counted; `key` is a keyed hash.

    `most`: how many may stand at a time. `unpaid`: how many may end unpaid in the window before the next has to wait;
    None for no such wait.
    """

    kind: str
    key: bytes
    most: int
    unpaid: int | None = None


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """The rules for a hold that is asked for. Origins come in the order of their keys: two claims never deadlock."""

    origins: tuple[Origin, ...]
    lasts: timedelta
    cards: int
    window: timedelta
    first_delay: timedelta
    longest_delay: timedelta


@dataclass(frozen=True, slots=True)
class DeclineLimits:
    """How often payments may be declined before a booking's payment is stopped: for one booking, and of one card in how
    many unpaid bookings within the window."""

    per_booking: int
    bookings_per_card: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Declines:
    """How often payments of a booking were declined; and of its declined cards, the most unpaid bookings of one."""

    of_booking: int
    bookings_of_card: int

    def exceed(self, limits: DeclineLimits) -> bool:
        return self.of_booking >= limits.per_booking or self.bookings_of_card > limits.bookings_per_card


@dataclass(frozen=True, slots=True)
class HoldsExhausted:
    """No further hold before `wait_seconds` have passed; `kind` is that of the origin whose limit it is, or `card`."""

    kind: str
    wait_seconds: float
