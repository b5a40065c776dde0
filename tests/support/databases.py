"""A database of a test's own in the stack's PostgreSQL, migrated as a deployment migrates."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from pitstop.devstack.stackfile import Stack
from tests.support.processes import ROOT


@dataclass(frozen=True, slots=True)
class Urls:
    superuser: str
    api: str
    worker: str
    audit: str


def _at(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


async def dbmate(url: str, *command: str) -> None:
    """Runs dbmate on this repository's migrations; its output is the error of a failed run."""
    options = ("--env-file", os.devnull, "--url", f"{url}?sslmode=disable", "--migrations-dir", "migrations")
    process = await asyncio.create_subprocess_exec(
        *(str(ROOT / ".venv/bin/dbmate"), *options, "--no-dump-schema", *command),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


@asynccontextmanager
async def fresh_database(stack: Stack) -> AsyncIterator[Urls]:
    """Empty but for the schema; dropped at the end."""
    name = f"test_{uuid4().hex[:12]}"
    audit = stack.environment["PITSTOP_AUDIT_DATABASE_URL"]
    roles = (stack.database_url, stack.api_database_url, stack.worker_database_url, audit)
    urls = Urls(*(_at(url, name) for url in roles))
    await dbmate(urls.superuser, "up")
    try:
        yield urls
    finally:
        connection = await asyncpg.connect(stack.database_url)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()
