"""The connection pool of a process, with the codecs that all queries rely on."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

if TYPE_CHECKING:
    # Generic for type checkers only.
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]
    Acquiring: TypeAlias = PoolAcquireContext[asyncpg.Record]
else:
    Pool, Connection, Acquiring = asyncpg.Pool, PoolConnectionProxy, PoolAcquireContext


async def _prepare_connection(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


# While the server hangs, everybody who asks is told so: first who waits for a connection, then who opens one.
_WAIT_SECONDS = 4.0
_CONNECT_SECONDS = 3.0
# The server's own limit comes first: a connection whose statement the server has ended can be used again.
_STATEMENT_SHARE = 0.8


async def _leave_as_it_is(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing outlives a transaction on our connections (identity is set for one, too): there is nothing to reset."""


class _ImpatientPool(Pool):
    """Raises `TimeoutError` when no connection comes free in time, also for `fetch` and its like."""

    def __init__(self, url: str, wait_seconds: float, **options: Any) -> None:
        super().__init__(url, **options)
        self._wait_seconds = wait_seconds

    def acquire(self, *, timeout: float | None = None) -> Acquiring:
        return super().acquire(timeout=timeout or self._wait_seconds)


@asynccontextmanager
async def open_pool(
    url: str, size: int, application_name: str, wait_seconds: float = _WAIT_SECONDS, command_seconds: float = 15
) -> AsyncIterator[Pool]:
    """A pool that connects when first used: a process can start, and say that it is not ready, without PostgreSQL.

    `wait_seconds`: how long one waits for a connection, `command_seconds`: for the answer to a statement.
    """
    statement = f"{command_seconds * _STATEMENT_SHARE * 1000:.0f}ms"
    pool = _ImpatientPool(
        url,
        wait_seconds,
        min_size=0,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        loop=None,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        init=_prepare_connection,
        reset=_leave_as_it_is,
        server_settings={"application_name": application_name, "statement_timeout": statement},
        command_timeout=command_seconds,
        timeout=_CONNECT_SECONDS,
    )
    async with pool:
        yield pool
