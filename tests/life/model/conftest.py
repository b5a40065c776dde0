"""The random courses, on a database that the worker and the audit reach by their roles."""

from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.postgres.audit import PostgresRecords
from pitstop.postgres.pool import open_pool
from tests.life.model.machine import Course, runner
from tests.life.model.premises import Pools
from tests.life.model.shop_floor import Floor
from tests.life.model.whole import WholeLife
from tests.support.databases import fresh_database


@pytest.fixture(scope="package")
def machine(stack: Stack) -> Iterator[type[Course]]:
    """With a database of its own: of bookings that have no runs the stack's sweep would make runs without end."""
    with runner() as loop:
        fresh = fresh_database(stack)
        urls = loop.run(_entered(fresh))
        database = loop.run(_connected(urls.superuser))
        api, worker, audit = (open_pool(url, 4, "test") for url in (urls.api, urls.worker, urls.audit))
        pools = Pools(loop.run(_entered(worker)), loop.run(_entered(api)))
        records = PostgresRecords(loop.run(_entered(audit)))
        yield type(
            "Course_",
            (WholeLife,),
            {
                "run_in": staticmethod(lambda awaitable: loop.run(_awaited(awaitable))),
                "opens": staticmethod(lambda anew: Floor.opened(database, pools, anew)),
                "records": records,
            },
        )
        loop.run(database.close())
        for each in (api, worker, audit, fresh):
            loop.run(_left(each))


async def _connected(url: str) -> Any:
    return await asyncpg.create_pool(url, min_size=0, max_size=2)


async def _entered(manager: Any) -> Any:
    return await manager.__aenter__()


async def _left(manager: Any) -> None:
    await manager.__aexit__(None, None, None)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
