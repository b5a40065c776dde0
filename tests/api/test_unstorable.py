"""A value that has no place in PostgreSQL is the caller's to change: no failure of ours, and none of the database."""

from typing import Any

import httpx

from api.app import create_app
from pitstop.devstack.stackfile import Stack
from tests.support.processes import settings

REFUSED: list[tuple[str, Any]] = [
    ("SELECT $1::integer", 2**40),
    ("SELECT $1::text", "\ud800"),
    ("SELECT $1::text", "a\0b"),
    ("SELECT $1::text::jsonb", '"\\u0000"'),
    ("SELECT now() + make_interval(years => $1)", 300_000),
    ("SELECT $1::bigint * 9223372036854775807", 2),
]
# What a caller cannot help.
MISTAKES: list[tuple[str, Any]] = [("SELECT 1 / $1::integer", 0), ("SELECT $1::text::integer", "x")]


async def test_who_is_told_what(stack: Stack) -> None:
    app = create_app(settings(stack))

    @app.get("/ask/{mistakes}/{number}")
    async def ask(mistakes: bool, number: int) -> None:
        query, value = (MISTAKES if mistakes else REFUSED)[number]
        await app.state.rooms.pools["main"].fetchval(query, value)

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        for mistakes, queries, told in (
            (False, REFUSED, (422, "invalid_request")),
            (True, MISTAKES, (500, "internal_error")),
        ):
            for number, query in enumerate(queries):
                answer = await http.get(f"/ask/{mistakes}/{number}")
                assert (answer.status_code, answer.json()["code"]) == told, query
