"""The waitlist at its store, on a database of a test's own: the line, what comes free, and offers that are held by the
saga's own step, without engine and Stripe."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from pitstop.devstack.stackfile import Stack
from pitstop.domain.booking import BookingStatus
from pitstop.domain.course import Course
from pitstop.domain.waitlist import Offer
from pitstop.ports import PaymentIntent
from pitstop.postgres.pool import open_pool
from pitstop.postgres.saga import PostgresSaga
from pitstop.postgres.waitlist import PostgresWaitlist
from tests.support.databases import fresh_database
from tests.support.rows import add_booking, add_reservation
from tests.support.shop import Shop, open_shop

Pool = Any
HOUR = timedelta(hours=1)
LASTS = timedelta(minutes=30)
# From one session that the mechanic works for to the next: none touches another with its buffer.
APART = 3 * HOUR
_JOIN = """
INSERT INTO waitlist_entries (
    id, request_fingerprint, wish, created_by, created_by_role, customer_id, customer_name, customer_email, country,
    city, postal_code, timezone, service_id, plan_id, mechanic_id, span, missed_at_most
) VALUES (
    $1, '', uuid_send($1), 'a customer', 'customer', $2, 'Camille Roy', 'camille@example.com', 'CA',
    'Toronto', 'M5V 2T6', 'UTC', $3, $4, $5, tstzrange($6, $7), $8
)
"""


def moment() -> datetime:
    return datetime.now(UTC)


@dataclass
class Line:
    """One mechanic who works for `slots` sessions only, all of them booked; and those who wait for one of them."""

    database: Pool
    store: PostgresWaitlist
    saga: PostgresSaga
    shop: Shop
    slots: int
    names: dict[UUID, str] = field(default_factory=dict)

    def start(self, slot: int) -> datetime:
        return self.shop.start(days=3).replace(hour=0, minute=0) + slot * APART

    def slot(self, start: datetime) -> int:
        return (start - self.start(0)) // APART

    async def fill(self) -> None:
        """Closes all time but the slots', and books those."""
        ends = [self.shop.start(days=-1)]
        for slot in range(self.slots):
            ends += [self.start(slot), self.start(slot) + HOUR]
        ends.append(self.shop.start(days=40))
        away = [(self.shop.mechanic_id, ends[at], ends[at + 1]) for at in range(0, len(ends), 2)]
        await self.database.executemany(
            "INSERT INTO time_off (mechanic_id, during) VALUES ($1, tstzrange($2, $3))", away
        )
        for slot in range(self.slots):
            await self.book(slot)

    async def book(self, slot: int) -> None:
        """Somebody else has it."""
        async with self.database.acquire() as connection:
            case = await add_booking(connection, self.shop, self.start(slot))
            await add_reservation(connection, case)

    async def free(self, slot: int) -> None:
        await self.database.execute(
            "UPDATE slot_reservations SET status = 'cancelled'"
            " WHERE mechanic_id = $1 AND starts_at = $2 AND status = 'confirmed'",
            self.shop.mechanic_id,
            self.start(slot),
        )

    async def join(self, name: str = "", first: int = 0, last: int | None = None, most: int = 3) -> UUID:
        """Waits for one of the slots from `first` to `last`."""
        entry, until = uuid4(), self.start(self.slots - 1 if last is None else last) + HOUR
        ids = (self.shop.service_id, self.shop.plan_id, self.shop.mechanic_id)
        await self.database.execute(_JOIN, entry, uuid4(), *ids, self.start(first), until, most)
        self.names[entry] = name
        return entry

    async def serve(self) -> list[tuple[str, int]]:
        """All that can be offered now, as the activity does it: who got which slot, in order."""
        made = []
        await self.store.look(LASTS, moment(), 100, only_due=True)
        while (offer := await self.store.next_offer([], LASTS, moment())) is not None:
            assert offer.standing.start is not None
            if await self.hold(offer):
                made.append((self.names.get(offer.entry_id, ""), self.slot(offer.standing.start)))
        return made

    async def hold(self, offer: Offer) -> bool:
        """What the offer's workflow does: it holds the slot, has it to be paid for, or takes the booking back."""
        id, now = offer.standing.booking_id, moment()
        lapses = (now, now + LASTS, now + LASTS)
        held = await self.saga.place_hold(id, offer.standing.fingerprint, uuid4(), *lapses)
        if held.terms is None:
            await self.saga.withdraw(id, offer.standing.fingerprint)
            return False
        await self.saga.record_intent(id, PaymentIntent(f"pi_{id.hex}", "requires_payment_method", "secret"), now)
        return True

    async def offer_of(self, entry: UUID) -> UUID | None:
        """The booking that is offered to it at this moment."""
        query = "SELECT id FROM bookings WHERE waitlist_entry_id = $1 AND status = 'awaiting_payment'"
        id: UUID | None = await self.database.fetchval(query, entry)
        return id

    async def miss(self, booking: UUID) -> None:
        await self.saga.close_unpaid(booking, BookingStatus.EXPIRED, moment())

    async def decline(self, booking: UUID) -> None:
        await self.saga.call_off(booking, False, "declined", moment())

    async def pay(self, booking: UUID) -> None:
        await self.saga.confirm(booking, uuid4(), Course((), timedelta()), moment())

    async def status(self, entry: UUID) -> str:
        status: str = await self.database.fetchval("SELECT status FROM waitlist_entries WHERE id = $1", entry)
        return status

    async def offers(self) -> list[tuple[UUID, int]]:
        """Who was made which offers, in order."""
        rows = await self.database.fetch(
            "SELECT waitlist_entry_id, starts_at FROM bookings WHERE mechanic_id = $1 AND waitlist_entry_id IS NOT NULL"
            " ORDER BY created_at",
            self.shop.mechanic_id,
        )
        return [(row["waitlist_entry_id"], self.slot(row["starts_at"])) for row in rows]


Open = Callable[[int], Awaitable[Line]]


@asynccontextmanager
async def lines(stack: Stack) -> Any:
    """Makes lines on one fresh database: `await make(3)`, each with a mechanic of its own."""
    async with (
        fresh_database(stack) as urls,
        open_pool(urls.worker, 6, "waitlist-test") as worker,
        asyncpg.create_pool(urls.superuser, min_size=0, max_size=4) as database,
    ):

        async def make(slots: int) -> Line:
            line = Line(database, PostgresWaitlist(worker), PostgresSaga(worker), await open_shop(database), slots)
            await line.fill()
            return line

        yield make
