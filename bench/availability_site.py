"""One table's size: a database of its own in the stack's PostgreSQL, an API process on it, connections to both."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
from pydantic import BaseModel

from bench import seed
from bench.cpu import Meter
from bench.lean import Connections, connected
from bench.load import Call
from bench.population import Population, settle
from bench.searches import Search, searches
from bench.stack import stop
from pitstop.devstack.addresses import HOST
from pitstop.devstack.names import ROOT
from pitstop.devstack.parts import program
from pitstop.devstack.processes import Command, run
from pitstop.devstack.stackfile import Stack

_START_SECONDS = 60


class Size(BaseModel):
    """Bytes of the table of reservations and of each of its indexes."""

    reservations: int
    bytes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Site:
    population: Population
    database_url: str
    size: Size
    http: Connections
    direct: seed.Connection
    meter: Meter
    backend: Meter

    def calls(self) -> Iterator[tuple[str, Call, Call]]:
        """Name, request, statement."""
        for search in searches(self.population):
            yield search.name, search.call(self.http), self._statement(search)

    def _statement(self, search: Search) -> Call:
        sql, arguments = search.statement
        return lambda: self.direct.fetch(sql, *arguments)


@asynccontextmanager
async def open_site(stack: Stack, reservations: int, crowds: tuple[int, ...]) -> AsyncIterator[Site]:
    """The database is dropped at the end."""
    name = f"bench_{reservations}_{uuid4().hex[:8]}"
    url, api_url = (_database(each, name) for each in (stack.database_url, stack.api_database_url))
    await _migrate(url)
    async with seed.superuser(url) as connection:
        population = await settle(connection, reservations, crowds)
        size = await _size(connection, population.reservations)
    with _api(stack, api_url) as (api, pid):
        async with connected(api) as http:
            direct = await asyncpg.connect(api_url)
            backend = await direct.fetchval("SELECT pg_backend_pid()")
            meter = Meter({"api": pid, "postgres": stack.pids["postgres"]})
            try:
                yield Site(population, url, size, http, direct, meter, Meter({"postgres": backend}))
            finally:
                await direct.close()
    async with seed.superuser(stack.database_url) as connection:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


async def _migrate(url: str) -> None:
    options = ["--env-file", os.devnull, "--url", f"{url}?sslmode=disable", "--migrations-dir", "migrations"]
    await run(Command([program("dbmate"), *options, "--no-dump-schema", "up"], dict(os.environ), ROOT))


async def _size(connection: seed.Connection, reservations: int) -> Size:
    rows = await connection.fetch(
        "SELECT oid::regclass::text AS name, pg_relation_size(oid) AS bytes FROM pg_class"
        " WHERE oid = 'slot_reservations'::regclass"
        " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'slot_reservations'::regclass)"
    )
    return Size(reservations=reservations, bytes={row["name"]: row["bytes"] for row in rows})


@contextmanager
def _api(stack: Stack, database_url: str) -> Iterator[tuple[str, int]]:
    """An API process on that database, when it is ready: its address and its process id."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.availability_api", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | stack.environment | {"PITSTOP_API_DATABASE_URL": database_url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://{HOST}:{port}"
        _until_live(f"{url}/health/live", process)
        yield url, process.pid
    finally:
        stop(process, patience_seconds=20)


def _until_live(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(url, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the API for the bench did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
