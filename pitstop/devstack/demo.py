"""The demo's people and services: six mechanics in four time zones, a service of each kind with its plans."""

from pathlib import Path

import asyncpg

SEED = Path(__file__).with_name("demo.sql").read_text(encoding="utf-8")


async def seed(database_url: str) -> None:
    """Puts the demo data in, as a role that may write the catalogue. What is there already stays as it is."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(SEED)
    finally:
        await connection.close()
