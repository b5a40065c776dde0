"""A database connection that is cut off in the middle of a command is an outage, not a mistake."""

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.postgres.desk import BookingDesk
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop


@pytest.mark.parametrize(
    "failure", [asyncpg.InternalClientError, asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError]
)
async def test_503(
    stack: Stack, customer: Customer, shop: Shop, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    async def cut(*_: object) -> None:
        raise failure("cannot switch to state 15; another operation (2) is in progress")

    monkeypatch.setattr(BookingDesk, "open", cut)
    async with serving(settings(stack)) as customer.api_url:
        answer = await customer.post(customer.request(shop, shop.start()))
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"]
