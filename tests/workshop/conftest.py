"""A workshop that wants to be asked, whoever keeps it, and bookings there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer, Issuer, Json, events
from tests.support.shop import Shop, open_workshop
from tests.support.shops import hire

Booked = Callable[..., Awaitable[Json]]
MINUTES = 120


@dataclass(frozen=True, slots=True)
class Yard:
    """`shop` in person; its mechanic and another one, who keeps the workshop, share two bays."""

    id: UUID
    shop: Shop
    keeper_id: UUID
    email: str


@pytest.fixture
async def yard(shop: Shop, database: Any) -> Yard:
    await database.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", shop.service_id)
    keeper = await hire(database, shop, "Kim Lee")
    workshop = await open_workshop(database, 2, shop.mechanic_id, keeper)
    email = f"yard-{uuid4().hex[:8]}@example.com"
    await database.execute(
        "UPDATE workshops SET confirms_within_minutes = $2, email = $3, timezone = 'America/Toronto' WHERE id = $1",
        workshop,
        MINUTES,
        email,
    )
    await database.execute("UPDATE mechanics SET keeps_workshop = TRUE WHERE id = $1", keeper)
    return Yard(workshop, shop, keeper, email)


@pytest.fixture
async def mechanic(issuer: Issuer, customer: Customer, shop: Shop) -> Customer:
    token = await issuer.token(str(shop.mechanic_id), "mechanic")
    return replace(customer, token=token, id=shop.mechanic_id)


@pytest.fixture
async def keeper(issuer: Issuer, customer: Customer, yard: Yard) -> Customer:
    token = await issuer.token(str(yard.keeper_id), "mechanic")
    return replace(customer, token=token, id=yard.keeper_id)


@pytest.fixture
async def operator(issuer: Issuer, customer: Customer) -> Customer:
    return replace(customer, token=await issuer.token(f"operator-{uuid4()}", "operator"), id=uuid4())


@pytest.fixture
async def booked(customer: Customer, yard: Yard) -> Booked:
    """Books and pays: `await booked(start)`."""

    async def book(start: datetime | None = None, by: Customer = customer, **changes: Any) -> Json:
        booking = await by.book(yard.shop, start or yard.shop.start(), **changes)
        await by.pay(booking)
        confirmed = await by.sees(booking, "confirmed")
        letters = 2 if confirmed["workshop_status"] == "awaiting" else 1
        return await by.waits_for(
            booking, lambda read: events(read).count("mail_sent") >= letters, "who is told at once"
        )

    return book


@pytest.fixture
def as_own_api(stack: Stack) -> Any:
    """In the stack's own database, as the API's role; what is written is rolled back."""

    @asynccontextmanager
    async def open_as(role: str, subject: str) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(stack.api_database_url)
        transaction = connection.transaction()
        await transaction.start()
        try:
            sql = "SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)"
            await connection.execute(sql, role, subject)
            yield connection
        finally:
            await transaction.rollback()
            await connection.close()

    return open_as
