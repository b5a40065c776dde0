"""The connection pool of a process, with the codecs that all queries rely on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    # Generic for type checkers only.
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]
else:
    Pool, Connection = asyncpg.Pool, PoolConnectionProxy


async def _prepare_connection(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


# While the server hangs, everybody who asks is told so after these, one after the other.
_ACQUIRE_SECONDS = 4.0
_CONNECT_SECONDS = 3.0
# The server's own limit comes first: a connection whose statement the server has ended can be used again.
_STATEMENT_SHARE = 0.8


class _ImpatientPool(asyncpg.Pool):
    """Nobody waits long for a connection: those before may be waiting for a server that does not answer."""

    def acquire(self, *, timeout: float | None = None) -> Any:
        return super().acquire(timeout=timeout or _ACQUIRE_SECONDS)


async def _leave_as_it_is(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing outlives a transaction on our connections (identity is set for one, too): there is nothing to reset."""


@asynccontextmanager
async def open_pool(url: str, size: int, application_name: str, command_seconds: float = 15) -> AsyncIterator[Pool]:
    """A pool that connects when first used: a process can start, and say that it is not ready, without PostgreSQL."""
    statement = f"{command_seconds * _STATEMENT_SHARE * 1000:.0f}ms"
    pool = _ImpatientPool(
        url,
        min_size=0,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300,
        loop=asyncio.get_running_loop(),
        init=_prepare_connection,
        reset=_leave_as_it_is,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        server_settings={"application_name": application_name, "statement_timeout": statement},
        command_timeout=command_seconds,
        timeout=_CONNECT_SECONDS,
    )
    async with pool:
        yield pool
