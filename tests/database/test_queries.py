"""Every named query is one that the database understands, and that the role which uses it may run."""

import asyncpg
import pytest

from pitstop.postgres import queries
from tests.support.databases import Urls

# Which roles run the queries of each file.
USERS = {
    "audit_log": ["api"],
    "catalogue": ["api"],
    "desk": ["api"],
    "erasure": ["worker"],
    "inbox": ["api", "worker"],
    "notices": ["worker"],
    "saga": ["worker"],
    "sealing": ["worker"],
}
NAMED = [
    pytest.param(role, sql, id=f"{module}.{name}-{role}")
    for module in queries.modules()
    for name, sql in queries.load(module).items()
    for role in USERS.get(module, ["nobody"])
]


def test_every_file_has_its_users() -> None:
    assert set(queries.modules()) == set(USERS)


async def _plan(url: str, sql: str) -> None:
    """Prepares it, and plans it: only then does PostgreSQL ask for the role's rights."""
    connection = await asyncpg.connect(url)
    try:
        await connection.prepare(sql)
        await connection.execute(f"EXPLAIN (GENERIC_PLAN) {sql}")
    finally:
        await connection.close()


@pytest.mark.parametrize(("role", "sql"), NAMED)
async def test_the_role_that_uses_it_can_run_it(urls: Urls, role: str, sql: str) -> None:
    await _plan({"api": urls.api, "worker": urls.worker}[role], sql)


async def test_another_role_cannot(urls: Urls) -> None:
    """So the test above can fail."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await _plan(urls.api, queries.load("saga")["confirm_hold"])
    with pytest.raises(asyncpg.UndefinedColumnError):
        await _plan(urls.worker, "SELECT no_such_column FROM bookings")
