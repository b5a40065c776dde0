"""A mechanic, a service and a plan of a test's own."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg


@dataclass(frozen=True, slots=True)
class Shop:
    """An hour's session at 89.00, with a quarter of an hour after it; starts on every quarter.

    The same start, however late it is asked for: it is counted from `opened`.
    """

    mechanic_id: UUID
    service_id: UUID
    plan_id: UUID
    amount: int = 8900
    currency: str = "cad"
    duration: timedelta = timedelta(minutes=60)
    buffer_after: timedelta = timedelta(minutes=15)
    opened: datetime = field(default_factory=lambda: datetime.now(UTC))

    def start(self, days: float = 3, hours: float = 0) -> datetime:
        """A start so far ahead, on the grid."""
        ahead = self.opened + timedelta(days=days, hours=hours)
        return ahead.replace(minute=ahead.minute // 15 * 15, second=0, microsecond=0)


async def open_shop(database: "asyncpg.Pool[asyncpg.Record]", *, notice_minutes: int = 0) -> Shop:
    shop = Shop(uuid4(), uuid4(), uuid4())
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, minimum_notice_minutes)"
            " VALUES ($1, 'Zoé Bélanger', 'America/Toronto', 'CA', 'Toronto', 'M5V 2T6', '1 Front Street', $2)",
            shop.mechanic_id,
            notice_minutes,
        )
        await connection.execute(
            "INSERT INTO services (id, slug, name, kind, duration_minutes, buffer_after_minutes)"
            " VALUES ($1, $2, 'Brake check', 'video', 60, 15)",
            shop.service_id,
            f"brake-check-{shop.service_id}",
        )
        await connection.execute(
            "INSERT INTO plans (id, service_id, slug, name, amount) VALUES ($1, $2, 'standard', 'Standard', $3)",
            shop.plan_id,
            shop.service_id,
            shop.amount,
        )
        await add_mechanic(connection, shop, shop.mechanic_id)
    return shop


async def add_mechanic(connection: Any, shop: Shop, mechanic_id: UUID) -> None:
    """Makes the mechanic offer the shop's service, around the clock."""
    await connection.execute("INSERT INTO mechanic_services VALUES ($1, $2)", mechanic_id, shop.service_id)
    await connection.executemany(
        "INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time) VALUES ($1, $2, '00:00', '00:00')",
        [(mechanic_id, weekday) for weekday in range(7)],
    )


async def open_workshop(database: Any, bays: int, *mechanics: UUID) -> UUID:
    """A workshop with so many bays, in which these mechanics work: what an in-person service needs."""
    workshop: UUID = await database.fetchval(
        "INSERT INTO workshops (name, country, city, postal_code, address, timezone)"
        " VALUES ('North', 'CA', 'Toronto', 'M5V 2T6', '5 Yard Lane', 'America/Toronto') RETURNING id"
    )
    numbered = [(workshop, str(number)) for number in range(bays)]
    await database.executemany("INSERT INTO bays (workshop_id, name) VALUES ($1, $2)", numbered)
    await database.execute("UPDATE mechanics SET workshop_id = $1 WHERE id = ANY($2)", workshop, list(mechanics))
    return workshop
