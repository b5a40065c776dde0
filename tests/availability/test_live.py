"""The search answers from the database as it is: what one client holds is gone for others at once, and back at once."""

from datetime import datetime, timedelta
from typing import Any

from tests.support.people import Customer
from tests.support.shop import Shop
from tests.support.time import Clock

QUARTER = timedelta(minutes=15)
HOLD = timedelta(minutes=15)


async def _starts(customer: Customer, shop: Shop, around: datetime) -> set[datetime]:
    """What this client is shown of the shop's mechanic, some hours before and after."""
    answer = await customer.get(
        "/v1/availability",
        **{
            "service_id": str(shop.service_id),
            "mechanic_id": str(shop.mechanic_id),
            "from": (around - timedelta(hours=4)).isoformat(),
            "to": (around + timedelta(hours=4)).isoformat(),
        },
    )
    assert answer.status_code == 200, answer.text
    return {datetime.fromisoformat(slot["start"]) for slot in answer.json()["slots"]}


def _around(start: datetime) -> set[datetime]:
    """The starts that an hour with a quarter after it takes away: its own, and four on either side."""
    return {start + QUARTER * number for number in range(-4, 5)}


async def test_what_one_client_holds_is_gone_for_another_until_it_is_called_off(
    customer: Customer, rival: Customer, shop: Shop, clock: Clock
) -> None:
    start = shop.start()
    before = await _starts(rival, shop, start)
    assert before >= _around(start)
    booking = await customer.book(shop, start)
    assert before - await _starts(rival, shop, start) == _around(start)
    await clock.workflow(booking).cancel()
    await customer.sees(booking, "cancelled")
    assert await _starts(rival, shop, start) == before


async def test_it_is_back_when_the_time_to_pay_is_over(
    customer: Customer, rival: Customer, shop: Shop, clock: Clock
) -> None:
    start = shop.start()
    before = await _starts(rival, shop, start)
    booking = await customer.book(shop, start)
    await clock.forward(booking, HOLD)
    await customer.sees(booking, "expired")
    assert await _starts(rival, shop, start) == before


async def test_it_is_back_when_the_hold_has_lapsed_though_its_row_still_says_reserved(
    customer: Customer, rival: Customer, shop: Shop, database: Any
) -> None:
    """As when no worker runs: the instant alone decides. What is shown can be had."""
    start = shop.start()
    before = await _starts(rival, shop, start)
    booking = await customer.book(shop, start)
    lapsed = await database.fetchval(
        "UPDATE slot_reservations SET expires_at = now() - interval '1 millisecond' WHERE booking_id = $1"
        " RETURNING status",
        booking["id"],
    )
    assert lapsed == "reserved"
    assert await _starts(rival, shop, start) == before
    await rival.book(shop, start)
    assert before - await _starts(customer, shop, start) == _around(start)
