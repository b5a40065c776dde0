"""Lets the roles `pitstop_api`, `pitstop_worker` and `pitstop_audit` log in with the passwords that their URLs name.

    DATABASE_URL=postgresql://postgres:…@…/pitstop PITSTOP_API_DATABASE_URL=… PITSTOP_WORKER_DATABASE_URL=… \
        PITSTOP_AUDIT_DATABASE_URL=… python -m deploy.passwords

The migrations make these roles without a password, which only an installation knows. `DATABASE_URL` is that of a role
that may change them, as the migrations have it. Safe to run again, and after a password has changed.
"""

import asyncio
import os
from urllib.parse import unquote, urlsplit

import asyncpg

from pitstop.settings import Settings

# ALTER ROLE takes no parameters; the server quotes the name and the password itself.
_STATEMENT = "SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)"


async def set_passwords(database_url: str, urls: list[str]) -> None:
    """Gives each role in `urls` the password that stands beside it. `ValueError` for a URL without one."""
    connection = await asyncpg.connect(database_url)
    try:
        for role, password in map(_login, urls):
            await connection.execute(await connection.fetchval(_STATEMENT, role, password))
    finally:
        await connection.close()


def _login(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if not parts.username or not parts.password:
        raise ValueError(
            "PITSTOP_API_…, PITSTOP_WORKER_… and PITSTOP_AUDIT_DATABASE_URL must name a role and its password"
        )
    return unquote(parts.username), unquote(parts.password)


if __name__ == "__main__":
    settings = Settings()
    urls = [settings.api_database_url, settings.worker_database_url, settings.audit_database_url]
    asyncio.run(set_passwords(os.environ["DATABASE_URL"], urls))
