"""What cannot be had at once is refused where it is asked for, and leaves nothing behind."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from pitstop.devstack.stackfile import Stack
from tests.immediate.conftest import Crew, at_once, goes
from tests.support.histories import replays
from tests.support.people import DECLINED_CARD, Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.time import Clock


async def _bookings(database: Any, shop: Shop) -> int:
    count: int = await database.fetchval("SELECT count(*) FROM bookings WHERE service_id = $1", shop.service_id)
    return count


@pytest.mark.parametrize(
    ("kind", "immediate", "offered"),
    [
        ("video", None, True),
        ("chat", None, True),
        ("video", False, False),
        ("diagnostic", None, False),
        ("in_person", None, False),
    ],
)
async def test_which_services_can_be_had_at_once(
    customer: Customer, shop: Shop, database: Any, kind: str, immediate: bool | None, offered: bool
) -> None:
    await database.execute(
        "UPDATE services SET kind = $2, immediate = $3 WHERE id = $1", shop.service_id, kind, immediate
    )
    listed = (await customer.get("/v1/services")).json()["items"]
    assert {each["id"]: each["immediate"] for each in listed}[str(shop.service_id)] is offered
    answer = await customer.post(at_once(customer, shop))
    if offered:
        assert answer.status_code == 201, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, "slot_not_offered"), answer.text
        assert answer.json()["errors"][0]["field"] == "body.start"
        assert await _bookings(database, shop) == 0


async def test_the_database_knows_no_other_kinds(shop: Shop, database: Any) -> None:
    for kind in ("in_person", "diagnostic"):
        with pytest.raises(Exception, match="at_once_online"):
            await database.execute(
                "UPDATE services SET kind = $2, immediate = TRUE WHERE id = $1", shop.service_id, kind
            )


async def test_nobody_could_take_it(customer: Customer, mechanic: Customer, shop: Shop, database: Any) -> None:
    await goes(mechanic, online=False)
    answer = await customer.post(at_once(customer, shop))
    assert (answer.status_code, answer.json()["code"]) == (409, "nobody_available")
    assert await _bookings(database, shop) == 0
    await goes(mechanic, online=True)
    assert (await customer.post(at_once(customer, shop))).status_code == 201


async def test_a_mechanic_who_does_not_offer_it(customer: Customer, shop: Shop) -> None:
    answer = await customer.post(at_once(customer, shop, mechanic_id=str(uuid4())))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.mechanic_id")


async def test_the_same_key_is_the_same_booking(customer: Customer, mechanic: Customer, shop: Shop) -> None:
    key, body = str(uuid4()), at_once(customer, shop)
    first = await customer.post(body, key)
    await goes(mechanic, online=False)
    again = await customer.post(body, key)
    assert (first.status_code, again.status_code) == (201, 200), again.text
    assert first.json()["payment"] == again.json()["payment"]
    other = await customer.post(body | {"mechanic_id": str(mechanic.id)}, key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_unpaid_it_expires_and_counts(
    customer: Customer, mechanic: Customer, crew: Crew, shop: Shop, clock: Clock, database: Any
) -> None:
    booking = (await customer.post(at_once(customer, shop))).json()
    assert booking["hold_expires_at"] is not None
    assert await database.fetchval("SELECT count(*) FROM slot_reservations WHERE booking_id = $1", booking["id"]) == 0
    await customer.pay(booking, DECLINED_CARD)
    await customer.sees(booking, "awaiting_payment", "payment_declined")
    assert (await clock.to_the_end(booking))["status"] == "payment_failed"
    counted = await database.fetch("SELECT unpaid FROM hold_origins WHERE booking_id = $1", booking["id"])
    assert {row["unpaid"] for row in counted} == {True}
    assert (await customer.read(booking))["start"] is None
    await replays(clock.workflow(booking), "at_once_not_paid", "an immediate session that was not paid for")


async def test_too_many_unpaid_ones(customer: Customer, shop: Shop, stack: Stack) -> None:
    async with serving(settings(stack, holds_per_customer=2)) as url:
        hoarder = replace(customer, api_url=url)
        answers = [await hoarder.post(at_once(hoarder, shop)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[-1].json()["code"] == "too_many_holds"


async def test_called_off_before_it_is_paid(customer: Customer, shop: Shop, clock: Clock) -> None:
    booking = (await customer.post(at_once(customer, shop))).json()
    answer = await customer.ask(booking, "cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled"), answer.text
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    assert await customer.mails() == []


async def test_it_cannot_be_moved(customer: Customer, shop: Shop, mechanic: Customer) -> None:
    booking = (await customer.post(at_once(customer, shop))).json()
    await customer.pay(booking)
    await customer.sees(booking, "pending")
    for what, sent, code in (
        ("reschedule", {"start": shop.start().isoformat()}, "not_reschedulable"),
        ("check-in", {}, "not_open"),
    ):
        answer = await customer.ask(booking, what, **sent)
        assert (answer.status_code, answer.json()["code"]) == (409, code), answer.text
