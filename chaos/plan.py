"""What a run does, as a pure function of its seed: which bookings, of which kind and when, and which faults meanwhile.

The plan is the same for the same seed and sizes. What becomes of it is not: processes die where they happen to be.
"""

import random
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import cycle, islice

from pydantic import BaseModel, ConfigDict

PARTS = ("worker", "api", "temporal", "postgres", "stripe")
# Those that are struck by themselves.
ALONE = (*PARTS, "mail", "twilio")
MECHANICS = 24
# Those of them who are there for what is handed over: none is booked otherwise.
SPARE_MECHANICS = 4
# Those of a workshop, and the bays that they share.
IN_PERSON_MECHANICS = 4
BAYS = 2
# Who takes a session at once is not free for the next one for two minutes.
AT_ONCE_MECHANICS = 16
# A session of one minute and a minute's buffer after it: neighbours touch, so that any overlap is a real one.
SLOT_MINUTES = 2
_DAY = 1440
_FAR_AHEAD = 3 * _DAY
# Reminders and the end of a session come about in a run when it starts this soon.
_LEAD_MINUTES = 2
_RIVALS = 4


class Kind(StrEnum):
    """What a customer does, and what is done to the webhooks of the booking."""

    PAID = "paid"
    DECLINED_THEN_PAID = "declined, then paid"
    DECLINED = "declined"
    ABANDONED = "abandoned"
    LATE_SLOT_FREE = "paid late, slot free"
    LATE_SLOT_TAKEN = "paid late, slot taken"
    LOST_WEBHOOK = "webhook lost"
    DUPLICATED_WEBHOOKS = "webhooks duplicated"
    REORDERED_WEBHOOKS = "webhooks reordered"
    SAME_KEY_AT_ONCE = "same key twice at once"
    RIVALS = "rivals for one slot"
    BAY_RIVALS = "in person, any mechanic, rivals for the bays"
    BACK_WITH_ITS_KEY = "left before the answer, came back"
    GONE = "left before the answer for good"
    CALLED_OFF_UNPAID = "called off before payment"
    CALLED_OFF_PAID = "called off after payment"
    ERASED_UNPAID = "not paid, then erased"
    ERASED_REFUNDED = "called off after payment, then erased"
    MOVED = "moved, and moved again"
    MOVED_TO_A_RIVALS = "moved to a slot that a rival wants"
    CANCELLED_UNPAID = "cancelled before payment"
    CANCELLED = "cancelled, all goes back"
    CANCELLED_IN_PART = "cancelled, half goes back"
    CANCELLED_LATE = "cancelled, nothing goes back"
    MOVED_AND_CANCELLED = "moved, then cancelled, half goes back"
    HELD_SESSION = "started and completed"
    MISSED = "customer did not come"
    HANDED_OVER = "handed over to another mechanic"
    HANDED_OVER_TO_A_RIVALS = "handed over to a mechanic whom a rival wants"
    PROPOSED = "another time proposed, and taken"
    PROPOSED_DECLINED = "another time proposed, and declined"
    CHEAPER = "moved to a cheaper plan"
    CHEAPER_CANCELLED = "moved to a cheaper plan, then cancelled"
    DEARER = "moved to a dearer plan, which is paid"
    DEARER_UNPAID = "wants a dearer plan, and does not pay"
    DEARER_CANCELLED = "wants a dearer plan, then cancels"
    DEARER_PAID_AND_CANCELLED = "pays for a dearer plan as it cancels"
    WORD_GIVEN = "the workshop confirms; signed, started and completed"
    WORD_OTHER_TIME = "the workshop proposes another time, which is taken"
    WORD_OTHER_TIME_DECLINED = "the workshop proposes another time, which is declined"
    WORD_DECLINED = "the workshop declines"
    WORD_LAPSED = "the workshop does not answer"
    WORD_NOT_AWAITED = "cancelled before the workshop has answered"
    WAITED_FOR = "waited for and given back; the first in line pays"
    WAITED_FOR_TWICE = "waited for and given back; the first in line lets it pass"
    WAITED_LEFT = "waited for and given back; the first in line leaves"
    TEXTED = "reminded by text message"
    TEXTED_STOP = "reminded by text message, replies STOP"
    RESENT = "paid, and told once more"
    REFERRED = "started, and referred to a workshop"
    BY_REFERRAL = "booked by a referral, rivals for it"
    AT_ONCE = "at once, several mechanics want it"
    AT_ONCE_LAPSED = "at once, nobody takes it"
    AT_ONCE_LAST_MOMENT = "at once, taken in the last moment or not"
    AT_ONCE_CANCELLED = "at once, cancelled while somebody takes it"


class Trade(StrEnum):
    """With whom a booking is made: each has a service and mechanics of its own."""

    ONLINE = "online"
    VISIT = "visit"
    AT_ONCE = "at once"
    YARD = "yard"
    QUEUE = "queue"


# Those of the others are online.
_TRADES = {
    Trade.VISIT: (Kind.BAY_RIVALS, Kind.BY_REFERRAL),
    # A workshop that wants to be asked.
    Trade.YARD: (
        Kind.WORD_GIVEN,
        Kind.WORD_OTHER_TIME,
        Kind.WORD_OTHER_TIME_DECLINED,
        Kind.WORD_DECLINED,
        Kind.WORD_LAPSED,
        Kind.WORD_NOT_AWAITED,
    ),
    Trade.QUEUE: (Kind.WAITED_FOR, Kind.WAITED_FOR_TWICE, Kind.WAITED_LEFT),
    Trade.AT_ONCE: (Kind.AT_ONCE, Kind.AT_ONCE_LAPSED, Kind.AT_ONCE_LAST_MOMENT, Kind.AT_ONCE_CANCELLED),
}
TRADE = {kind: trade for trade, kinds in _TRADES.items() for kind in kinds}

# What comes of another customer's booking.
BY_OTHERS = frozenset((Kind.BY_REFERRAL,))
_TEXTED = (Kind.TEXTED, Kind.TEXTED_STOP)
# Of whom nothing can be seen before a minute is over: no part of a short run.
SOON = frozenset((Kind.MISSED, Kind.WORD_LAPSED))
# How many minutes ahead their sessions are, where that is the point of them. None that a run would have to wait for.
_AHEAD = {
    Kind.CANCELLED_IN_PART: 5 * 60,
    Kind.MOVED_AND_CANCELLED: 5 * 60,
    Kind.CANCELLED_LATE: 90,
    Kind.HELD_SESSION: 8,
    Kind.WORD_GIVEN: 8,
    Kind.REFERRED: 8,
    Kind.WORD_NOT_AWAITED: 5 * 60,
    Kind.WORD_LAPSED: 1,
    Kind.MISSED: 1,
}


class FaultKind(StrEnum):
    KILL = "kill"
    KILL_TOGETHER = "kill together"
    PAUSE = "pause"
    PAUSE_TOGETHER = "pause together"
    STRIPE = "stripe"
    WEBHOOKS = "webhooks"
    MAIL = "mail"
    TEXTS = "texts"
    TEXT_NEWS = "text news"


class _Planned(BaseModel):
    model_config = ConfigDict(frozen=True)


class Booking(_Planned):
    """A customer's booking. `at`: seconds from the run's start; `minute`: of its session, from the run's first minute.

    `calm`: it is over with before the first fault, and says how long things take without. `rival`: which of those who
    want the same slot.
    """

    number: int
    rival: int = 0
    kind: Kind
    at: float
    mechanic: int
    minute: int
    calm: bool = False

    @property
    def trade(self) -> Trade:
        return TRADE.get(self.kind, Trade.ONLINE)

    @property
    def wants_texts(self) -> bool:
        """Those of whom texts are the point, who wait for somebody at once, and of the others every third customer."""
        return self.kind in _TEXTED or self.trade is Trade.AT_ONCE or self.number % 3 == 0


class Fault(_Planned):
    """A fault. Those of processes come one after another and last `seconds`; the others strike `times` calls."""

    kind: FaultKind
    what: str
    targets: tuple[str, ...] = ()
    at: float
    seconds: float = 0
    times: int = 1


class Plan(_Planned):
    seed: int
    bookings: tuple[Booking, ...]
    faults: tuple[Fault, ...]


def make(seed: int, bookings: int, seconds: float, *, quick: bool = False) -> Plan:
    """The plan for so many bookings made in so many seconds, the first fifth of them without a fault.

    `quick`: each kind of fault about once, and no sessions that begin within the run: it would be two minutes longer.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret: a plan is to be repeatable
    calm = seconds / 5
    return Plan(
        seed=seed,
        bookings=tuple(_bookings(dice, bookings, seconds, calm, soon=not quick)),
        faults=tuple(sorted(_faults(dice, calm, seconds, quick), key=lambda fault: fault.at)),
    )


def _bookings(dice: random.Random, count: int, seconds: float, calm: float, soon: bool) -> Iterator[Booking]:
    """Every kind in turn, in an order of the dice. The calm ones are those whose ways are the same each time."""
    moments = sorted(dice.uniform(0, seconds) for _ in range(count))
    quiet = [moment for moment in moments if moment < calm]
    wanted = [kind for kind in Kind if kind not in BY_OTHERS and (soon or kind not in SOON)]
    # Where there are fewer bookings than kinds, the dice say which.
    played = islice(cycle(_shuffled(dice, iter(wanted))), count - len(quiet))
    kinds = [Kind.PAID] * len(quiet) + _shuffled(dice, played)
    slots = _Slots()
    for number, (moment, kind) in enumerate(zip(moments, kinds, strict=True)):
        half = kind in _TEXTED or (number % 2 == 0 and kind not in _FAR)
        early = _AHEAD.get(kind, 0 if soon and half else None)
        near = slots.near(int(moment // 60) + _LEAD_MINUTES + early) if early is not None else None
        mechanic, minute = near or slots.far()
        booking = Booking(
            number=number, kind=kind, at=moment, mechanic=mechanic, minute=minute, calm=number < len(quiet)
        )
        if near is None and early:
            kind, booking = Kind.PAID, booking.model_copy(update={"kind": Kind.PAID})
        for rival in range(_RIVALS if kind in (Kind.RIVALS, Kind.BAY_RIVALS) else 1):
            yield booking.model_copy(update={"rival": rival})


# They get all of their money back, or move on by some slots of their mechanic's that nobody else is given.
_FAR = frozenset(
    (
        Kind.MOVED,
        Kind.MOVED_TO_A_RIVALS,
        Kind.CANCELLED,
        Kind.HANDED_OVER,
        Kind.HANDED_OVER_TO_A_RIVALS,
        Kind.PROPOSED,
        Kind.PROPOSED_DECLINED,
        Kind.CHEAPER,
        Kind.CHEAPER_CANCELLED,
        Kind.DEARER,
        Kind.DEARER_UNPAID,
        Kind.DEARER_CANCELLED,
        Kind.DEARER_PAID_AND_CANCELLED,
        Kind.WORD_OTHER_TIME,
        Kind.WORD_OTHER_TIME_DECLINED,
        Kind.WORD_DECLINED,
        *_TRADES[Trade.QUEUE],
        *_TRADES[Trade.AT_ONCE],
    )
)


class _Slots:
    """Gives out mechanics' slots, none of them twice."""

    def __init__(self) -> None:
        self._far = 0
        self._near: dict[int, set[int]] = {}

    def far(self) -> tuple[int, int]:
        """Days ahead, one after another without a gap."""
        slot, mechanic = divmod(self._far, MECHANICS)
        self._far += 1
        return mechanic, _FAR_AHEAD + slot * SLOT_MINUTES

    def near(self, minute: int) -> tuple[int, int] | None:
        """A slot at that minute, of a mechanic who has it free; None when nobody has."""
        for mechanic in range(MECHANICS):
            taken = self._near.setdefault(mechanic, set())
            if not taken & set(range(minute - SLOT_MINUTES + 1, minute + SLOT_MINUTES)):
                taken.add(minute)
                return mechanic, minute
        return None


def _shuffled(dice: random.Random, kinds: Iterator[Kind]) -> list[Kind]:
    mixed = list(kinds)
    dice.shuffle(mixed)
    return mixed


# Faults

_TOGETHER = (("worker", "api"), ("temporal", "worker"), ("postgres", "temporal"), ("stripe", "api"), PARTS)
_STRIPE = ("error_500", "error_429", "timeout_after", "error_after", "delay")
_WEBHOOKS = ("drop", "delay", "duplicate", "reorder")
_MAIL = ("reject_4xx", "accept_then_drop_connection")
_TEXTS = ("error_500", "error_429", "timeout_after", "error_after", "delay")
_TEXT_NEWS = ("drop", "delay", "duplicate", "reverse")


def _faults(dice: random.Random, first: float, last: float, quick: bool) -> list[Fault]:
    """In the quick form each kind of fault strikes once, in the long form they go round until the time is over."""
    return [
        *_processes(dice, first, last, quick),
        *_calls(dice, FaultKind.STRIPE, _STRIPE, first, last, every=2.0, once=quick),
        *_calls(dice, FaultKind.WEBHOOKS, _WEBHOOKS, first, last, every=2.5, once=quick),
        *_calls(dice, FaultKind.MAIL, _MAIL, first, last, every=5.0, once=quick),
        *_calls(dice, FaultKind.TEXTS, _TEXTS, first, last, every=5.0, once=quick),
        *_calls(dice, FaultKind.TEXT_NEWS, _TEXT_NEWS, first, last, every=8.0, once=quick),
    ]


def _processes(dice: random.Random, first: float, last: float, quick: bool) -> Iterator[Fault]:
    episodes = _episodes(dice, quick)
    apart = (last - first) / len(episodes) if quick else 0
    moment = first
    while moment < last:
        for kind, targets in episodes if quick else _mixed(dice, episodes):
            seconds = dice.uniform(0.3, 1.5) if quick else dice.uniform(0.3, 5)
            yield Fault(kind=kind, what="+".join(targets), targets=targets, at=moment, seconds=seconds)
            moment += apart or dice.uniform(7, 13)
            if moment >= last:
                return


def _episodes(dice: random.Random, quick: bool) -> list[tuple[FaultKind, tuple[str, ...]]]:
    kills = [(FaultKind.KILL, (part,)) for part in ALONE]
    together = [(FaultKind.KILL_TOGETHER, parts) for parts in _TOGETHER]
    pauses = [(FaultKind.PAUSE, (part,)) for part in ALONE]
    all_at_once = [(FaultKind.PAUSE_TOGETHER, parts) for parts in _TOGETHER]
    if quick:
        return _mixed(dice, [*kills, dice.choice(together), dice.choice(pauses), dice.choice(all_at_once)])
    # The worker is what the saga runs on: it dies most often.
    return [*kills, *kills[:1], *together, *pauses, *all_at_once]


def _mixed(
    dice: random.Random, episodes: Sequence[tuple[FaultKind, tuple[str, ...]]]
) -> list[tuple[FaultKind, tuple[str, ...]]]:
    mixed = list(episodes)
    dice.shuffle(mixed)
    return mixed


def _calls(
    dice: random.Random,
    kind: FaultKind,
    names: tuple[str, ...],
    first: float,
    last: float,
    every: float,
    once: bool,
) -> Iterator[Fault]:
    count = len(names) if once else max(len(names), int((last - first) / every))
    for name in islice(cycle(names), count):
        yield Fault(
            kind=kind,
            what=name,
            at=dice.uniform(first, last),
            seconds=dice.choice((1.0, 3.0, 12.0))
            if kind in (FaultKind.STRIPE, FaultKind.TEXTS)
            else dice.uniform(1, 4),
            times=dice.randint(1, 4),
        )
