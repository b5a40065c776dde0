"""Cards that are declined again and again: what can be done about them, and what cannot before they are used."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

import worker
from pitstop.devstack.stackfile import Stack
from pitstop.settings import Settings
from tests.limits.conftest import Changed
from tests.support.people import DECLINED_CARD, Customer, Issuer, events
from tests.support.processes import serving
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl

STOLEN_CARD = "pm_card_visa_chargeDeclinedStolenCard"


@pytest.fixture
def limits(changed: Changed) -> Settings:
    """Each card may be declined for one unpaid booking, each booking twice."""
    return changed(task_queue=f"cards-{uuid4()}", holds_per_card=1, declines_per_booking=2)


@pytest.fixture
async def strict(limits: Settings, stack: Stack, temporal: Client, stripe: StripeControl) -> AsyncIterator[str]:
    """API and worker with these limits; the news of this shop's payments goes to them alone."""
    async with worker.at_work(temporal, limits), serving(limits) as url:
        await stripe.endpoint(f"{url}/webhooks/stripe", stack.stripe_webhook_secret)
        yield url


async def _declined(customer: Customer, booking: dict[str, Any], card: str, times: int = 1) -> dict[str, Any]:
    """Pays with a card that is declined, and waits until the booking knows."""
    assert (await customer.pay(booking, card)).status_code == 402
    return await customer.waits_for(
        booking, lambda read: events(read).count("payment_declined") == times, f"decline {times}"
    )


async def test_a_card_that_goes_from_booking_to_booking_is_stopped(
    customer: Customer, issuer: Issuer, shop: Shop, strict: str
) -> None:
    customer.api_url = strict
    booking = await customer.book(shop, shop.start())
    assert (await _declined(customer, booking, STOLEN_CARD))["status"] == "awaiting_payment"
    another = await customer.post(customer.request(shop, shop.start(days=5)))
    assert (another.status_code, another.json()["code"]) == (429, "too_many_holds")
    assert another.json()["detail"].startswith("A card of this customer")
    # Another account has a hold: nobody knows its card before it is used. When it is, the hold is over.
    accomplice = await issuer.customer(strict)
    second = await accomplice.book(shop, shop.start(days=5))
    await _declined(accomplice, second, STOLEN_CARD)
    await accomplice.sees(second, "payment_failed")
    assert (await accomplice.pay(second)).status_code == 400, "the PaymentIntent is cancelled"
    # The first one is still held, and may be paid with another card.
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    await customer.book(shop, shop.start(days=6))


async def test_a_booking_takes_so_many_declined_cards(customer: Customer, shop: Shop, strict: str) -> None:
    customer.api_url = strict
    booking = await customer.book(shop, shop.start())
    await _declined(customer, booking, STOLEN_CARD)
    await _declined(customer, booking, DECLINED_CARD, times=2)
    await customer.sees(booking, "payment_failed")
    assert (await customer.pay(booking)).status_code == 400


async def test_below_the_limits_a_decline_ends_nothing(
    customer: Customer, shop: Shop, limits: Settings, stack: Stack, temporal: Client, stripe: StripeControl
) -> None:
    """The control: the same cards with higher limits."""
    lenient = limits.model_copy(update={"holds_per_card": 10, "declines_per_booking": 10})
    async with worker.at_work(temporal, lenient), serving(lenient) as url:
        await stripe.endpoint(f"{url}/webhooks/stripe", stack.stripe_webhook_secret)
        customer.api_url = url
        for start in (shop.start(), shop.start(days=5)):
            booking = await customer.book(shop, start)
            for times in (1, 2, 3):
                assert (await _declined(customer, booking, STOLEN_CARD, times))["status"] == "awaiting_payment"
            await customer.pay(booking)
            await customer.sees(booking, "confirmed")


async def test_stripe_away_when_a_payment_is_to_be_stopped(
    customer: Customer, shop: Shop, strict: str, stripe: StripeControl
) -> None:
    """The booking waits for its customer still; the next declined card is the next try."""
    customer.api_url = strict
    booking = await customer.book(shop, shop.start())
    await stripe.fault("cancel", "error_500")
    await _declined(customer, booking, STOLEN_CARD)
    waiting = await _declined(customer, booking, STOLEN_CARD, times=2)
    assert waiting["status"] == "awaiting_payment"
    await _declined(customer, booking, STOLEN_CARD, times=3)
    await customer.sees(booking, "payment_failed")
