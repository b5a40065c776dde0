"""The stack that is measured: started for one program, with throw-away data, and stopped however that program ends."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pitstop.devstack.limits import ONE_CALLER
from pitstop.devstack.names import ROOT
from pitstop.devstack.stackfile import Stack

START_SECONDS = 240
STOP_SECONDS = 90
# What the product's processes are called in stack.json. Stripe's server, mail sink and issuer are not the product's.
PRODUCT = ("temporal", "worker", "api", "postgres")


class StackFailed(Exception):
    """The stack did not become ready; the text carries what it has said."""


@contextmanager
def running_stack(settings: Mapping[str, str], *, in_memory: bool = True) -> Iterator[Stack]:
    """A ready stack of its own whose worker and API have these `PITSTOP_…` variables on top of the defaults.

    Temporal keeps its data in memory or in a file, PostgreSQL on disk; a bare workflow runs on that very server.
    """
    home = Path(tempfile.mkdtemp(prefix="pitstop-bench-"))
    try:
        with (home / "stack.log").open("wb") as log:
            process = _up(home / "data", settings, in_memory, log.fileno())
            try:
                yield _ready(home, process)
            finally:
                stop(process, STOP_SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _up(data: Path, settings: Mapping[str, str], in_memory: bool, log: int) -> subprocess.Popen[bytes]:
    kind = ["--ephemeral"] if in_memory else []
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PITSTOP_")}
    return subprocess.Popen(
        [sys.executable, "-m", "pitstop.devstack", "up", *kind, "--no-demo", "--data", str(data)],
        cwd=ROOT,
        env=inherited | ONE_CALLER | dict(settings),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches the bench alone, which then stops the stack
    )


def _ready(home: Path, process: subprocess.Popen[bytes]) -> Stack:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            return Stack.load(home / "data")
        except FileNotFoundError:
            time.sleep(0.1)
    raise StackFailed(f"the stack is not ready:\n{(home / 'stack.log').read_text(errors='replace')[-3000:]}")


def stop(process: subprocess.Popen[bytes], patience_seconds: float) -> None:
    """Ends a process that was started here, asking first."""
    process.terminate()
    try:
        process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
