"""Whoever has to give its word is asked for it, also when the booking is handed over before it has been given."""

from typing import Any

from tests.support.people import Customer
from tests.support.shop import open_workshop
from tests.support.shops import hire
from tests.workshop.conftest import Booked, Yard
from tests.workshop.test_unanswered import mails

_PERIOD = "UPDATE workshops SET confirms_within_minutes = 60, email = $2 WHERE id = $1"


async def test_another_workshop_is_asked_though_the_first_has_not_answered(
    customer: Customer, operator: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    booking = await booked()
    other = await hire(database, yard.shop, "Ana Ruiz")
    there = await open_workshop(database, 1, other)
    await database.execute(_PERIOD, there, f"{there}@example.com")
    handed = await operator.ask(booking, "hand-over", mechanic_id=str(other))
    assert (handed.status_code, handed.json()["workshop_status"]) == (200, "awaiting"), handed.text
    asked = Customer(customer.http, customer.stack, customer.api_url, "", other, f"{there}@example.com")
    await mails(asked, "Please")
