"""The TCP ports of a stack. All of them are on 127.0.0.1, and no two stacks of one user get the same one.

A port is reserved with a file lock for as long as the stack's process lives, so that two stacks that start in the same
instant never choose the same one. What another program takes meanwhile is found out when the part cannot bind.
"""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

HOST = "127.0.0.1"
# Of each server: longer than clients keep an idle connection (httpx: 5 s). At uvicorn's own 5 s both may close one at
# once, and a request that has just gone out on it is lost.
KEEP_ALIVE_SECONDS = 60
# Below the range from which kernels take the local ports of outgoing connections, which would collide at random.
SPARE_PORTS = range(20_000, 32_000)
SPARE_ATTEMPTS = 200


class NoPort(Exception):
    """A port that was asked for is taken, or none is free."""


class Addresses(BaseModel):
    """A port for each thing that listens. The defaults are the usual ones; the order is that of `--ports-from`."""

    model_config = ConfigDict(frozen=True)

    api: int = 8000
    temporal: int = 7233
    temporal_ui: int = 8233
    postgres: int = 5432
    stripe: int = 12111
    smtp: int = 1025
    mail: int = 8025
    issuer: int = 8081
    worker_metrics: int = 9464
    twilio: int = 12112

    @classmethod
    def load(cls, path: Path) -> Self:
        """The ports of the last run, or the usual ones when there was none."""
        return cls.model_validate_json(path.read_bytes()) if path.exists() else cls()

    def url(self, name: str) -> str:
        return f"http://{HOST}:{getattr(self, name)}"


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


class Reservation:
    """Ports held against other stacks of this user until `release` or the end of the process."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"pitstop-ports-{os.getuid()}"
        self._locks: dict[int, int] = {}

    def take(self, port: int) -> bool:
        """Reserves the port if it is free and nobody's; says whether it did."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._folder / str(port), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        if not is_free(port):
            os.close(lock)
            return False
        self._locks[port] = lock
        return True

    def release(self) -> None:
        for lock in self._locks.values():
            os.close(lock)
        self._locks.clear()


def choose(wanted: Addresses, reservation: Reservation) -> Addresses:
    """The wanted ports where they are free, the usual one or a spare one where not; all of them reserved."""
    usual = Addresses().model_dump()
    return Addresses(
        **{name: _first_free((port, usual[name]), reservation) for name, port in wanted.model_dump().items()}
    )


def consecutive(first: int, reservation: Reservation) -> Addresses:
    """The ports `first`, `first` + 1, … in the order of `Addresses`; `NoPort` names each one that is taken."""
    ports = {name: first + offset for offset, name in enumerate(Addresses.model_fields)}
    if not 1 <= first <= 65_535 - len(ports):
        raise NoPort(f"--ports-from {first}: {len(ports)} ports from there on must lie between 1 and 65535")
    taken = {name: port for name, port in ports.items() if not reservation.take(port)}
    if taken:
        reservation.release()
        raise NoPort(f"--ports-from {first}: taken already: {_listed(taken)}. Give another first port.")
    return Addresses(**ports)


def _first_free(preferred: tuple[int, ...], reservation: Reservation) -> int:
    for port in (*preferred, *random.sample(SPARE_PORTS, SPARE_ATTEMPTS)):
        if reservation.take(port):
            return port
    raise NoPort(f"no free port found in {SPARE_PORTS.start} to {SPARE_PORTS.stop}")


def _listed(ports: Mapping[str, int]) -> str:
    return ", ".join(f"{port} ({name})" for name, port in ports.items())
