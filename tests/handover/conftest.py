"""A confirmed booking with its mechanic and an operator, and another mechanic of the same shop."""

from dataclasses import replace
from typing import Any

import pytest

from tests.life.conftest import booked, books, mechanic, operator
from tests.support.people import Customer, Issuer
from tests.support.shop import Shop
from tests.support.shops import hire

__all__ = ["booked", "books", "mechanic", "operator"]


@pytest.fixture
async def other(database: Any, issuer: Issuer, customer: Customer, shop: Shop) -> Customer:
    """Another mechanic who offers the shop's service, with a token of its own."""
    id = await hire(database, shop)
    return replace(customer, token=await issuer.token(str(id), "mechanic"), id=id)
