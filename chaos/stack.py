"""The stack that is broken: its own, on free ports, with data on disk that outlives a `kill -9`."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pitstop.devstack.names import ROOT
from pitstop.devstack.stackfile import Stack

START_SECONDS = 240
STOP_SECONDS = 90


class StackFailed(Exception):
    """The stack did not become ready; the text carries what it has said."""


class Reachable(Protocol):
    """A stack as its clients know it."""

    @property
    def now(self) -> Stack: ...


@dataclass(frozen=True, slots=True)
class Broken:
    """A running stack and its data folder; `now` says what it is like after the last restart of a part."""

    data: Path

    @property
    def now(self) -> Stack:
        return Stack.load(self.data)


@contextmanager
def running_stack(settings: Mapping[str, str], *options: str, keep: Path | None = None) -> Iterator[Broken]:
    """A ready stack whose worker and API have these `PITSTOP_…` variables. `keep`: its logs are copied there."""
    home = Path(tempfile.mkdtemp(prefix="pitstop-chaos-"))
    try:
        with (home / "stack.log").open("wb") as log:
            process = _up(home / "data", settings, options, log.fileno())
            try:
                yield _ready(home, process)
            finally:
                if keep is not None:
                    _keep(home, keep)
                _stop(process)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _up(data: Path, settings: Mapping[str, str], options: tuple[str, ...], log: int) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PITSTOP_")}
    return subprocess.Popen(
        [sys.executable, "-m", "pitstop.devstack", "up", "--no-demo", "--data", str(data), *options],
        cwd=ROOT,
        env=inherited | dict(settings),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches the chaos alone, which then stops the stack
    )


def _ready(home: Path, process: subprocess.Popen[bytes]) -> Broken:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        if (home / "data" / "stack.json").exists():
            return Broken(home / "data")
        time.sleep(0.1)
    raise StackFailed(f"the stack is not ready:\n{(home / 'stack.log').read_text(errors='replace')[-3000:]}")


def _keep(home: Path, folder: Path) -> None:
    logs = folder / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    shutil.copytree(home / "data" / "logs", logs, ignore_dangling_symlinks=True)
    shutil.copy(home / "stack.log", logs)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
