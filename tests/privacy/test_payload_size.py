"""What a customer may send is large; what the engine is sent is not: its warning comes at 256 KB."""

import string

import pytest
from temporalio.client import Client

from api.fields import _MAX_INTAKE_CHARACTERS
from tests.support.opened import opened, payloads
from tests.support.people import Customer
from tests.support.shop import Shop
from tests.support.time import Clock

LARGEST_BYTES = 4 * 1024
# Four bytes each in UTF-8: as many bytes as the limit of characters lets through.
_LARGEST = {"photo": "\N{AUTOMOBILE}" * (_MAX_INTAKE_CHARACTERS - 100)}


async def test_the_largest_intake_does_not_reach_the_engine(
    customer: Customer, shop: Shop, temporal: Client, clock: Clock
) -> None:
    names = {"name": string.ascii_letters[:50] * 4, "email": customer.email, "phone": "+14165550123"}
    booking = await customer.book(shop, shop.start(), intake=_LARGEST, customer=names)
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await clock.to_the_end(booking)
    history = await clock.workflow(booking).fetch_history()
    for each in (history, opened(history, temporal.data_converter)):
        sizes = [payload.ByteSize() for event in each.events for payload in payloads(event)]
        assert sizes
        assert max(sizes) < LARGEST_BYTES
    assert sum(event.ByteSize() for event in history.events) < 16 * LARGEST_BYTES


@pytest.mark.parametrize(
    ("text", "status"),
    [("x" * (_MAX_INTAKE_CHARACTERS + 1), 422), ("x" * 300 * 1024, 413), ("\N{AUTOMOBILE}" * 70_000, 413)],
)
async def test_a_larger_one_is_refused(customer: Customer, shop: Shop, text: str, status: int) -> None:
    answer = await customer.post(customer.request(shop, shop.start(), intake={"photo": text}))
    assert answer.status_code == status
