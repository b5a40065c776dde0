"""A signature is evidence: an erasure leaves it until it need not be kept any longer, and then empties it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pitstop.domain.caller import Caller, Role
from pitstop.postgres.erasure import PostgresErasure
from pitstop.postgres.pool import Pool, open_pool
from pitstop.postgres.saga import PostgresSaga
from tests.support.databases import Urls
from tests.support.rows import Case, add_signature
from tests.waiver.conftest import KEPT_FOR, Booked, MakeSigner

OPERATOR = Caller(Role.OPERATOR, "an operator")
_ROW = "SELECT * FROM waiver_signatures WHERE booking_id = $1"


@pytest.fixture(scope="module")
async def worker(urls: Urls) -> AsyncIterator[Pool]:
    async with open_pool(urls.worker, 2, "test") as pool:
        yield pool


async def _end(database: Any, case: Case) -> None:
    await database.execute("UPDATE bookings SET status = 'completed' WHERE id = $1", case.booking_id)


async def _erase(worker: Pool, case: Case, now: datetime) -> None:
    erased = await PostgresErasure(worker).erase(case.customer_id, OPERATOR, now)
    assert (erased.open_bookings, erased.bookings) == ((), 1)


async def test_it_is_kept_for_its_time(booked: Booked, signer: MakeSigner, database: Any) -> None:
    who = await signer(await booked())
    await who.sign()
    row = await database.fetchrow(_ROW, who.case.booking_id)
    assert row["keep_until"] == row["accepted_at"] + KEPT_FOR


async def test_an_erasure_leaves_it_and_the_sweep_empties_it_in_time(
    booked: Booked, database: Any, worker: Pool
) -> None:
    case = await booked()
    signature = await add_signature(database, case)
    await _end(database, case)
    now = datetime.now(UTC)
    await _erase(worker, case, now)
    assert await database.fetchval("SELECT customer_name FROM bookings WHERE id = $1", case.booking_id) == ""
    before = await database.fetchrow(_ROW, case.booking_id)
    assert (before["signed_name"], before["address"], before["erased_at"]) == ("Camille Roy", "203.0.113.7", None)
    sweep = PostgresSaga(worker)
    await sweep.forget_requests(now)
    assert await database.fetchrow(_ROW, case.booking_id) == before, "not yet"
    await sweep.forget_requests(before["keep_until"] + timedelta(seconds=1))
    after = await database.fetchrow(_ROW, case.booking_id)
    assert (after["signed_name"], after["address"], after["user_agent"]) == ("", "", "")
    for kept in ("id", "version", "language", "sha256", "accepted_at", "signer_role", "keep_until"):
        assert after[kept] == before[kept]
    assert after["id"] == signature


async def test_an_erasure_empties_at_once_what_is_old(booked: Booked, database: Any, worker: Pool) -> None:
    case = await booked()
    await add_signature(database, case)
    await _end(database, case)
    await _erase(worker, case, datetime.now(UTC) + timedelta(days=2))
    row = await database.fetchrow(_ROW, case.booking_id)
    assert (row["signed_name"], row["address"], row["user_agent"]) == ("", "", "")


async def test_who_asked_for_no_erasure_keeps_its_evidence(booked: Booked, database: Any, worker: Pool) -> None:
    case = await booked()
    await add_signature(database, case)
    await _end(database, case)
    await PostgresSaga(worker).forget_requests(datetime.now(UTC) + timedelta(days=2))
    assert (await database.fetchrow(_ROW, case.booking_id))["signed_name"] == "Camille Roy"


async def test_what_is_kept_is_still_evidence(booked: Booked, signer: MakeSigner, database: Any, worker: Pool) -> None:
    """For the customer and operators; the link is void."""
    who = await signer(await booked())
    await who.sign()
    await _end(database, who.case)
    await _erase(worker, who.case, datetime.now(UTC))
    assert (await who.http.get(f"{who.path}.pdf", headers=who.headers)).status_code == 200
    assert (await who.http.get(f"{who.path}.pdf", params={"token": who.link})).status_code == 404
