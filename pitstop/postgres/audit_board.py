"""The audit's last result as the API sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pitstop.domain.caller import Caller
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("audit_board")
# The API itself, as the policy of these tables calls it: it counts, for whoever may scrape.
_METRICS = ("metrics", "")


@dataclass(frozen=True, slots=True)
class AuditCounts:
    """The last pass in numbers; `found` by code."""

    finished_at: datetime
    seconds: float
    found: dict[str, int]


class AuditBoard:
    """Reads what the last pass has found, as the role `pitstop_api`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def last(self, caller: Caller) -> dict[str, Any] | None:
        """The last pass with its findings; None when there was none that this caller may see."""
        async with self._as(caller.role, caller.subject) as connection:
            run = await connection.fetchrow(_SQL["last_run"])
            if run is None:
                return None
            findings = await connection.fetch(_SQL["findings"], run["id"])
        return {**run, "findings": [dict(row) for row in findings]}

    async def counts(self) -> AuditCounts | None:
        async with self._as(*_METRICS) as connection:
            run = await connection.fetchrow(_SQL["last_run"])
            if run is None:
                return None
            found = await connection.fetch(_SQL["counts"], run["id"])
        return AuditCounts(run["finished_at"], run["seconds"], {row["code"]: row["found"] for row in found})

    @asynccontextmanager
    async def _as(self, role: str, subject: str) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            await connection.execute(_SQL["become"], role, subject)
            yield connection
