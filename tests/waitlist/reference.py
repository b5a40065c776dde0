"""What the waitlist has to do, in plain Python: one mechanic's slots, who waits for which, first come first."""

from dataclasses import dataclass, field


@dataclass
class Waiting:
    """Waits for one of the slots from `first` to `last`; `had`: those that it was offered before."""

    name: str
    first: int
    last: int
    missed: int = 0
    had: set[int] = field(default_factory=set)
    offer: int | None = None
    due: bool = True

    def could_take(self, slot: int) -> bool:
        return self.offer is None and self.first <= slot <= self.last and slot not in self.had


class Reference:
    """`line` is in order; `free`: slots that nobody has; `queue`: what has come free and was not looked at."""

    def __init__(self, slots: int, most_missed: int) -> None:
        self.line: list[Waiting] = []
        self.free: set[int] = set()
        self.queue: list[int] = []
        self.fulfilled: dict[str, int] = {}
        self._slots = slots
        self._most_missed = most_missed

    def waits(self, name: str) -> Waiting | None:
        return next((each for each in self.line if each.name == name), None)

    def join(self, name: str, first: int, last: int) -> None:
        self.line.append(Waiting(name, first, last))

    def comes_free(self, slot: int) -> None:
        self.free.add(slot)
        self.queue.append(slot)

    def miss(self, entry: Waiting) -> None:
        self._is_over(entry)
        entry.missed += 1
        self.line.remove(entry)
        if entry.missed < self._most_missed:
            self.line.append(entry)

    def decline(self, entry: Waiting) -> None:
        self._is_over(entry)

    def pay(self, entry: Waiting) -> None:
        assert entry.offer is not None
        self.fulfilled[entry.name] = entry.offer
        self.line.remove(entry)

    def leave(self, entry: Waiting) -> None:
        """Without an offer; one who has an offer declines it first."""
        self.line.remove(entry)

    def _is_over(self, entry: Waiting) -> None:
        assert entry.offer is not None
        self.comes_free(entry.offer)
        entry.offer, entry.due = None, True

    def serve(self) -> list[tuple[str, int]]:
        """Who is offered what, in order."""
        for entry in self.line:
            if entry.due and entry.offer is None:
                entry.due = False
                self.queue += [slot for slot in sorted(self.free) if entry.could_take(slot)][:1]
        made = []
        while self.queue:
            slot = self.queue[0]
            taker = next((each for each in self.line if each.could_take(slot)), None) if slot in self.free else None
            if taker is None:
                self.queue.pop(0)
                continue
            taker.offer = slot
            taker.had.add(slot)
            self.free.remove(slot)
            made.append((taker.name, slot))
        return made

    def nobody_is_passed_over(self) -> bool:
        """What is free is of no use to anybody who waits without an offer."""
        return not any(each.could_take(slot) for each in self.line for slot in self.free)
