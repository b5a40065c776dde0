"""The plans behind a statement, of what its functions run as well: EXPLAIN shows a function as one line."""

import asyncio

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
    """EXPLAIN (ANALYZE, BUFFERS) of all that runs, as the API's role, innermost first: `auto_explain` reports it.

    What runs again and again is shown once.
    """
    plans: dict[str, str] = {}
    async with superuser(database_url) as connection:
        await connection.execute(_ROLE)
        prepared, arguments = await connection.prepare(statement[0]), statement[1]
        for _ in range(_WARM):
            await prepared.fetch(*arguments)
        await connection.execute("RESET ROLE")
        for setting in _SHOW:
            await connection.execute(setting)
        await connection.execute(_ROLE)
        connection.add_log_listener(lambda _, message: _note(plans, message.message))
        await prepared.fetch(*arguments)
        # Listeners are called soon after, not at once.
        await asyncio.sleep(0.1)
    return [line for plan in plans.values() for line in (*plan.splitlines(), "")]


def _note(plans: dict[str, str], text: str) -> None:
    if text.startswith("duration:"):
        statement = text.partition("Query Text:")[2].partition("Query Parameters:")[0].partition("  (cost=")[0]
        plans.setdefault(statement, text)
