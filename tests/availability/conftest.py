"""A database of these tests' own, on which each question is put in a transaction that leaves nothing behind."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.postgres.pool import open_pool
from tests.support.databases import fresh_database


class Desk:
    """Lets plain functions, such as hypothesis drives, use one connection of asyncpg."""

    def __init__(self, runner: asyncio.Runner, connection: Any) -> None:
        self._runner = runner
        self.connection = connection

    def run(self, awaitable: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return self._runner.run(awaited())


async def _open(stack: Stack, exits: AsyncExitStack) -> Any:
    urls = await exits.enter_async_context(fresh_database(stack))
    pool = await exits.enter_async_context(open_pool(urls.superuser, 1, "availability-test"))
    return await exits.enter_async_context(pool.acquire())


@pytest.fixture(scope="module")
def desk(stack: Stack) -> Iterator[Desk]:
    exits = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            yield Desk(runner, runner.run(_open(stack, exits)))
        finally:
            runner.run(exits.aclose())
