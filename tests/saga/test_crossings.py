"""Two steps on one booking that began at the same moment: the second sees what the first has done."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.caller import Caller, Origin, Role
from pitstop.domain.course import Course
from pitstop.domain.saga import OwedRefund
from pitstop.postgres import saga
from pitstop.postgres.erasure import PostgresErasure
from pitstop.postgres.pool import Pool, open_pool
from pitstop.postgres.saga import PostgresSaga
from tests.support.crossing import crossing, in_order
from tests.support.rows import Case, add_booking, add_everything
from tests.support.shop import Shop

OPERATOR = Caller(Role.OPERATOR, "an operator", Origin("203.0.113.1", "a request"))


@pytest.fixture
async def pool(stack: Stack) -> AsyncIterator[Pool]:
    """As the worker has it."""
    async with open_pool(stack.worker_database_url, 4, "test") as pool:
        yield pool


@pytest.fixture
async def paid_late(database: Any, shop: Shop) -> Case:
    """Expired, and then paid: no refund is on record yet."""
    case = await add_everything(database, shop, shop.start())
    await database.execute("DELETE FROM refunds WHERE booking_id = $1", case.booking_id)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE bookings SET status = 'expired' WHERE id = $1", case.booking_id)
    return case


@pytest.mark.parametrize("refund_first", [True, False])
async def test_an_erasure_meets_a_refund(pool: Pool, paid_late: Case, database: Any, refund_first: bool) -> None:
    """Money that is owed keeps the booking open; what is owed after an erasure is owed all the same."""
    store, erasure, now = PostgresSaga(pool), PostgresErasure(pool), datetime.now(UTC)

    async def owe() -> OwedRefund:
        [owed] = await store.owed_refunds(paid_late.booking_id, "booking_ended", now)
        return owed

    async def erase() -> Any:
        return await erasure.erase(paid_late.customer_id, OPERATOR, now)

    acts = (owe, erase) if refund_first else (erase, owe)
    answers = await in_order(database, paid_late.booking_id, *acts)
    owed, erased = answers if refund_first else reversed(answers)
    assert owed.amount == 8900
    name = await database.fetchval("SELECT customer_name FROM bookings WHERE id = $1", paid_late.booking_id)
    if refund_first:
        assert erased.open_bookings == (paid_late.booking_id,)
        assert name == "Camille Roy", "nothing of it is done"
    else:
        assert (erased.open_bookings, erased.bookings) == ((), 1)
        assert name == ""


async def test_a_second_try_to_confirm_meets_the_refund_that_the_first_has_promised(
    pool: Pool, database: Any, shop: Shop
) -> None:
    """The first try found the slot gone, and its answer was lost. By the second the slot is free: it is too late."""
    case = await add_booking(database, shop, shop.start(), "awaiting_payment")
    await database.execute(
        "INSERT INTO payments (payment_intent_id, booking_id, amount, currency, client_secret, status)"
        " VALUES ($1, $2, 8900, 'cad', 'secret', 'requires_payment_method')",
        f"pi_{case.booking_id.hex}",
        case.booking_id,
    )
    async with crossing(database, case.booking_id) as meeting:
        confirming = PostgresSaga(pool).confirm(case.booking_id, uuid4(), Course([], timedelta(0)), datetime.now(UTC))
        second = asyncio.create_task(confirming)
        await meeting.comes()
        await meeting.connection.execute(
            "INSERT INTO refunds (idempotency_key, booking_id, payment_intent_id, amount, reason, requested_at)"
            " SELECT 'refund/' || payment_intent_id || '/full', booking_id, payment_intent_id, amount, 'slot_gone',"
            " now() FROM payments WHERE booking_id = $1",
            case.booking_id,
        )
    assert await second is None
    assert await database.fetchval("SELECT status FROM bookings WHERE id = $1", case.booking_id) == "awaiting_payment"
    assert await database.fetchval("SELECT count(*) FROM sessions WHERE booking_id = $1", case.booking_id) == 0


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_declined_card_is_noted_once_for_its_event(
    pool: Pool, database: Any, shop: Shop, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """The step runs again after a crash, and an event comes again by the sweep; another decline is another event."""
    if not guarded:
        once = saga._SQL["record_decline"].partition("WHERE NOT EXISTS")[0]
        monkeypatch.setitem(saga._SQL, "record_decline", once)
    case = await add_everything(database, shop, shop.start())
    store, first = PostgresSaga(pool), datetime.now(UTC)
    later = first + timedelta(seconds=5)
    for moment, event in ((first, "evt_1"), (first, "evt_1"), (later, "evt_1"), (later, "evt_2")):
        await store.record_decline(case.booking_id, "card_declined", moment, event_id=event)
    assert (await store.declines(case.booking_id, timedelta(hours=1))).of_booking == (2 if guarded else 4)


async def test_a_step_meets_its_own_repetition(pool: Pool, database: Any, shop: Shop) -> None:
    """A try that was given up for lost is still at it when the next one begins: they note one declined card."""
    case = await add_everything(database, shop, shop.start())
    store, now = PostgresSaga(pool), datetime.now(UTC)

    async def decline() -> None:
        await store.record_decline(case.booking_id, "card_declined", now, event_id="evt_1")

    await in_order(database, case.booking_id, decline, decline)
    assert (await store.declines(case.booking_id, timedelta(hours=1))).of_booking == 1
