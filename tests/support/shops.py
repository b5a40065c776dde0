"""More than one mechanic, and more than one plan, in a shop."""

from typing import Any
from uuid import UUID, uuid4

from tests.support.shop import Shop, add_mechanic


async def hire(database: Any, shop: Shop, name: str = "Ben Singh") -> UUID:
    """Another mechanic who offers the shop's service, around the clock."""
    id = uuid4()
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, minimum_notice_minutes)"
            " VALUES ($1, $2, 'America/Toronto', 'CA', 'Toronto', 'M5V 2T6', '2 Front Street', 0)",
            id,
            name,
        )
        await add_mechanic(connection, shop, id)
    return id


async def add_plan(database: Any, shop: Shop, amount: int) -> UUID:
    """Another plan of the shop's service."""
    id: UUID = uuid4()
    await database.execute(
        "INSERT INTO plans (id, service_id, slug, name, amount) VALUES ($1, $2, $3, 'Other', $4)",
        id,
        shop.service_id,
        f"other-{id}",
        amount,
    )
    return id


async def add_service(database: Any, shop: Shop, amount: int, minutes: int) -> tuple[UUID, UUID]:
    """Another service of the shop's mechanic with a plan: their ids."""
    service: UUID = uuid4()
    await database.execute(
        "INSERT INTO services (id, slug, name, kind, duration_minutes, buffer_after_minutes)"
        " VALUES ($1, $2, 'Oil change', 'chat', $3, 15)",
        service,
        f"oil-change-{service}",
        minutes,
    )
    await database.execute("INSERT INTO mechanic_services VALUES ($1, $2)", shop.mechanic_id, service)
    plan: UUID = uuid4()
    await database.execute(
        "INSERT INTO plans (id, service_id, slug, name, amount) VALUES ($1, $2, 'standard', 'Standard', $3)",
        plan,
        service,
        amount,
    )
    return service, plan
