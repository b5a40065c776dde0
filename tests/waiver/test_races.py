"""Signing meets signing, and the start of the session, in both orders; and what the lock is for."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pitstop.domain.caller import Caller, Role
from pitstop.domain.waiver import Language, Signing
from pitstop.postgres import queries
from pitstop.postgres.pool import Pool, open_pool
from pitstop.postgres.waivers import Typed, Waivers
from tests.support.crossing import in_order
from tests.support.databases import Urls
from tests.support.rows import Case, add_signature
from tests.waiver.conftest import Booked

_WAIT = queries.load("saga")["wait_for_booking"]


@pytest.fixture(scope="module")
async def worker(urls: Urls) -> AsyncIterator[Pool]:
    async with open_pool(urls.worker, 2, "test") as pool:
        yield pool


async def _signs(waivers: Waivers, case: Case, name: str = "Camille Roy") -> Signing:
    version = await _current(waivers)
    typed = Typed(name, version, Language.ENGLISH, "203.0.113.7", "Browser/1.0")
    return await waivers.sign(Caller(Role.LINK, str(case.booking_id)), case.booking_id, typed)


async def _current(waivers: Waivers) -> int:
    document = await waivers.current(Language.ENGLISH, datetime.now(UTC))
    assert document is not None
    return document.version


async def _starts(worker: Pool, case: Case) -> bool:
    """As the saga starts a session: lock the booking, then look, then act, in one transaction."""
    async with worker.acquire() as connection, connection.transaction():
        await connection.execute(_WAIT, case.booking_id)
        if await connection.fetchval("SELECT waiver_missing($1)", case.booking_id):
            return False
        await connection.execute("UPDATE bookings SET status = 'in_progress' WHERE id = $1", case.booking_id)
        await connection.execute("UPDATE sessions SET status = 'in_progress' WHERE booking_id = $1", case.booking_id)
        return True


@pytest.mark.parametrize("kind", ["in_person", "diagnostic"])
async def test_nothing_starts_without_it(booked: Booked, waivers: Waivers, worker: Pool, kind: str) -> None:
    case = await booked(kind)
    assert await _starts(worker, case) is False
    assert await _signs(waivers, case) is Signing.SIGNED
    assert await _starts(worker, case) is True


@pytest.mark.parametrize("kind", ["video", "chat"])
async def test_other_kinds_start_without(booked: Booked, worker: Pool, kind: str) -> None:
    assert await _starts(worker, await booked(kind)) is True


async def test_an_unknown_booking_starts_nothing(worker: Pool) -> None:
    assert await worker.fetchval("SELECT waiver_missing(gen_random_uuid())") is True


@pytest.mark.parametrize("signing_first", [True, False])
async def test_the_start_meets_the_signature(
    booked: Booked, waivers: Waivers, worker: Pool, database: Any, signing_first: bool
) -> None:
    """Both began before the other was done; the second sees what the first did."""
    case = await booked()
    acts: list[Callable[[], Awaitable[Any]]] = [lambda: _signs(waivers, case), lambda: _starts(worker, case)]
    answers = await in_order(database, case.booking_id, *(acts if signing_first else reversed(acts)))
    signed, started = answers if signing_first else reversed(answers)
    assert signed is Signing.SIGNED
    assert started is signing_first


@pytest.mark.parametrize("signing_first", [True, False])
async def test_the_start_meets_a_second_signature(
    booked: Booked, waivers: Waivers, worker: Pool, database: Any, signing_first: bool
) -> None:
    """What is signed, is signed before the start."""
    case = await booked()
    await add_signature(database, case)
    acts: list[Callable[[], Awaitable[Any]]] = [lambda: _signs(waivers, case), lambda: _starts(worker, case)]
    answers = await in_order(database, case.booking_id, *(acts if signing_first else reversed(acts)))
    signed, started = answers if signing_first else reversed(answers)
    assert started is True
    assert signed is (Signing.SIGNED if signing_first else Signing.NOT_SIGNABLE)


async def test_without_the_lock_it_is_signed_after_the_start(
    booked: Booked, waivers: Waivers, worker: Pool, database: Any
) -> None:
    """The control: the same function, without its lock."""
    case = await booked()
    await add_signature(database, case)
    text: str = await database.fetchval("SELECT pg_get_functiondef('sign_waiver'::regproc)")
    assert text.count("FOR UPDATE") == 1
    await database.execute(text.replace("WHERE b.id = booking FOR UPDATE", "WHERE b.id = booking"))
    try:
        acts: list[Callable[[], Awaitable[Any]]] = [lambda: _starts(worker, case), lambda: _signs(waivers, case)]
        assert await in_order(database, case.booking_id, *acts) == [True, Signing.SIGNED]
    finally:
        await database.execute(text)


async def test_two_signatures_at_once_are_both_kept(booked: Booked, waivers: Waivers, database: Any) -> None:
    case = await booked()
    acts: list[Callable[[], Awaitable[Any]]] = [
        lambda: _signs(waivers, case, "Camille Roy"),
        lambda: _signs(waivers, case, "C. Roy"),
    ]
    assert await in_order(database, case.booking_id, *acts) == [Signing.SIGNED] * 2
    query = "SELECT signed_name FROM waiver_signatures WHERE booking_id = $1 ORDER BY accepted_at, id"
    assert [row["signed_name"] for row in await database.fetch(query, case.booking_id)] == ["Camille Roy", "C. Roy"]
    events = "SELECT count(*) FROM booking_events WHERE booking_id = $1 AND event = 'waiver_signed'"
    assert await database.fetchval(events, case.booking_id) == 2


async def test_a_cancellation_that_comes_first_leaves_nothing_to_sign(
    booked: Booked, waivers: Waivers, database: Any
) -> None:
    case = await booked()

    async def cancel() -> None:
        await database.execute("UPDATE bookings SET status = 'cancelled' WHERE id = $1", case.booking_id)

    _, signed = await in_order(database, case.booking_id, cancel, lambda: _signs(waivers, case))
    assert signed is Signing.NOT_SIGNABLE
