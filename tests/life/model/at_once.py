"""An immediate session in plain Python: written from docs/immediate.md. No time, no mechanic, until one takes it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from tests.life.model.rules import Expected

# The preferred mechanic alone, each wave, and the whole search.
ALONE, WAVE, WHOLE = timedelta(minutes=1), timedelta(minutes=1), timedelta(minutes=10)
# The postal area, the city, the country, everywhere.
_WAVES = 4
_TAKEN = ("in_progress", "completed", "no_show")


@dataclass(frozen=True, slots=True)
class Crew:
    """Who is to be asked at this moment, who has the time free, and who is online at all."""

    asked: Collection[UUID]
    free: Collection[UUID]
    online: Collection[UUID]


@dataclass(slots=True)
class AtOnce(Expected):
    """Until somebody takes it, `start` stands for the end of the search and `mechanic` for nobody.

    `distance`: in which wave each mechanic is asked. `wave`: the last one that was; -1: the preferred mechanic alone.
    """

    preferred: UUID | None = None
    distance: Mapping[UUID, int] = field(default_factory=dict)
    offers: dict[UUID, str | None] = field(default_factory=dict)
    wave: int = -1
    widens: datetime | None = None

    @property
    def is_taken(self) -> bool:
        return self.status in _TAKEN

    @property
    def place(self) -> tuple[datetime | None, UUID | None]:
        return (self.start, self.mechanic) if self.is_taken else (None, None)

    @property
    def asked(self) -> dict[str, str | None]:
        return {str(mechanic): outcome for mechanic, outcome in self.offers.items()}

    @property
    def turns(self) -> datetime | None:
        return self.widens if self.status == "pending" else None

    def is_wanted(self, now: datetime) -> None:
        """It is to be paid for; no slot waits for that."""
        self.is_held(now)
        self.live = False

    def is_paid_for(self, crew: Crew, now: datetime) -> None:
        self.status, self.session, self.paid, self.lapses = "pending", "pending", True, None
        self.start = now + WHOLE
        if self.preferred is not None and self.preferred in crew.asked:
            self._is_offered([self.preferred])
            self.widens = now + ALONE
        else:
            self.reaches_further(crew, now)

    def search_goes_on(self, crew: Crew, now: datetime) -> None:
        """What the clock asks."""
        if now >= self.start:
            self._is_given_up()
        elif self.widens is not None and now >= self.widens:
            self.reaches_further(crew, now)

    def reaches_further(self, crew: Crew, now: datetime) -> None:
        """The next wave, and the one after it at once where nobody considers it; the last one again and again."""
        self._asks_the_next(crew)
        while self.wave < _WAVES - 1 and not self._is_considered(crew):
            self._asks_the_next(crew)
        self.widens = min(now + WAVE, self.start)

    def _asks_the_next(self, crew: Crew) -> None:
        self.wave = min(self.wave + 1, _WAVES - 1)
        self._is_offered(each for each in crew.asked if self.distance[each] <= self.wave)

    def _is_offered(self, mechanics: Iterable[UUID]) -> None:
        """Nobody is asked twice."""
        for each in mechanics:
            self.offers.setdefault(each, None)

    def _is_considered(self, crew: Crew) -> bool:
        return any(outcome is None and mechanic in crew.online for mechanic, outcome in self.offers.items())

    def answer_to(self, mechanic: UUID, crew: Crew, now: datetime) -> str | None:
        """Why this mechanic cannot take it; None: it can, or has."""
        if self.status == "in_progress":
            return None if mechanic == self.mechanic else "already_taken"
        asked = self.status == "pending" and now < self.start and self.offers.get(mechanic, "nobody") is None
        if not asked or mechanic not in crew.online:
            return "not_on_offer"
        return None if mechanic in crew.free else "slot_unavailable"

    def answer_to_no(self, mechanic: UUID, now: datetime) -> str | None:
        """Why this mechanic cannot say no."""
        if self.status == "in_progress":
            return "already_taken"
        return None if self.status == "pending" and now < self.start and mechanic in self.offers else "not_on_offer"

    def is_taken_by(self, mechanic: UUID, now: datetime) -> None:
        self.status = self.session = "in_progress"
        self.start, self.mechanic, self.live = now, mechanic, True
        self.came.add("mechanic")
        self._closes_offers()
        self.offers[mechanic] = "accepted"
        self.owes_both("taken")

    def is_declined_by(self, mechanic: UUID, crew: Crew, now: datetime) -> None:
        if self.offers[mechanic] is None:
            self.offers[mechanic] = "declined"
            if not self._is_considered(crew):
                self.reaches_further(crew, now)

    def _is_given_up(self) -> None:
        """Nobody has taken it in time: all of the money goes back."""
        self._settled("refunded", self.amount)
        self.session = "cancelled"
        self._skips()
        self.owes_both("not_taken")

    def lets_go(self) -> None:
        Expected.lets_go(self)
        self._closes_offers()

    def _closes_offers(self) -> None:
        self.offers = {each: outcome or "lapsed" for each, outcome in self.offers.items()}
