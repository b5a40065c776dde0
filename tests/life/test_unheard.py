"""A change was decided on, and the run that did so has lost what it knew: its task was done again without the caller.

The database is ahead of the run then. Nothing is done by what the run believes, and it is told.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client

from pitstop.devstack.stackfile import Stack
from pitstop.domain.course import Course
from pitstop.postgres.changes import PostgresChanges
from pitstop.postgres.pool import open_pool
from tests.life.conftest import Booked
from tests.support.people import Customer, Json
from tests.support.shop import Shop
from tests.support.sweep import sweep
from tests.support.time import Clock

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
COURSE = Course((DAY, HOUR), 15 * MINUTE)
_ASK = """
INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, wanted)
SELECT $1, id, $3, 'customer', customer_id::text, $4::text::jsonb FROM bookings WHERE id = $2
"""


@pytest.fixture
async def changes(stack: Stack) -> AsyncIterator[PostgresChanges]:
    """As the worker has them."""
    async with open_pool(stack.worker_database_url, 2, "test") as pool:
        yield PostgresChanges(pool)


async def _decided(database: Any, changes: PostgresChanges, booking: Json, kind: str, wanted: str = "{}") -> None:
    """Beside the run, which hears nothing of it."""
    change = uuid4()
    await database.execute(_ASK, change, UUID(booking["id"]), kind, wanted)
    outcome = await changes.apply(UUID(booking["id"]), change, COURSE, datetime.now(UTC))
    assert outcome.refusal is None, outcome


async def test_a_move(
    customer: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any, changes: PostgresChanges
) -> None:
    """At the end of the time that it knows of, the run finds another one: the session has not been yet."""
    start = shop.start(days=3)
    booking = await booked(start)
    await _decided(database, changes, booking, "reschedule", f'{{"start": "{(start + 2 * DAY).isoformat()}"}}')
    await clock.forward_to(booking, start + shop.duration + 31 * MINUTE)
    moved = await customer.sees(booking, "confirmed")
    assert datetime.fromisoformat(moved["start"]) == start + 2 * DAY
    await clock.forward_to(booking, start + 2 * DAY - 30 * MINUTE)
    assert await customer.subjects() == ["Confirmed", "Moved", "Reminder", "Reminder"]
    assert (await clock.to_the_end(booking))["status"] == "completed"


async def test_a_cancellation_before_the_payment(
    customer: Customer, shop: Shop, clock: Clock, database: Any, changes: PostgresChanges
) -> None:
    booking = await customer.book(shop, shop.start())
    await _decided(database, changes, booking, "cancel")
    await clock.forward(booking, 16 * MINUTE)
    assert (await clock.workflow(booking).result())["status"] == "cancelled"


async def test_a_cancellation_that_meets_the_payment(
    customer: Customer, shop: Shop, clock: Clock, database: Any, changes: PostgresChanges
) -> None:
    """The money came all the same: it goes back."""
    booking = await customer.book(shop, shop.start())
    await _decided(database, changes, booking, "cancel")
    await customer.pay(booking)
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    assert (await customer.sees(booking, "cancelled", "refund_issued"))["amount_refunded"] == shop.amount


async def test_the_sweep_tells_the_run(
    customer: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
    changes: PostgresChanges,
    temporal: Client,
    stack: Stack,
) -> None:
    """It need not come to its next timer: what is owed and not being sent is noticed."""
    booking = await booked()
    await _decided(database, changes, booking, "cancel")
    await sweep(temporal, stack, timedelta(seconds=-5))
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    assert await customer.subjects() == ["Confirmed", "Cancelled"]
    assert (await customer.read(booking))["amount_refunded"] == shop.amount


_BEGUN = {
    "a mail": "UPDATE notifications SET status = 'sending', attempts = 1, tried_at = now() - interval '5 minutes'"
    " WHERE booking_id = $1 AND kind = 'cancellation'",
    "a refund": "UPDATE notifications SET status = 'sent', sent_at = now()"
    " WHERE booking_id = $1 AND kind = 'cancellation'",
    "all": "WITH paid AS (UPDATE refunds SET stripe_refund_id = 're_1', refunded_at = now() WHERE booking_id = $1)"
    " UPDATE notifications SET status = 'sent', sent_at = now() WHERE booking_id = $1 AND kind = 'cancellation'",
}
_HEARD = "SELECT bool_and(heard_at IS NOT NULL) FROM booking_changes WHERE booking_id = $1"


@pytest.mark.parametrize("what", _BEGUN)
async def test_what_it_had_begun_too(
    what: str,
    customer: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
    changes: PostgresChanges,
    temporal: Client,
    stack: Stack,
) -> None:
    """The engine died after a first try of the mail, or of the refund, which had failed, or when all was done: the run
    knows of nothing, and operators see it stand."""
    booking = await booked()
    await _decided(database, changes, booking, "cancel")
    await database.execute(_BEGUN[what], UUID(booking["id"]))
    await sweep(temporal, stack, timedelta(seconds=-5))
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    assert await customer.subjects() == ["Confirmed", *(["Cancelled"] if what == "a mail" else [])]
    assert (await customer.read(booking))["amount_refunded"] == shop.amount
    assert await database.fetchval(_HEARD, UUID(booking["id"]))


async def test_whoever_has_an_answer_has_been_heard(
    customer: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    """Otherwise every change would wake its run a second time."""
    start = shop.start(days=3)
    booking = await booked(start)
    assert (await customer.ask(booking, "reschedule", start=(start + DAY).isoformat())).status_code == 200
    assert await database.fetchval(_HEARD, UUID(booking["id"]))
