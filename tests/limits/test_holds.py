"""Holds that are not paid for: so many at a time, and longer and longer waits after those that ended unpaid."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.caller import Caller, Role
from pitstop.domain.limits import HoldLimits, Origin
from pitstop.domain.notices import Language
from pitstop.postgres.desk import BookingDesk, BookingRequest
from pitstop.postgres.pool import open_pool
from tests.limits.conftest import Changed
from tests.support.databases import fresh_database
from tests.support.people import Customer, Issuer
from tests.support.processes import serving
from tests.support.shop import Shop, open_shop
from tests.support.time import Clock

Pool = Any
MINUTE = timedelta(minutes=1)


def _starts(shop: Shop, count: int) -> list[datetime]:
    return [shop.start() + timedelta(hours=2 * n) for n in range(count)]


async def _live(database: Pool, shop: Shop) -> int:
    query = "SELECT count(*) FROM slot_reservations WHERE mechanic_id = $1 AND status = 'reserved'"
    live: int = await database.fetchval(query, shop.mechanic_id)
    return live


def _refused(answer: httpx.Response) -> float:
    """Seconds to wait, of a refusal for too many holds."""
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_holds"), answer.text
    return float(answer.headers["Retry-After"])


async def test_fifty_at_once_by_one_customer(customer: Customer, shop: Shop, database: Pool, changed: Changed) -> None:
    async with serving(changed(holds_per_customer=3)) as url:
        customer.api_url = url
        bodies = [customer.request(shop, start) for start in _starts(shop, 50)]
        answers = await asyncio.gather(*(customer.post(body, f"key {n}") for n, body in enumerate(bodies)))
        assert Counter(answer.status_code for answer in answers) == {201: 3, 429: 47}
        waits = {_refused(answer) for answer in answers if answer.status_code == 429}
        assert all(0 < wait <= 930 for wait in waits)
        assert await _live(database, shop) == 3
        assert await database.fetchval("SELECT count(*) FROM bookings WHERE customer_id = $1", customer.id) == 3
        held = [n for n, answer in enumerate(answers) if answer.status_code == 201]
        again = await asyncio.gather(*(customer.post(bodies[n], f"key {n}") for n in held))
        assert [answer.json()["id"] for answer in again] == [answers[n].json()["id"] for n in held]
        assert {answer.status_code for answer in again} == {200}, "a request that is repeated gets its booking"


async def test_an_address_may_hold_more_than_a_customer_and_not_all(
    issuer: Issuer, shop: Shop, database: Pool, changed: Changed, stack: Stack
) -> None:
    limits = {"holds_per_customer": 2, "holds_per_address": 4, "trusted_proxies": "127.0.0.1"}
    async with serving(changed(**limits)) as url:
        crowd = [await issuer.customer(url) for _ in range(6)]
        answers = await asyncio.gather(
            *(one.post(one.request(shop, start)) for one, start in zip(crowd, _starts(shop, 6), strict=True))
        )
        assert Counter(answer.status_code for answer in answers) == {201: 4, 429: 2}
        [refused] = {answer.json()["detail"].partition(".")[0] for answer in answers if answer.status_code == 429}
        assert "from this address" in refused
        body = crowd[0].request(shop, shop.start(days=10))
        elsewhere = crowd[0].headers | {"Idempotency-Key": "x", "X-Forwarded-For": "198.51.100.7"}
        moved = await crowd[0].http.post(f"{url}/v1/bookings", json=body, headers=elsewhere)
        assert moved.status_code == 201, "the same customer, from another address"
        assert await _live(database, shop) == 5
        stored = await database.fetch("SELECT origin FROM hold_origins WHERE booking_id = $1", UUID(moved.json()["id"]))
        assert len(stored) == 2
        assert not any(b"198.51" in row["origin"] for row in stored), "an address is kept as a keyed hash only"


async def test_a_service_has_its_own_quota(issuer: Issuer, shop: Shop, stack: Stack, changed: Changed) -> None:
    """Many customers, one address, one service: only its own limit counts, and another service has another."""
    limits = {"holds_per_service": 4, "holds_per_customer": 1, "holds_per_address": 1}
    async with serving(changed(**limits)) as url:
        services = [await issuer.token(f"shop-{uuid4()}", "service") for _ in range(2)]
        mine, other = (Customer(issuer._http, stack, url, token, uuid4()) for token in services)
        answers = [await mine.post(mine.request(shop, start)) for start in _starts(shop, 5)]
        assert [answer.status_code for answer in answers] == [201] * 4 + [429]
        _refused(answers[-1])
        assert (await other.post(other.request(shop, shop.start(days=10)))).status_code == 201


@pytest.fixture
async def impatient(changed: Changed) -> AsyncIterator[str]:
    """An API that lets one hold end unpaid; then waits begin."""
    async with serving(changed(unpaid_holds_per_customer=1)) as url:
        yield url


async def test_waits_grow_with_holds_that_end_unpaid(
    customer: Customer, rival: Customer, shop: Shop, clock: Clock, database: Pool, impatient: str
) -> None:
    customer.api_url = rival.api_url = impatient
    starts = _starts(shop, 5)
    for round, start in enumerate(starts[:4]):
        booking = await customer.book(shop, start)
        await clock.forward(booking, 16 * MINUTE)
        await customer.sees(booking, "expired")
        body = customer.request(shop, starts[4])
        wait = _refused(await customer.post(body))
        assert 60 * 2**round - 30 < wait <= 60 * 2**round
        await _passes(database, customer, timedelta(seconds=60 * 2**round))
    assert (await rival.post(rival.request(shop, starts[0]))).status_code == 201, "others do not wait"


async def _passes(database: Pool, customer: Customer, span: timedelta) -> None:
    """The customer's unpaid holds are longer ago by this span."""
    await database.execute(
        "UPDATE hold_origins SET ended_at = ended_at - $2::interval"
        " WHERE booking_id IN (SELECT id FROM bookings WHERE customer_id = $1)",
        customer.id,
        span,
    )


async def test_holds_that_were_paid_make_nobody_wait(
    customer: Customer, shop: Shop, changed: Changed, impatient: str
) -> None:
    customer.api_url = impatient
    for start in _starts(shop, 3):
        booking = await customer.book(shop, start)
        await customer.pay(booking)
        await customer.sees(booking, "confirmed")
    await customer.book(shop, shop.start(days=10))


async def test_the_window_passes(customer: Customer, shop: Shop, clock: Clock, database: Pool, impatient: str) -> None:
    customer.api_url = impatient
    booking = await customer.book(shop, shop.start())
    await clock.forward(booking, 16 * MINUTE)
    await customer.sees(booking, "expired")
    _refused(await customer.post(customer.request(shop, shop.start())))
    await _passes(database, customer, timedelta(hours=1))
    await customer.book(shop, shop.start())


async def test_what_was_refused_for_another_reason_counts_for_nothing(
    customer: Customer, rival: Customer, shop: Shop, changed: Changed, database: Pool
) -> None:
    async with serving(changed(holds_per_customer=1)) as url:
        customer.api_url = url
        await rival.book(shop, shop.start())
        for _ in range(3):
            assert (await customer.post(customer.request(shop, shop.start()))).status_code == 409
        await customer.book(shop, shop.start(days=10))


async def test_a_hold_that_nobody_drives_any_more_counts_until_it_lapses(
    customer: Customer, shop: Shop, database: Pool, changed: Changed
) -> None:
    """While all workers are down nothing ends; holds lapse all the same, and their customer may book again."""
    async with serving(changed(holds_per_customer=1)) as url:
        customer.api_url = url
        booking = await customer.book(shop, shop.start())
        _refused(await customer.post(customer.request(shop, shop.start(days=10))))
        lapse = "UPDATE hold_origins SET lapses_at = clock_timestamp() WHERE booking_id = $1"
        await database.execute(lapse, UUID(booking["id"]))
        await customer.book(shop, shop.start(days=10))


# At the desk itself: who comes to it at the same moment, with the lock and without.

Desk = tuple[BookingDesk, "asyncpg.Pool[asyncpg.Record]"]


@pytest.fixture
async def slow_desk(stack: Stack) -> AsyncIterator[Desk]:
    """A desk on a database of its own that takes its time to write a booking; and that database."""
    async with (
        fresh_database(stack) as urls,
        open_pool(urls.api, 10, "test") as pool,
        asyncpg.create_pool(urls.superuser, min_size=0, max_size=2) as database,
    ):
        await database.execute(
            "CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.2); RETURN NEW; END $$;"
            " CREATE TRIGGER slow AFTER INSERT ON bookings FOR EACH ROW EXECUTE FUNCTION take_time()"
        )
        yield BookingDesk(pool), database


async def _without_lock(database: Pool) -> None:
    source = await database.fetchval("SELECT pg_get_functiondef('claim_hold'::regproc)")
    assert "pg_advisory_xact_lock(" in source
    await database.execute(source.replace("PERFORM pg_advisory_xact_lock(", "PERFORM abs("))


def _limits(customer: UUID, most: int) -> HoldLimits:
    span = timedelta(minutes=15)
    return HoldLimits((Origin("customer", customer.bytes, most, 3),), span, 3, span, span, span)


def _request(shop: Shop, customer: UUID, start: datetime, id: UUID | None = None) -> BookingRequest:
    return BookingRequest(
        id=id or uuid4(),
        fingerprint=b"",
        customer_id=customer,
        customer_name="Camille Roy",
        customer_email="camille@example.com",
        customer_phone=None,
        sms_consent=False,
        language=Language.EN,
        country="CA",
        city="Toronto",
        postal_code="M5V 2T6",
        intake={},
        timezone="America/Toronto",
        service_id=shop.service_id,
        plan_id=shop.plan_id,
        mechanic_id=shop.mechanic_id,
        start=start,
    )


@pytest.mark.parametrize("guarded", [True, False])
async def test_only_the_lock_keeps_a_rush_within_the_limit(slow_desk: Desk, guarded: bool) -> None:
    desk, database = slow_desk
    if not guarded:
        await _without_lock(database)
    shop, customer = await open_shop(database), uuid4()
    caller = Caller(Role.CUSTOMER, str(customer))
    openings = await asyncio.gather(
        *(
            desk.open(caller, _request(shop, customer, start), _limits(customer, 2), datetime.now(UTC))
            for start in _starts(shop, 10)
        )
    )
    granted = sum(opening.exhausted is None for opening in openings)
    assert granted == await database.fetchval("SELECT count(*) FROM bookings")
    assert granted == 2 if guarded else granted > 2


async def test_one_key_at_one_moment_is_one_hold(slow_desk: Desk) -> None:
    """All who come with the key find the one booking, also when it is the last that the limit allows."""
    desk, database = slow_desk
    shop, customer, id = await open_shop(database), uuid4(), uuid4()
    caller, request = Caller(Role.CUSTOMER, str(customer)), _request(shop, customer, shop.start(), id)
    rush: list[Awaitable[Any]] = [desk.open(caller, request, _limits(customer, 1), datetime.now(UTC)) for _ in range(8)]
    openings = await asyncio.gather(*rush)
    assert {opening.exhausted for opening in openings} == {None}
    assert {opening.status for opening in openings} == {"holding"}
    assert await database.fetchval("SELECT count(*) FROM hold_origins") == 1
