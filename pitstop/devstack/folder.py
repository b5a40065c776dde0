"""The data folder of a stack: what is in it, and how it is emptied without touching what is not the stack's."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from pitstop.devstack import control, credentials, stackfile

PORTS = "ports.json"
PROCESSES = "processes.json"
LOGS = "logs"
EPHEMERAL_MARK = "ephemeral"
PERSISTENT = ("postgres", credentials.NAME)

OWN = (
    *("postgres", "postgres.new", ".postgres-password", "temporal.sqlite*", "stripe.sqlite*", "mail.sqlite*", "issuer"),
    "twilio.sqlite*",
    *(LOGS, control.FOLDER, "worker.ready", PORTS, PROCESSES, credentials.NAME, stackfile.NAME, ".*.json.*"),
)


MARK = ".pitstop-data"


class NotEmpty(Exception):
    """A folder that was named for a stack's data holds somebody else's, or a lasting stack's where it may not."""


def settle(data: Path) -> None:
    """Makes the folder, or sees to it that it is a stack's own: a folder with other people's files is never touched."""
    data.mkdir(parents=True, exist_ok=True)
    if not (data / MARK).exists() and any(data.iterdir()):
        raise NotEmpty(f"{data} is not empty and no stack has made it. Name a folder that is new or empty.")
    (data / MARK).touch()


def temporary() -> Path:
    data = Path(tempfile.mkdtemp(prefix="pitstop-")).resolve()
    settle(data)
    (data / EPHEMERAL_MARK).touch()
    return data


def wipe(data: Path) -> None:
    """Removes what stacks put into a folder of theirs (`settle`). No stack may be running on it."""
    for pattern in OWN:
        for path in data.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def begin_ephemeral(data: Path) -> None:
    """Marks the folder as one to throw away and empties it; `NotEmpty` when it holds data that somebody keeps."""
    mark = data / EPHEMERAL_MARK
    if not mark.exists() and any((data / name).exists() for name in PERSISTENT):
        raise NotEmpty(f"{data} holds a lasting stack: --ephemeral would delete it. Name another folder, or none.")
    mark.touch()
    wipe(data)


def remove_ephemeral(data: Path) -> None:
    """Removes a folder that is marked to be thrown away; a file in it that is not the stack's keeps it there."""
    if not (data / EPHEMERAL_MARK).exists():
        return
    wipe(data)
    for name in (EPHEMERAL_MARK, control.LOCK, MARK):
        (data / name).unlink(missing_ok=True)
    with suppress(OSError):
        data.rmdir()


def begin_logs(data: Path) -> None:
    """Starts the logs anew; those of the last run stay beside them as `….previous`."""
    logs = data / LOGS
    logs.mkdir(exist_ok=True)
    for log in logs.glob("*.log"):
        log.replace(log.with_suffix(".log.previous"))


def log(data: Path, name: str) -> Path:
    return data / LOGS / f"{name}.log"


def tail(path: Path, lines: int = 25) -> str:
    """The last lines of a log, or nothing when there is none."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""
