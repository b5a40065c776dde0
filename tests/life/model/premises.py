"""Where the model's bookings take place, opened at one go: two mechanics, what they do, and their workshop."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from pitstop.postgres.pool import Pool
from tests.life.model.agreed import Agreed
from tests.life.model.prices import PLANS

# Both around the clock, in different parts of one city; the first keeps the workshop. Two services of an hour, with a
# quarter of an hour after it, of which the second is in person; plans are rows of $4 to $7.
_OPEN = """
WITH workshop AS (
    INSERT INTO workshops (name, country, city, postal_code, address, email, timezone)
    VALUES ('North', 'CA', 'Toronto', 'M5V 2T6', '5 Yard Lane', 'yard@example.com', 'America/Toronto') RETURNING id
),
bay AS (INSERT INTO bays (workshop_id, name) SELECT id, '1' FROM workshop),
hired AS (
    INSERT INTO mechanics (
        id, name, timezone, country, city, postal_code, address, minimum_notice_minutes, workshop_id,
        keeps_workshop
    )
    SELECT
        who.id, 'Zoé Bélanger', 'America/Toronto', 'CA', 'Toronto', who.postal_code, '1 Front Street', 0, workshop.id,
        who.id = ($1::uuid[])[1]
    FROM unnest($1::uuid[], '{M5V 2T6,M4C 1A1}'::text[]) AS who (id, postal_code) CROSS JOIN workshop
),
policy AS (INSERT INTO booking_policies (name, terms) VALUES ('of ' || ($2::uuid[])[1], $3::text::jsonb) RETURNING id),
services AS (
    INSERT INTO services (id, slug, name, kind, duration_minutes, buffer_after_minutes, policy_id)
    SELECT what.id, 'of-' || what.id, 'Brake check', what.kind, 60, 15, policy.id
    FROM unnest($2::uuid[], '{video,in_person}'::text[]) AS what (id, kind) CROSS JOIN policy
),
sold AS (
    INSERT INTO plans (id, service_id, slug, name, amount)
    SELECT * FROM unnest($4::uuid[], $5::uuid[], $6::text[], $6::text[], $7::integer[])
),
offered AS (
    INSERT INTO mechanic_services SELECT who, what FROM unnest($1::uuid[]) AS who CROSS JOIN unnest($2::uuid[]) AS what
),
hours AS (
    INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time)
    SELECT who, weekday, '00:00', '00:00' FROM unnest($1::uuid[]) AS who CROSS JOIN generate_series(0, 6) AS weekday
)
SELECT id FROM workshop
"""

# By no trigger: one of them goes through all time zones that there are, for each mechanic and each workshop.
_UNWATCHED = "SET LOCAL session_replication_role = replica"


@dataclass(frozen=True, slots=True)
class Pools:
    """As the product's processes have them."""

    worker: Pool
    api: Pool


@dataclass(frozen=True, slots=True)
class Premises:
    """`services` and `plans`, the latter by their names: by video, and in person. The workshop has one bay."""

    mechanics: list[UUID]
    services: tuple[UUID, UUID]
    plans: tuple[dict[str, UUID], dict[str, UUID]]
    workshop: UUID

    @classmethod
    async def opened(cls, database: Any, anew: Agreed) -> "Premises":
        """`anew`: the policy by which everything is sold from now on."""
        mechanics, services = [uuid4(), uuid4()], (uuid4(), uuid4())
        plans = ({plan: uuid4() for plan in PLANS}, {plan: uuid4() for plan in PLANS})
        sold = [
            (id, what, plan, PLANS[plan]) for what, of in zip(services, plans, strict=True) for plan, id in of.items()
        ]
        rows = ([*column] for column in zip(*sold, strict=True))
        async with database.acquire() as connection, connection.transaction():
            await connection.execute(_UNWATCHED)
            workshop = await connection.fetchval(_OPEN, mechanics, [*services], json.dumps(anew.json()), *rows)
        return cls(mechanics, services, plans, workshop)

    def what(self, in_person: bool) -> tuple[UUID, UUID]:
        """The service and its usual plan."""
        return self.services[in_person], self.plan("standard", in_person)

    def plan(self, name: str, in_person: bool) -> UUID:
        return self.plans[in_person][name]
