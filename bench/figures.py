"""Percentiles and ratios. Latencies are milliseconds, CPU is seconds, unless a name says otherwise."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel


def percentile(values: Sequence[float], percent: float) -> float:
    """Linear between the two nearest ranks; `percent` from 0 to 100. ValueError without values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = (len(ordered) - 1) * percent / 100
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


@dataclass(slots=True)
class Batch:
    """What came of one spell of load: each call's latency, the spell's length, the CPU that each process used in it."""

    latencies_ms: list[float]
    seconds: float
    cpu_seconds: dict[str, float] = field(default_factory=dict)


class Figures(BaseModel):
    """One system under one number of callers, over all rounds. `cpu_ms` is for one call, by process."""

    system: str
    callers: int
    calls: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    per_second: float
    cpu_ms: dict[str, float]


class Ratio(BaseModel):
    """One system's figure as a multiple of another's in the same run; `by_round` shows how much noise there was."""

    figure: str
    of: str
    to: str
    callers: int
    ratio: float
    by_round: list[float]


def summed_up(system: str, callers: int, batches: Sequence[Batch]) -> Figures:
    latencies = [latency for batch in batches for latency in batch.latencies_ms]
    processes = sorted({name for batch in batches for name in batch.cpu_seconds})
    return Figures(
        system=system,
        callers=callers,
        calls=len(latencies),
        p50_ms=percentile(latencies, 50),
        p95_ms=percentile(latencies, 95),
        p99_ms=percentile(latencies, 99),
        per_second=len(latencies) / sum(batch.seconds for batch in batches),
        cpu_ms={
            name: 1000 * sum(batch.cpu_seconds.get(name, 0.0) for batch in batches) / len(latencies)
            for name in processes
        },
    )


def cpu_ratio(callers: int, of: tuple[str, Sequence[Batch]], to: tuple[str, Sequence[Batch]]) -> Ratio:
    """The CPU of one call of one system, all processes together, over that of the other."""

    def each(batches: Sequence[Batch]) -> float:
        used = sum(sum(batch.cpu_seconds.values()) for batch in batches)
        return used / sum(len(batch.latencies_ms) for batch in batches)

    return _ratio("CPU", callers, of, to, each)


def latency_ratio(
    percent: float, callers: int, of: tuple[str, Sequence[Batch]], to: tuple[str, Sequence[Batch]]
) -> Ratio:
    """The percentile of one system over that of another, pooled over the rounds and for each round."""

    def pooled(batches: Sequence[Batch]) -> float:
        return percentile([latency for batch in batches for latency in batch.latencies_ms], percent)

    return _ratio(f"p{percent:g}", callers, of, to, pooled)


def _ratio(
    figure: str,
    callers: int,
    of: tuple[str, Sequence[Batch]],
    to: tuple[str, Sequence[Batch]],
    measure: Callable[[Sequence[Batch]], float],
) -> Ratio:
    rounds = zip(of[1], to[1], strict=True)
    return Ratio(
        figure=figure,
        of=of[0],
        to=to[0],
        callers=callers,
        ratio=_over(measure(of[1]), measure(to[1])),
        by_round=[_over(measure([first]), measure([second])) for first, second in rounds],
    )


def _over(figure: float, other: float) -> float:
    """Not a number where the other is nothing: a short spell can have less CPU than the kernel's tick."""
    return figure / other if other else math.nan
