"""Nobody waits for ever for the database: neither for a connection, nor for opening one, nor for an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.postgres import pool as pools
from pitstop.postgres.pool import open_pool
from tests.support.gate import gate, through

_SHORT = 0.4
# A guard that is there has struck by then; what still waits is not guarded.
_LONG = 2.0


@asynccontextmanager
async def _waits_on(act: Awaitable[Any]) -> AsyncIterator[None]:
    """It has not ended after a long time; the block sees to it that it does."""
    task = asyncio.ensure_future(act)
    done, _ = await asyncio.wait([task], timeout=_LONG)
    assert not done
    yield
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_connection_that_does_not_come_free(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr(pools._ImpatientPool, "acquire", asyncpg.Pool.acquire)
    async with open_pool(stack.worker_database_url, 1, "test", wait_seconds=_SHORT) as pool:
        held = await pool.acquire()
        if guarded:
            with pytest.raises(TimeoutError):
                await pool.fetchval("SELECT 1")
            await pool.release(held)
        else:
            async with _waits_on(pool.fetchval("SELECT 1")):
                await pool.release(held)


async def test_a_statement_without_an_end_is_ended_by_the_server(stack: Stack) -> None:
    """So its connection can be used again: the server's limit comes before the client's."""
    async with open_pool(stack.worker_database_url, 1, "test", command_seconds=1) as pool:
        before = await pool.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(asyncpg.QueryCanceledError):
            await pool.fetchval("SELECT pg_sleep(60)")
        assert await pool.fetchval("SELECT pg_backend_pid()") == before


async def test_control_without_its_limit_the_connection_is_lost(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's limit alone breaks the connection off."""
    monkeypatch.setattr(pools, "_STATEMENT_SHARE", 1000)
    async with open_pool(stack.worker_database_url, 1, "test", command_seconds=1) as pool:
        async with pool.acquire() as connection:
            with pytest.raises(TimeoutError):
                await connection.fetchval("SELECT pg_sleep(60)")


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_server_that_hangs_while_it_is_asked(stack: Stack, guarded: bool) -> None:
    seconds = _SHORT if guarded else 60
    async with gate(stack.worker_database_url) as before:
        url = through(stack.worker_database_url, before)
        async with open_pool(url, 1, "test", command_seconds=seconds) as pool:
            assert await pool.fetchval("SELECT 1") == 1
            await before.close("hangs")
            if guarded:
                with pytest.raises(TimeoutError):
                    await pool.fetchval("SELECT 1")
            else:
                async with _waits_on(pool.fetchval("SELECT 1")):
                    await before.close("refuses")
            pool.terminate()


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_server_that_hangs_while_a_connection_is_opened(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    monkeypatch.setattr(pools, "_CONNECT_SECONDS", _SHORT if guarded else 60)
    async with gate(stack.worker_database_url) as before:
        await before.close("hangs")
        async with open_pool(through(stack.worker_database_url, before), 1, "test", wait_seconds=60) as pool:
            if guarded:
                with pytest.raises(TimeoutError):
                    await pool.fetchval("SELECT 1")
            else:
                async with _waits_on(pool.fetchval("SELECT 1")):
                    await before.close("refuses")
            pool.terminate()
