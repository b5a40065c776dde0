"""The plans behind a statement, of what its functions run as well: EXPLAIN shows a function as one line."""

import asyncio
from collections.abc import Sequence
from typing import Any

from bench.searches import Statement
from bench.seed import superuser

_ROLE = "SET ROLE pitstop_api"
_SHOW = (
    "LOAD 'auto_explain'",
    "SET auto_explain.log_min_duration = 0",
    "SET auto_explain.log_analyze = on",
    "SET auto_explain.log_buffers = on",
    "SET auto_explain.log_nested_statements = on",
    "SET auto_explain.log_level = 'notice'",
)
# Until plans are kept and pages are in memory.
_WARM = 8


async def explained(database_url: str, statement: Statement) -> list[str]:
    """EXPLAIN (ANALYZE, BUFFERS) of all that runs, as the API's role, innermost first: `auto_explain` reports it."""
    lines: list[str] = []
    async with superuser(database_url) as connection:
        await connection.execute(_ROLE)
        prepared, arguments = await connection.prepare(statement[0]), statement[1]
        for _ in range(_WARM):
            await prepared.fetch(*arguments)
        await connection.execute("RESET ROLE")
        for setting in _SHOW:
            await connection.execute(setting)
        await connection.execute(_ROLE)
        connection.add_log_listener(lambda _, message: lines.extend(_plan(message)))
        await prepared.fetch(*arguments)
        # Listeners are called soon after, not at once.
        await asyncio.sleep(0.1)
    return lines


def _plan(message: Any) -> Sequence[str]:
    text: str = message.message
    return [*text.splitlines(), ""] if text.startswith("duration:") else ()
