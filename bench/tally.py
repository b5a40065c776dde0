"""What clients were answered, by kind of call and minute of the run."""

import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from pydantic import BaseModel

from bench.figures import percentile

# What is said on purpose to one who asks too much, or at a bad moment. Any other 5xx is a fault.
DELIBERATE = {"overloaded", "engine_unavailable", "database_unavailable", "payment_unavailable"}
NO_ANSWER = "no answer"


class Line(BaseModel):
    """One kind of call in one minute (counted from 0). Latencies, in ms, are those of calls that were done."""

    kind: str
    minute: int
    done: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass
class Tally:
    """Counts. `begun` is when minute 0 began, on the monotonic clock."""

    begun: float = field(default_factory=time.monotonic)
    latencies: defaultdict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    faults: list[str] = field(default_factory=list)

    def minute(self) -> int:
        return int((time.monotonic() - self.begun) / 60)

    def done(self, kind: str, seconds: float) -> None:
        self.latencies[kind, self.minute()].append(1000 * seconds)

    def answered(self, answer: httpx.Response) -> None:
        """Counts the status; a refusal by its code, too. A 5xx that is not deliberate is a fault."""
        code = str(answer.status_code)
        if answer.status_code in (429, 503):
            reason = answer.json().get("code", "?") if answer.content[:1] == b"{" else "not a problem"
            code = f"{code} {reason}"
            if answer.status_code == 503 and (reason not in DELIBERATE or "Retry-After" not in answer.headers):
                self._fault(answer)
        elif answer.status_code >= 500:
            self._fault(answer)
        self.statuses[self.minute()][code] += 1

    def lost(self, error: httpx.HTTPError) -> None:
        self.statuses[self.minute()][NO_ANSWER] += 1
        self.faults.append(f"{error.request.method} {error.request.url}: {NO_ANSWER}, {error!r}")

    def _fault(self, answer: httpx.Response) -> None:
        self.faults.append(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:200]}"
        )

    def lines(self, minutes: int) -> list[Line]:
        """For each kind and whole minute in which it was done at all."""
        return [
            _line(kind, minute, latencies)
            for (kind, minute), latencies in sorted(self.latencies.items())
            if minute < minutes
        ]


@asynccontextmanager
async def timed(tally: Tally, kind: str) -> AsyncIterator[None]:
    """Counts the block as one call that was done, unless it raises."""
    begin = time.perf_counter()
    yield
    tally.done(kind, time.perf_counter() - begin)


def _line(kind: str, minute: int, latencies: list[float]) -> Line:
    p50, p95, p99 = (percentile(latencies, percent) for percent in (50, 95, 99))
    return Line(
        kind=kind,
        minute=minute,
        done=len(latencies),
        per_second=len(latencies) / 60,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


class Flatness(BaseModel):
    """A figure of the last minute as a multiple of the second minute's: the first is still warming up."""

    what: str
    second: float
    last: float
    most: float

    @property
    def ratio(self) -> float:
        return self.last / self.second if self.second else 1.0

    @property
    def kept(self) -> bool:
        return self.ratio <= self.most


def flat_latencies(lines: Iterable[Line], minutes: int, most: float, fewest: int) -> list[Flatness]:
    """p95 by kind, where both minutes have enough calls for one."""
    by_place = {(line.kind, line.minute): line for line in lines}
    pairs = [
        (kind, by_place.get((kind, min(1, minutes - 1))), by_place.get((kind, minutes - 1)))
        for kind in sorted({kind for kind, _ in by_place})
    ]
    return [
        Flatness(what=f"p95 of {kind}, ms", second=early.p95_ms, last=late.p95_ms, most=most)
        for kind, early, late in pairs
        if early and late and min(early.done, late.done) >= fewest
    ]
