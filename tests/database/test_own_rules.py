"""A mechanic's rules are changed by that mechanic alone: the database sees to it, whatever a query asks for."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.database.conftest import AsCaller
from tests.support.shop import Shop, open_shop

Pool = Any
# By what the change touches: how it is made, for all mechanics that the caller may change.
CHANGES = {
    "mechanics": "UPDATE mechanics SET online = NOT online",
    "availability_rules": "DELETE FROM availability_rules",
    "date_exceptions": "DELETE FROM date_exceptions",
    "mechanic_services": "DELETE FROM mechanic_services",
    "time_off": "DELETE FROM time_off",
}
ADDITIONS = {
    "availability_rules": "INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time)"
    " VALUES ($1, 0, '01:00', '02:00')",
    "date_exceptions": "INSERT INTO date_exceptions (mechanic_id, day) VALUES ($1, '2027-01-02')",
    "mechanic_services": "INSERT INTO mechanic_services (mechanic_id, service_id)"
    " SELECT $1, id FROM services WHERE NOT EXISTS (SELECT FROM mechanic_services AS m"
    " WHERE m.mechanic_id = $1 AND m.service_id = services.id) LIMIT 1",
    "time_off": "INSERT INTO time_off (mechanic_id, during) VALUES ($1, tstzrange(now(), now() + '1 day'))",
}


@pytest.fixture
async def ours(database: Pool, shop: Shop) -> Shop:
    """The shop's mechanic has a row of each kind, as has another one."""
    for each in (shop, await open_shop(database)):
        await database.execute(ADDITIONS["time_off"], each.mechanic_id)
        await database.execute("INSERT INTO date_exceptions (mechanic_id, day) VALUES ($1, now())", each.mechanic_id)
    return shop


def _strangers(shop: Shop) -> list[tuple[str | None, str]]:
    mechanic = str(shop.mechanic_id)
    roles = ("customer", "operator", "service", "link", "webhook", "")
    return [("mechanic", str(uuid4())), *((role, mechanic) for role in roles), (None, mechanic)]


@pytest.mark.parametrize("table", CHANGES)
async def test_what_is_changed_is_the_callers_own(database: Pool, as_api: AsCaller, ours: Shop, table: str) -> None:
    key = "id" if table == "mechanics" else "mechanic_id"
    count = f"SELECT count(*) FROM {table} WHERE {key} = $1"  # noqa: S608 - our own names
    own = await database.fetchval(count, ours.mechanic_id)
    assert own > 0
    async with as_api("mechanic", str(ours.mechanic_id)) as connection:
        assert (await connection.execute(CHANGES[table])).endswith(f" {own}")
    for who in _strangers(ours):
        async with as_api(*who) as connection:
            assert (await connection.execute(CHANGES[table])).endswith(" 0"), who


@pytest.mark.parametrize("table", ADDITIONS)
async def test_what_is_added_is_the_callers_own(as_api: AsCaller, ours: Shop, table: str) -> None:
    async with as_api("mechanic", str(ours.mechanic_id)) as connection:
        assert await connection.execute(ADDITIONS[table], ours.mechanic_id) == "INSERT 0 1"
    for who in _strangers(ours):
        async with as_api(*who) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(ADDITIONS[table], ours.mechanic_id)


async def test_everybody_reads_hours_and_nobody_anothers_time_off(as_api: AsCaller, ours: Shop) -> None:
    for who in _strangers(ours):
        async with as_api(*who) as connection:
            for table in ("availability_rules", "date_exceptions", "mechanic_services"):
                query = f"SELECT count(*) FROM {table} WHERE mechanic_id = $1"  # noqa: S608 - our own names
                assert await connection.fetchval(query, ours.mechanic_id) > 0, (who, table)
            away = await connection.fetchval("SELECT count(*) FROM time_off WHERE mechanic_id = $1", ours.mechanic_id)
            assert away == int(who[0] == "operator"), who


@pytest.mark.parametrize("table", CHANGES)
async def test_row_security_is_what_keeps_the_others_out(rows: Any, ours: Shop, table: str) -> None:
    """So the tests above can fail."""
    await rows.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    await rows.execute("SET LOCAL ROLE pitstop_api")
    await rows.execute("SELECT set_config('pitstop.role', 'mechanic', TRUE), set_config('pitstop.subject', 'x', TRUE)")
    assert not (await rows.execute(CHANGES[table])).endswith(" 0")


async def test_a_mechanic_sets_no_more_than_its_rules(as_api: AsCaller, ours: Shop) -> None:
    """Not its name or place, nor the workshop whose bays its sessions take."""
    for column in ("id", "name", "country", "city", "postal_code", "address", "workshop_id", "created_at"):
        async with as_api("mechanic", str(ours.mechanic_id)) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"UPDATE mechanics SET {column} = {column}")  # noqa: S608 - our own names
    async with as_api("mechanic", str(ours.mechanic_id)) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM mechanics")
