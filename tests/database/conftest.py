"""A database of these tests' own, and connections as the roles that the product logs in as."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.databases import Urls, fresh_database
from tests.support.rows import Case, add_everything
from tests.support.shop import Shop, open_shop

# Opens a transaction as the API's role for this caller: role and subject of a token; none for nobody.
AsCaller = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(scope="package")
async def urls(stack: Stack) -> AsyncIterator[Urls]:
    """Rows written by hand are in no workflow's way here."""
    async with fresh_database(stack) as urls:
        yield urls


@pytest.fixture(scope="package")
async def database(urls: Urls) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(urls.superuser, min_size=0, max_size=3) as pool:
        yield pool


@asynccontextmanager
async def _transaction(url: str) -> AsyncIterator[Any]:
    """Leaves nothing behind."""
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


@pytest.fixture
def as_api(urls: Urls) -> AsCaller:
    @asynccontextmanager
    async def open_as(role: str | None = None, subject: str = "") -> AsyncIterator[Any]:
        async with _transaction(urls.api) as connection:
            if role is not None:
                sql = "SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)"
                await connection.execute(sql, role, subject)
            yield connection

    return open_as


@pytest.fixture
async def worker(urls: Urls) -> AsyncIterator[Any]:
    async with _transaction(urls.worker) as connection:
        yield connection


@pytest.fixture
async def rows(urls: Urls) -> AsyncIterator[Any]:
    """The superuser, who may write what the product never would."""
    async with _transaction(urls.superuser) as connection:
        yield connection


@pytest.fixture
async def mine(database: Any, shop: Shop) -> Case:
    """A booking with a row in every table."""
    return await add_everything(database, shop, shop.start())


@pytest.fixture
async def theirs(database: Any) -> Case:
    """Another customer's with another mechanic."""
    other = await open_shop(database)
    return await add_everything(database, other, other.start())
