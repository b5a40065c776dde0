"""What was paid in two parts goes back from both: newest first, and of each no more than was paid by it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.life.meeting import Books
from tests.prices.conftest import MORE, ToPay, due
from tests.support.histories import replays
from tests.support.people import Customer, Json
from tests.support.shop import Shop
from tests.support.shops import add_plan
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
_BACK = """
SELECT p.supplement_id IS NOT NULL AS more, f.amount, f.refunded_at IS NOT NULL AS issued, f.idempotency_key
FROM refunds AS f JOIN payments AS p USING (payment_intent_id)
WHERE f.booking_id = $1 ORDER BY p.supplement_id IS NULL, f.requested_at
"""


@pytest.fixture
def moved(customer: Customer, shop: Shop, to_pay: ToPay) -> Any:
    """Moved to the dearer plan, at another day, and paid in two parts: `await moved(start)`."""

    async def move(start: Any) -> Json:
        asked = await to_pay(start - DAY, start)
        assert (await customer.pay(due(asked))).status_code == 200
        return await customer.sees(asked, "confirmed", "rescheduled")

    return move


async def _back(database: Any, booking: Json) -> list[tuple[bool, int]]:
    """What goes back, the difference's payment first."""
    rows = await database.fetch(_BACK, UUID(booking["id"]))
    assert all(row["issued"] for row in rows), rows
    return [(row["more"], row["amount"]) for row in rows]


@pytest.mark.parametrize(
    ("left", "back"),
    [(30 * HOUR, [(True, 1000), (False, 8900)]), (5 * HOUR, [(True, 1000), (False, 3950)]), (1 * HOUR, [])],
)
async def test_cancelled(
    left: timedelta,
    back: list[tuple[bool, int]],
    customer: Customer,
    shop: Shop,
    moved: Any,
    clock: Clock,
    database: Any,
    books: Books,
) -> None:
    """All, half, or nothing of the whole price."""
    start = shop.start(days=4)
    booking = await moved(start)
    await clock.forward_to(booking, start - left)
    answer = await customer.ask(booking, "cancel")
    total = sum(amount for _, amount in back)
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, total), answer.text
    assert await _back(database, booking) == back
    kept = await database.fetchval("SELECT kept_amount FROM bookings WHERE id = $1", UUID(booking["id"]))
    assert kept == shop.amount + MORE - total
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    await books.agree(booking)
    if left == 5 * HOUR:
        await replays(clock.workflow(booking), "difference_paid_then_cancelled", "paid in two parts, half went back")


async def test_a_part_that_the_newest_payment_covers(
    customer: Customer, operator: Customer, shop: Shop, moved: Any, database: Any, books: Books
) -> None:
    """A cheaper move after a dearer one: its difference comes from what was paid last, then from what was before."""
    start = shop.start(days=4)
    booking = await moved(start)
    near, far = await add_plan(database, shop, shop.amount + 400), await add_plan(database, shop, 5000)
    answer = await customer.ask(booking, "reschedule", start=start.isoformat(), plan_id=str(near))
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, 600), answer.text
    assert await _back(database, booking) == [(True, 600)]
    answer = await customer.ask(booking, "reschedule", start=start.isoformat(), plan_id=str(far))
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, 600 + 4300), answer.text
    assert await _back(database, booking) == [(True, 600), (True, 400), (False, 3900)]
    await books.agree(booking)
    cancelled = await operator.ask(booking, "cancel")
    assert cancelled.json()["amount_refunded"] == shop.amount + MORE
    assert sum(amount for _, amount in await _back(database, booking)) == shop.amount + MORE
    await books.agree(booking)


async def test_the_mechanic_does_not_come(
    customer: Customer, mechanic: Customer, shop: Shop, moved: Any, clock: Clock, database: Any, books: Books
) -> None:
    start = shop.start(days=4)
    booking = await moved(start)
    await clock.forward_to(booking, start + 12 * MINUTE)
    answer = await mechanic.ask(booking, "no-show", absent="mechanic")
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, shop.amount + MORE), answer.text
    assert await _back(database, booking) == [(True, MORE), (False, shop.amount)]
    await clock.workflow(booking).result()
    await books.agree(booking)


async def test_paid_twice_more(
    customer: Customer, shop: Shop, moved: Any, clock: Clock, database: Any, books: Books
) -> None:
    """Each move to something dearer has a payment of its own."""
    start = shop.start(days=4)
    booking = await moved(start)
    dearest = await add_plan(database, shop, shop.amount + 3 * MORE)
    answer = await customer.ask(booking, "reschedule", start=start.isoformat(), plan_id=str(dearest))
    asked = answer.json()
    assert asked["supplement"]["amount"] == 2 * MORE
    await customer.pay(due(asked))
    await customer.waits_for(booking, lambda read: read["moves"] == 2, "the second move")
    await books.agree(booking)
    cancelled = await customer.ask(booking, "cancel")
    assert cancelled.json()["amount_refunded"] == shop.amount + 3 * MORE
    assert sorted(await _back(database, booking)) == [(False, shop.amount), (True, MORE), (True, 2 * MORE)]
    await clock.workflow(booking).result()
    await books.agree(booking)


@pytest.mark.parametrize("waits", ["payment", "supplement"])
async def test_one_of_the_two_does_not_get_through(
    waits: str,
    customer: Customer,
    shop: Shop,
    moved: Any,
    clock: Clock,
    stripe: StripeControl,
    database: Any,
    books: Books,
) -> None:
    """The other goes back at once, whichever is asked for first; that one is tried until it is done."""
    booking = await moved(shop.start(days=4))
    intents = {part: booking[part]["payment_intent_id"] for part in ("payment", "supplement")}
    away = await stripe.fault("refund", "error_500", times=None, payment_intent=intents[waits])
    answer = await customer.ask(booking, "cancel")
    assert answer.status_code == 200, answer.text
    parts = (MORE, shop.amount) if waits == "payment" else (shop.amount, MORE)
    assert (answer.json()["amount_refunded"], answer.json()["amount_awaiting_refund"]) == parts
    await stripe.remove(away)
    back = await customer.waits_for(booking, lambda read: read["amount_awaiting_refund"] == 0, "the refunds")
    assert back["amount_refunded"] == shop.amount + MORE
    for intent in intents.values():
        assert len(await stripe.events(intent, "charge.refunded")) == 1
    await clock.workflow(booking).result()
    await books.agree(booking)
