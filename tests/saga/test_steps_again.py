"""A step of before runs again after the booking has ended: a task of the run was done once more."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.booking import BookingStatus
from pitstop.postgres.pool import Pool, open_pool
from pitstop.postgres.saga import PostgresSaga
from tests.support.rows import Case, add_booking, add_reservation
from tests.support.shop import Shop

_PAYMENT = """
INSERT INTO payments (payment_intent_id, booking_id, amount, currency, client_secret, status)
VALUES ($1, $2, 8900, 'cad', 'secret', 'requires_payment_method')
"""


@pytest.fixture
async def pool(stack: Stack) -> AsyncIterator[Pool]:
    async with open_pool(stack.worker_database_url, 2, "test") as pool:
        yield pool


async def _waiting(database: Any, shop: Shop) -> Case:
    case = await add_booking(database, shop, shop.start(), "awaiting_payment")
    await add_reservation(database, case, "reserved")
    await database.execute(_PAYMENT, f"pi_{case.booking_id.hex}", case.booking_id)
    return case


async def _payment(database: Any, case: Case) -> str:
    status: str = await database.fetchval("SELECT status FROM payments WHERE booking_id = $1", case.booking_id)
    return status


async def test_a_declined_card_and_the_end_again(pool: Pool, database: Any, shop: Shop) -> None:
    """Nobody can pay any more, whatever was heard of the card; the booking stays as it ended."""
    case, saga, now = await _waiting(database, shop), PostgresSaga(pool), datetime.now(UTC)
    for payment in ("requires_payment_method", "canceled"):
        await saga.record_decline(case.booking_id, "card_declined", now)
        assert await _payment(database, case) == payment
        ended = await saga.close_unpaid(case.booking_id, BookingStatus.PAYMENT_FAILED, now)
        assert ended is BookingStatus.PAYMENT_FAILED
        assert await _payment(database, case) == "canceled"


async def test_money_that_is_heard_of_after_the_cancellation_goes_back_and_is_told_of(
    pool: Pool, database: Any, shop: Shop
) -> None:
    """The customer has called it off as unpaid, and an operator the run, which has asked Stripe meanwhile."""
    case, saga = await _waiting(database, shop), PostgresSaga(pool)
    for paid in (False, True, True):
        called_off = await saga.call_off(case.booking_id, paid, "called_off", datetime.now(UTC))
        assert (called_off.status, called_off.refund_due) == (BookingStatus.CANCELLED, paid)
    owed = "SELECT array_agg(kind::text) FROM notifications WHERE booking_id = $1 AND status = 'pending'"
    assert await database.fetchval(owed, case.booking_id) == ["refund"]
    assert await database.fetchval("SELECT count(*) FROM refunds WHERE booking_id = $1", case.booking_id) == 1


async def test_what_is_confirmed_keeps_its_slot(pool: Pool, database: Any, shop: Shop) -> None:
    case, saga, now = await add_booking(database, shop, shop.start()), PostgresSaga(pool), datetime.now(UTC)
    await add_reservation(database, case)
    assert await saga.close_unpaid(case.booking_id, BookingStatus.EXPIRED, now) is BookingStatus.CONFIRMED
    held = "SELECT status FROM slot_reservations WHERE booking_id = $1"
    assert await database.fetchval(held, case.booking_id) == "confirmed"
