"""Who is erased waits no more, and nothing of the person is left in the line."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.caller import Caller, Role
from pitstop.domain.erasure import ErasedRecords
from pitstop.postgres.erasure import PostgresErasure
from pitstop.postgres.pool import open_pool
from tests.waitlist.line import Line, Open, lines, moment

_PERSONAL = ("customer_name", "customer_email", "customer_phone", "city", "postal_code", "intake")


@pytest.fixture
async def make(stack: Stack) -> AsyncIterator[Open]:
    async with lines(stack) as opened:
        yield opened


async def _customer(line: Line, entry: UUID) -> UUID:
    id: UUID = await line.database.fetchval("SELECT customer_id FROM waitlist_entries WHERE id = $1", entry)
    return id


async def _erase(line: Line, entry: UUID) -> ErasedRecords:
    async with open_pool(line.urls.worker, 1, "erasure-test") as pool:
        by = Caller(Role.OPERATOR, "an operator")
        return await PostgresErasure(pool).erase(await _customer(line, entry), by, moment())


async def _row(line: Line, entry: UUID) -> Any:
    return await line.database.fetchrow("SELECT * FROM waitlist_entries WHERE id = $1", entry)


async def test_the_person_goes_and_so_does_the_wish(make: Open) -> None:
    line = await make(1)
    first = await line.join("first")
    await line.join("second")
    filled = "UPDATE waitlist_entries SET intake = $2, customer_phone = '+14165550123' WHERE id = $1"
    await line.database.execute(filled, first, '{"vehicle": "a Civic"}')
    assert (await _erase(line, first)).open_bookings == ()
    row = await _row(line, first)
    assert [row[column] for column in _PERSONAL] == ["", "", None, "", "", "{}"]
    assert (row["status"], row["erased_at"] is None) == ("left", False)
    await line.free(0)
    assert await line.serve() == [("second", 0)]


async def test_an_offer_is_an_open_booking(make: Open) -> None:
    line = await make(1)
    entry = await line.join("only")
    await line.free(0)
    await line.serve()
    booking = await line.offer_of(entry)
    assert (await _erase(line, entry)).open_bookings == (booking,)
    assert (await _row(line, entry))["customer_name"] == "Camille Roy", "nothing is touched"


async def test_it_meets_an_offer(make: Open) -> None:
    """Whichever is first: an offer that is being made is seen, or none is made."""
    for _ in range(5):
        line = await make(1)
        entry = await line.join("only")
        await line.free(0)
        erased, made = await asyncio.gather(_erase(line, entry), line.serve())
        assert bool(erased.open_bookings) is bool(made)
        assert (await line.status(entry) == "left") is not bool(made)
