"""`--repair`: what is safe is mended through the workflows; done twice it does no more than once."""

import asyncio
from typing import Any

import pytest

from pitstop.audit.ports import Outcome
from tests.audit.house import House, codes

Json = dict[str, Any]


async def _clean(house: House, booking: Json) -> Outcome:
    """Waits until nothing is found any more: the workflow needs a moment after a repair."""
    for _ in range(100):
        outcome = await house.look(booking, patience=0)
        if outcome.is_clean:
            break
        await asyncio.sleep(0.1)
    return outcome


async def test_a_stranded_booking_is_driven_again(house: House) -> None:
    booking = await house.confirmed()
    await house.clock.workflow(booking).terminate("by mistake")
    found = await house.look(booking)
    assert codes(found) == {"undriven"}
    assert len(await house.office.repairs.of(found.findings)) == 1
    assert (await house.clock.workflow(booking).describe()).status is not None
    assert (await _clean(house, booking)).is_clean
    [again] = await house.office.repairs.of(found.findings)
    assert again.endswith("left alone")
    assert (await house.clock.to_the_end(booking))["status"] == "completed"


async def test_a_lost_webhook_is_made_good(house: House) -> None:
    customer, booking = await house.awaiting()
    lost = await house.control.webhooks("drop", times=None)
    await customer.pay(booking)
    await house.control.remove(lost)
    found = await house.look(booking, patience=0)
    assert codes(found) == {"webhook_lost"}
    await house.office.repairs.of(found.findings)
    await customer.sees(booking, "confirmed", "mail_sent")
    # Told again, it has no second effect.
    await house.office.repairs.of(found.findings)
    assert await customer.subjects() == ["Confirmed"]
    assert (await _clean(house, booking)).is_clean


@pytest.fixture
async def ended_by_hand(house: House) -> tuple[Any, Json]:
    """Expired in the database, its workflow terminated, and then paid."""
    customer, booking = await house.awaiting()
    await house.clock.workflow(booking).terminate("by mistake")
    await house.plant(
        booking,
        "UPDATE slot_reservations SET status = 'expired' WHERE booking_id = $1",
        "UPDATE bookings SET status = 'expired' WHERE id = $1",
        "INSERT INTO booking_events (booking_id, at, event) VALUES ($1, now(), 'expired')",
    )
    await customer.pay(booking)
    return customer, booking


async def test_money_without_a_booking_goes_back(house: House, ended_by_hand: tuple[Any, Json]) -> None:
    customer, booking = ended_by_hand
    found = await house.look(booking)
    assert "paid_not_booked" in codes(found)
    await house.office.repairs.of(found.findings)
    refunded = await customer.sees(booking, "expired", "refund_issued")
    assert refunded["amount_refunded"] == house.shop.amount
    # Its webhook found no workflow, and waits for the sweep; a second look asks for that.
    await house.office.repairs.of((await house.look(booking, patience=0)).findings)
    assert (await _clean(house, booking)).is_clean


async def test_the_sweep_does_what_is_its(house: House) -> None:
    """A hold whose workflow has gone, and an event that was never applied."""
    _, booking = await house.awaiting()
    await house.clock.workflow(booking).terminate("by mistake")
    await house.plant(
        booking,
        "UPDATE slot_reservations SET expires_at = AN_HOUR_AGO WHERE booking_id = $1",
        "UPDATE bookings SET hold_expires_at = AN_HOUR_AGO WHERE id = $1",
        "INSERT INTO webhook_inbox (event_id, type, booking_id, payload, received_at) "
        "VALUES ('evt_' || $1::uuid, 'payment_intent.canceled', $1::uuid, '{}', AN_HOUR_AGO)",
    )
    found = await house.look(booking)
    assert codes(found) == {"hold_outlived", "payment_unsettled", "undriven", "webhook_not_applied"}
    done = await house.office.repairs.of(found.findings)
    assert done[-1] == "the sweep has run"
    assert (await house.clock.workflow(booking).result())["status"] == "expired"
    assert (await _clean(house, booking)).is_clean


async def test_what_is_not_safe_is_left_to_a_person(house: House) -> None:
    booking = await house.confirmed()
    async with house.planted(booking, "UPDATE payments SET amount = amount + 1 WHERE booking_id = $1"):
        found = await house.look(booking)
        assert codes(found) == {"amount_differs"}
        assert await house.office.repairs.of(found.findings) == []
        assert found.findings[0].kind.to_do
    assert (await house.look(booking)).is_clean
