"""CPU time of processes as the kernel counts it in /proc, in seconds."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Positions in /proc/<pid>/stat after the command's closing bracket: see proc_pid_stat(5).
_PARENT, _OWN, _COLLECTED = 1, slice(11, 13), slice(13, 15)


def cpu_seconds(root: int) -> float:
    """User and system time of a process and all that descend from it, those that have ended included.

    An ended child's time counts from when its parent has collected it. ProcessLookupError when the process is gone.
    """
    total = 0.0
    for pid in descendants(root):
        with suppress(FileNotFoundError, ProcessLookupError):
            total += _seconds(_fields(pid))
    return total


def descendants(root: int) -> list[int]:
    """The process and all that descend from it. ProcessLookupError when it is gone."""
    children = _children()
    if root not in children and not Path(f"/proc/{root}").exists():
        raise ProcessLookupError(f"process {root} has ended")
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _seconds(fields: list[str]) -> float:
    return sum(int(ticks) for ticks in (*fields[_OWN], *fields[_COLLECTED])) / _TICKS


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                found.setdefault(int(_fields(int(entry))[_PARENT]), []).append(int(entry))
    return found


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds of CPU by process name, and when they were read (seconds of the monotonic clock)."""

    at: float
    used: dict[str, float]


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds by process name in a span of wall-clock seconds."""

    seconds: float
    used: dict[str, float]

    def without(self, idle: "Usage") -> "Usage":
        """Less what the same processes would have used in this span doing nothing."""
        share = self.seconds / idle.seconds
        return Usage(self.seconds, {name: used - idle.used[name] * share for name, used in self.used.items()})

    def plus(self, other: "Usage") -> "Usage":
        return Usage(self.seconds + other.seconds, {name: used + other.used[name] for name, used in self.used.items()})

    def of_one(self, count: int) -> dict[str, float]:
        """Milliseconds for each of `count`."""
        return {name: 1000 * used / count for name, used in self.used.items()}


class Meter:
    """Reads the CPU of named processes."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)

    def read(self) -> Reading:
        return Reading(time.monotonic(), {name: cpu_seconds(pid) for name, pid in self._pids.items()})

    def since(self, begin: Reading) -> Usage:
        now = self.read()
        return Usage(now.at - begin.at, {name: used - begin.used[name] for name, used in now.used.items()})
