"""How one command speaks to the stack that runs on a data folder: a lock, and requests as files.

The lock is held by the stack's process and let go by the kernel when that process ends, however it ends. A request is
a file in `control/`, and so is its answer: nothing to listen on, no limit on the length of a path.
"""

import fcntl
import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel

from pitstop.devstack.stackfile import write_private

LOCK = "stack.lock"
FOLDER = "control"
POLL_SECONDS = 0.1
# Whoever looks whether a stack runs holds the lock for a moment; a running stack holds it for longer than this.
CLAIM_SECONDS = 0.5


class AlreadyRunning(Exception):
    """Another stack runs on this data folder."""


class NotRunning(Exception):
    """No stack runs on this data folder."""


class NoAnswer(Exception):
    """The stack did not do in time what it was asked."""


class Request(BaseModel):
    """A wish to the running stack: stop this part, if it runs, and start it."""

    restart: str


class Answer(BaseModel):
    """What came of a request: the new process id, or what went wrong."""

    pid: int | None = None
    error: str | None = None


class Claim:
    """The right to run a stack on a data folder; `AlreadyRunning` when somebody has it. Held within `with`."""

    def __init__(self, data: Path) -> None:
        self._lock = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        until = time.monotonic() + CLAIM_SECONDS
        while not _locked(self._lock):
            if time.monotonic() > until:
                os.close(self._lock)
                raise AlreadyRunning(f"A stack runs on {data} already (process {running(data)}).")
            time.sleep(POLL_SECONDS)
        os.truncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)


def running(data: Path) -> int | None:
    """The process id of the stack that runs on this data folder, or None."""
    try:
        lock = os.open(data / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        if _locked(lock):
            return None
        return int(os.read(lock, 32) or 0) or None
    finally:
        os.close(lock)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def stop(data: Path, patience_seconds: float = 90) -> None:
    """Asks the stack to stop and waits until it has. `NotRunning` or `NoAnswer`."""
    pid = running(data)
    if pid is None:
        raise NotRunning(f"No stack runs on {data}.")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + patience_seconds
    while running(data) is not None or not _has_ended(pid):
        if time.monotonic() > until:
            raise NoAnswer(f"The stack (process {pid}) has not stopped after {patience_seconds:.0f} seconds.")
        time.sleep(POLL_SECONDS)


def _has_ended(pid: int) -> bool:
    """The lock is let go a moment before the process is gone. One that its parent has not collected is gone too."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ask(data: Path, request: Request, patience_seconds: float = 180) -> Answer:
    """Puts a request before the running stack and waits for its answer. `NotRunning` or `NoAnswer`."""
    name = uuid.uuid4().hex
    question, answer = data / FOLDER / f"{name}.request", data / FOLDER / f"{name}.answer"
    if running(data) is None or not question.parent.exists():
        raise NotRunning(f"No stack runs on {data}.")
    write_private(question, request.model_dump_json())
    until = time.monotonic() + patience_seconds
    while not answer.exists():
        if running(data) is None:
            raise NotRunning(f"The stack on {data} has stopped.")
        if time.monotonic() > until:
            question.unlink(missing_ok=True)
            raise NoAnswer(f"The stack has not answered after {patience_seconds:.0f} seconds.")
        time.sleep(POLL_SECONDS)
    content = answer.read_bytes()
    answer.unlink()
    return Answer.model_validate_json(content)


def open_requests(data: Path) -> None:
    """Makes the folder for requests, without those that a former stack left unanswered."""
    folder = data / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.iterdir():
        left.unlink()


def requests(data: Path) -> Iterator[tuple[str, Request]]:
    """The requests that wait for an answer, each with the name under which `answer` wants it back."""
    for path in (data / FOLDER).glob("*.request"):
        yield path.stem, Request.model_validate_json(path.read_bytes())


def answer(data: Path, name: str, content: Answer) -> None:
    write_private(data / FOLDER / f"{name}.answer", content.model_dump_json())
    (data / FOLDER / f"{name}.request").unlink(missing_ok=True)
