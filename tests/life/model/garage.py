"""The workshop of the model's mechanics, and the pools through which the product reaches the database."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from pitstop.postgres.pool import Pool
from tests.life.model.prices import PLANS

_GARAGE = """
WITH workshop AS (
    INSERT INTO workshops (name, country, city, postal_code, address, email)
    VALUES ('North', 'CA', 'Toronto', 'M5V 2T6', '5 Yard Lane', 'yard@example.com') RETURNING id
),
bay AS (INSERT INTO bays (workshop_id, name) SELECT id, '1' FROM workshop),
service AS (
    INSERT INTO services (id, slug, name, kind, duration_minutes, buffer_after_minutes)
    VALUES ($1, $2, 'Repair', 'in_person', 60, 15)
),
sold AS (
    INSERT INTO plans (id, service_id, slug, name, amount)
    SELECT id, $1, slug, slug, amount FROM unnest($3::uuid[], $4::text[], $5::integer[]) AS plan (id, slug, amount)
),
offered AS (INSERT INTO mechanic_services SELECT mechanic, $1 FROM unnest($6::uuid[]) AS mechanic),
there AS (UPDATE mechanics SET workshop_id = workshop.id FROM workshop WHERE mechanics.id = ANY($6))
SELECT id FROM workshop
"""


@dataclass(frozen=True, slots=True)
class Pools:
    """As the product's processes have them."""

    worker: Pool
    api: Pool


@dataclass(frozen=True, slots=True)
class Garage:
    """The workshop of the mechanics, with one bay, and what is done there in person; plans by their names."""

    workshop: UUID
    service: UUID
    plans: dict[str, UUID]

    @classmethod
    async def opened(cls, database: Any, mechanics: list[UUID]) -> "Garage":
        service, plans = uuid4(), {plan: uuid4() for plan in PLANS}
        sold = (list(plans.values()), list(plans), list(PLANS.values()))
        workshop = await database.fetchval(_GARAGE, service, f"repair-{service}", *sold, mechanics)
        return cls(workshop, service, plans)
