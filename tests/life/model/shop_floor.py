"""The steps of bookings on the real database, without an engine: as a run takes them, one by one, at given moments.

Stripe is a table of what was paid and given back, by idempotency key, as Stripe keeps it.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from pitstop.domain.audit.facts import StripeIntent, StripeRefund
from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Role
from pitstop.domain.course import Course
from pitstop.ports import PaymentIntent
from pitstop.postgres.changes import PostgresChanges
from pitstop.postgres.notices import PostgresNotices
from pitstop.postgres.pool import Pool
from pitstop.postgres.saga import PostgresSaga
from tests.life.model.rules import DURATION, GRACE, HOLD, OFFSETS, WAITING_ROOM, Agreed
from tests.support.shop import Shop, add_mechanic, open_shop

_BOOKING = """
INSERT INTO bookings (
    id, status, request_fingerprint, created_by, created_by_role, customer_id, customer_name, customer_email, country,
    city, postal_code, timezone, service_id, plan_id, mechanic_id, preferred_mechanic_id, starts_at, ends_at,
    buffer_before_minutes, buffer_after_minutes, amount, currency, policy
) VALUES ($1, 'holding', '', $2::text, 'customer', $2::text::uuid, 'Camille Roy', 'camille@example.com', 'CA',
    'Toronto', 'M5V 2T6', 'UTC', $3, $4, $5, $5, $6, $7, 0, 15, $8, 'cad', $9::text::jsonb)
"""
_ASK = """
INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, wanted, asked_at)
VALUES ($1, $2, $3, $4, 'somebody', $5::text::jsonb, $6)
"""
_STANDS = """
SELECT
    b.id, b.status, b.starts_at, b.mechanic_id, b.moves, b.customer_moves, b.invite_sequence, b.kept_amount,
    (SELECT p.paid_at IS NOT NULL FROM payments AS p WHERE p.booking_id = b.id) AS paid,
    (SELECT sum(r.amount)::bigint FROM refunds AS r WHERE r.booking_id = b.id) AS owed,
    (SELECT s.status FROM sessions AS s WHERE s.booking_id = b.id) AS session,
    (SELECT s.absent FROM sessions AS s WHERE s.booking_id = b.id) AS absent,
    (SELECT r.id FROM slot_reservations AS r WHERE r.booking_id = b.id AND status IN ('reserved', 'confirmed')) AS slot,
    (SELECT array_agg(i.party) FROM check_ins AS i WHERE i.booking_id = b.id) AS came,
    (SELECT jsonb_object_agg(n.key, n.status)::text FROM notifications AS n WHERE n.booking_id = b.id) AS mails
FROM bookings AS b WHERE b.id = ANY($1)
"""
_OVERLAPS = """
SELECT count(*) FROM slot_reservations AS a
JOIN slot_reservations AS b ON a.mechanic_id = b.mechanic_id AND a.id < b.id AND a.blocked && b.blocked
WHERE a.mechanic_id = ANY($1) AND a.status IN ('reserved', 'confirmed') AND b.status IN ('reserved', 'confirmed')
    AND (a.status = 'confirmed' OR a.expires_at > $2) AND (b.status = 'confirmed' OR b.expires_at > $2)
"""


@dataclass(slots=True)
class Till:
    """Stripe, as far as a saga can tell."""

    intents: dict[UUID, str] = field(default_factory=dict)
    paid: dict[UUID, int] = field(default_factory=dict)
    refunds: dict[str, tuple[UUID, int]] = field(default_factory=dict)

    def open(self, booking: UUID) -> None:
        self.intents[booking] = "requires_payment_method"

    def pay(self, booking: UUID, amount: int) -> bool:
        if self.intents.get(booking) != "requires_payment_method":
            return False
        self.intents[booking], self.paid[booking] = "succeeded", amount
        return True

    def void(self, booking: UUID) -> bool:
        """True when it has been paid."""
        if self.intents[booking] != "succeeded":
            self.intents[booking] = "canceled"
        return self.intents[booking] == "succeeded"

    def refund(self, key: str, booking: UUID, amount: int) -> str:
        known, before = self.refunds.setdefault(key, (booking, amount))
        assert (known, before) == (booking, amount), f"{key} was used for another refund"
        assert self.back(booking) <= self.paid[booking], "more goes back than was paid"
        return f"re_{key}"

    def back(self, booking: UUID) -> int:
        return sum(amount for of, amount in self.refunds.values() if of == booking)

    def facts(self, booking: UUID, amount: int) -> tuple[tuple[StripeIntent, ...], tuple[StripeRefund, ...]]:
        """What the audit is told."""
        state, received = self.intents.get(booking), self.paid.get(booking, 0)
        if state is None:
            return (), ()
        id, then = name(booking), datetime.fromisoformat("2026-01-01T00:00:00Z")
        intent = StripeIntent(id, booking, state, amount, "cad", received, self.back(booking), then, then)
        refunds = [(key, amount) for key, (of, amount) in self.refunds.items() if of == booking]
        return (intent,), tuple(
            StripeRefund(f"re_{key}", id, booking, amount, "cad", "succeeded", then) for key, amount in refunds
        )


def name(booking: UUID) -> str:
    return f"pi_{booking.hex}"


class Floor:
    """Two mechanics of one shop, and the stores that the worker has."""

    def __init__(self, database: Any, pool: Pool, shop: Shop, mechanics: list[UUID]) -> None:
        self.database, self.shop, self.mechanics = database, shop, mechanics
        self.saga, self.changes = PostgresSaga(pool), PostgresChanges(pool)
        self.notices = PostgresNotices(pool, lambda booking, end: "", lambda number: (), lambda booking: "")
        self.till = Till()

    @classmethod
    async def opened(cls, database: Any, pool: Pool) -> "Floor":
        shop, other = await open_shop(database), uuid4()
        await database.execute(
            "INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, minimum_notice_minutes)"
            " VALUES ($1, 'Ana', 'America/Toronto', 'CA', 'Toronto', 'M5V 2T6', '2 Front Street', 0)",
            other,
        )
        await add_mechanic(database, shop, other)
        return cls(database, pool, shop, [shop.mechanic_id, other])

    async def hold(self, mechanic: UUID, start: datetime, amount: int, agreed: Agreed, now: datetime) -> UUID | None:
        """The booking, when it has its slot."""
        id = uuid4()
        ids = (str(uuid4()), self.shop.service_id, self.shop.plan_id, mechanic)
        policy = _text(agreed.json())
        await self.database.execute(_BOOKING, id, *ids, start, start + DURATION, amount, policy)
        outcome = await self.saga.place_hold(id, "", uuid4(), now, now + HOLD, now + HOLD + GRACE)
        if outcome.terms is None:
            assert await self.saga.withdraw(id, "")
            return None
        self.till.open(id)
        await self.saga.record_intent(id, PaymentIntent(name(id), "requires_payment_method", "secret"), now)
        return id

    async def confirm(self, booking: UUID, now: datetime) -> bool:
        return await self.saga.confirm(booking, uuid4(), Course(OFFSETS, WAITING_ROOM), now) is not None

    async def ask(self, booking: UUID, kind: str, role: str, wanted: dict[str, Any], now: datetime) -> UUID:
        id = uuid4()
        await self.database.execute(_ASK, id, booking, kind, Role(role), _text(wanted), now)
        return id

    async def apply(self, booking: UUID, change: UUID, now: datetime, paid: bool | None = None) -> str | None:
        outcome = await self.changes.apply(booking, change, Course(OFFSETS, WAITING_ROOM, paid), now)
        return outcome.refusal

    async def close(self, booking: UUID, now: datetime) -> None:
        await self.changes.close(booking, Course(OFFSETS, WAITING_ROOM), now)

    async def close_unpaid(self, booking: UUID, now: datetime) -> None:
        await self.saga.close_unpaid(booking, BookingStatus.EXPIRED, now)

    async def refund(self, booking: UUID, reason: str | None, now: datetime, *, answer_lost: bool = False) -> None:
        for owed in await self.saga.owed_refunds(booking, reason, now):
            made = self.till.refund(owed.idempotency_key, booking, owed.amount)
            if not answer_lost:
                await self.saga.record_refund(booking, owed.idempotency_key, made, now)

    async def send(self, key: str, now: datetime) -> bool:
        if await self.notices.claim(key, now) is None:
            return False
        await self.notices.mark_sent(key, now)
        return True

    # What is there

    async def stand(self, bookings: list[UUID]) -> dict[UUID, dict[str, Any]]:
        return {row["id"]: dict(row) for row in await self.database.fetch(_STANDS, bookings)}

    async def overlaps(self, now: datetime) -> int:
        count: int = await self.database.fetchval(_OVERLAPS, self.mechanics, now)
        return count


def _text(value: object) -> str:
    return json.dumps(value)


MOMENTS = (
    *(-timedelta(hours=hours) for hours in (48, 26, 24, 20, 6, 3, 2, 1)),
    *(-timedelta(minutes=minutes) for minutes in (90, 45, 20, 15, 5)),
    timedelta(0),
    *(timedelta(minutes=minutes) for minutes in (1, 5, 10, 30, 60, 75, 90)),
)
