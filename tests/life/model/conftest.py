"""The random courses on the stack's own database, as the worker and the audit reach it."""

from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.postgres.audit import PostgresRecords
from pitstop.postgres.pool import open_pool
from tests.life.model.machine import Course, runner
from tests.life.model.second_thoughts import WholeCourse
from tests.life.model.shop_floor import Floor


@pytest.fixture(scope="module")
def machine(stack: Stack) -> Iterator[type[Course]]:
    with runner() as loop:
        database = loop.run(_connected(stack))
        worker, audit = (
            open_pool(url, 4, "test")
            for url in (stack.worker_database_url, stack.environment["PITSTOP_AUDIT_DATABASE_URL"])
        )
        pool, records = loop.run(_entered(worker)), PostgresRecords(loop.run(_entered(audit)))
        yield type(
            "Course_",
            (WholeCourse,),
            {
                "run_in": staticmethod(lambda awaitable: loop.run(_awaited(awaitable))),
                "opens": staticmethod(lambda anew: Floor.opened(database, pool, anew)),
                "records": records,
            },
        )
        for each in (worker, audit):
            loop.run(_left(each))
        loop.run(database.close())


async def _connected(stack: Stack) -> Any:
    return await asyncpg.create_pool(stack.database_url, min_size=0, max_size=2)


async def _entered(manager: Any) -> Any:
    return await manager.__aenter__()


async def _left(manager: Any) -> None:
    await manager.__aexit__(None, None, None)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
