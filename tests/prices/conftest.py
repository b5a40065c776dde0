"""A confirmed booking with its mechanic and an operator, another mechanic of the same shop, and a dearer plan."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from tests.life.conftest import Booked, booked, books, mechanic, operator
from tests.support.people import Customer, Issuer, Json
from tests.support.shop import Shop
from tests.support.shops import add_plan, hire

__all__ = ["booked", "books", "mechanic", "operator"]

# How much more than the shop's plan the dearer one costs.
MORE = 1000


@pytest.fixture
async def other(database: Any, issuer: Issuer, customer: Customer, shop: Shop) -> Customer:
    """Another mechanic who offers the shop's service, with a token of its own."""
    id = await hire(database, shop)
    return replace(customer, token=await issuer.token(str(id), "mechanic"), id=id)


@pytest.fixture
async def dear(database: Any, shop: Shop) -> UUID:
    """A plan of the shop's service that costs more."""
    return await add_plan(database, shop, shop.amount + MORE)


# Books for the first moment, pays, and asks for the dearer plan at the second.
ToPay = Callable[..., Awaitable[Json]]


@pytest.fixture
def to_pay(customer: Customer, booked: Booked, dear: UUID) -> ToPay:
    async def ask(start: datetime, to: datetime, **sent: Any) -> Json:
        booking = await booked(start)
        return await asked_for(customer, booking, to, dear, **sent)

    return ask


async def asked_for(customer: Customer, booking: Json, to: datetime, plan: UUID, **sent: Any) -> Json:
    """The booking as the answer has it: with what is to be paid."""
    answer = await customer.ask(booking, "reschedule", start=to.isoformat(), plan_id=str(plan), **sent)
    assert answer.status_code == 200, answer.text
    booking = answer.json()
    assert booking["supplement"]["status"] == "open", booking
    assert booking["supplement"]["client_secret"]
    return booking


def due(booking: Json) -> Json:
    """What is to be paid beside, as `Customer.pay` wants it."""
    return {"payment": booking["supplement"]}
