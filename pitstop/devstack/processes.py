"""Processes that are started, watched and ended for certain. Each one leads a session and a process group of its own.

A terminal's Ctrl-C therefore reaches the stack alone, which ends its parts in its own order.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, TypeAdapter

from pitstop.devstack.stackfile import write_private

POLL_SECONDS = 0.02
# Start times come from the boot time, which moves by a moment when the clock is set.
START_TOLERANCE_SECONDS = 2.0


class CommandFailed(Exception):
    """A command that should do its work and end with 0 ended otherwise; the text carries its output."""


@dataclass(frozen=True)
class Account:
    """Whose process it is to be, when not ours: user and group id."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """What to run and where. `environment` is all that the process gets, not an addition to ours."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    account: Account | None = None


class Record(BaseModel):
    """A process as found again later: a process id alone may by then belong to somebody else."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    started_at: float
    arguments: tuple[str, ...]
    stop_signal: int = signal.SIGTERM

    def find(self) -> psutil.Process | None:
        """The process, if it still runs and is the one recorded."""
        try:
            process = psutil.Process(self.pid)
            same_start = abs(process.create_time() - self.started_at) <= START_TOLERANCE_SECONDS
            same_command = tuple(process.cmdline()) == self.arguments
        except psutil.Error:
            return None
        return process if same_start and same_command else None


RECORDS = TypeAdapter(tuple[Record, ...])


def load_records(path: Path) -> tuple[Record, ...]:
    return RECORDS.validate_json(path.read_bytes()) if path.exists() else ()


def save_records(path: Path, records: Iterable[Record]) -> None:
    write_private(path, RECORDS.dump_json(tuple(records), indent=2).decode())


@dataclass
class Child:
    """A process of ours that runs until it is stopped or dies."""

    name: str
    popen: subprocess.Popen[bytes]
    stop_signal: signal.Signals = signal.SIGTERM
    started: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self.popen.poll()

    def record(self) -> Record | None:
        """How to find it again; None when it has ended already."""
        try:
            process = psutil.Process(self.pid)
            return Record(
                name=self.name,
                pid=self.pid,
                started_at=process.create_time(),
                arguments=tuple(process.cmdline()),
                stop_signal=self.stop_signal,
            )
        except psutil.Error:
            return None


def spawn(name: str, command: Command, log: Path, stop_signal: signal.Signals = signal.SIGTERM) -> Child:
    """Starts a process that writes both its outputs to the end of `log`. OSError when it cannot be started."""
    with log.open("ab") as output:
        output.write(f"--- {name} starts at {datetime.now(UTC).isoformat(timespec='milliseconds')}\n".encode())
        output.flush()
        return Child(name, _popen(command, output.fileno()), stop_signal)


def _popen(command: Command, output: int) -> subprocess.Popen[bytes]:
    account = command.account
    return subprocess.Popen(  # noqa: S603 - the stack's own command lines
        list(command.arguments),
        cwd=command.folder,
        env=dict(command.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


async def run(command: Command) -> str:
    """Runs a command to its end and returns its output. `CommandFailed` when it fails; cancelled, it leaves nothing."""
    with tempfile.TemporaryFile() as output:
        popen = _popen(command, output.fileno())
        try:
            await _end_of(popen)
        finally:
            if popen.poll() is None:
                kill_group(popen.pid)
                popen.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if popen.returncode:
        raise CommandFailed(f"{Path(command.arguments[0]).name} ended with {popen.returncode}:\n{text.strip()}")
    return text


async def stop(child: Child, patience_seconds: float, hurry: asyncio.Event) -> None:
    """Asks the process to end and waits; kills it and all of its group when patience runs out or `hurry` is set."""
    if child.exit_code is None:
        child.popen.send_signal(child.stop_signal)
    ended, hurried = asyncio.ensure_future(_end_of(child.popen)), asyncio.ensure_future(hurry.wait())
    await asyncio.wait((ended, hurried), timeout=patience_seconds, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    kill_group(child.pid)
    await ended


async def _end_of(popen: subprocess.Popen[bytes]) -> None:
    while popen.poll() is None:  # noqa: ASYNC110 - the end of a process is no event of the loop
        await asyncio.sleep(POLL_SECONDS)


def end_orphans(records: Iterable[Record], patience_seconds: float = 10.0) -> list[str]:
    """Ends what a killed stack has left behind, the last started first; returns the names of those found."""
    found = [(record, process) for record in records if (process := record.find())]
    for record, process in reversed(found):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(record.stop_signal)
        _wait_until_gone(record, patience_seconds)
    for record, process in found:
        if record.find():
            kill_group(process.pid)
            _wait_until_gone(record, patience_seconds)
    return [record.name for record, _ in found]


def _wait_until_gone(record: Record, patience_seconds: float) -> None:
    """Gone is also who has ended and was not collected by its parent, as happens where process 1 collects nobody."""
    until = time.monotonic() + patience_seconds
    while record.find() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
