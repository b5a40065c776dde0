"""Everything by which time comes free is noticed: at once, or by the sweep if nobody could tell."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer, Issuer
from tests.support.shop import Shop
from tests.support.sweep import sweep
from tests.support.time import Clock
from tests.waitlist.conftest import HOUR, Day, join, offered, offers_of, only_works, read, settled

Pool = Any
Sweep = Callable[[], Awaitable[object]]


async def test_an_unpaid_hold(full: Day, customer: Customer, rival: Customer, clock: Clock, database: Pool) -> None:
    await full.owner.ask(full.booking, "cancel")
    held = await rival.book(full.shop, full.start)
    entry = await join(customer, full)
    await clock.forward(held, timedelta(minutes=16))
    await offered(customer, entry)


async def test_a_booking_that_is_moved_away(full: Day, customer: Customer, database: Pool) -> None:
    entry = await join(customer, full)
    elsewhere = full.start + timedelta(days=30)
    moved = await full.owner.ask(full.booking, "reschedule", start=elsewhere.isoformat())
    assert moved.status_code == 200, moved.text
    await offered(customer, entry)


async def test_an_operator_who_ends_the_run(full: Day, customer: Customer, clock: Clock) -> None:
    entry = await join(customer, full)
    await clock.workflow(full.booking).cancel()
    await offered(customer, entry)


BY_HAND = {
    "time off is removed": "DELETE FROM time_off WHERE mechanic_id = $1",
    "online again": "UPDATE mechanics SET online = TRUE WHERE id = $1",
    "shorter notice": "UPDATE mechanics SET minimum_notice_minutes = 0 WHERE id = $1",
    "hours on a weekday": "INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time)"
    " SELECT $1, day, '00:00', '00:00' FROM generate_series(0, 6) AS day",
    "a date's own hours are removed": "DELETE FROM date_exceptions WHERE mechanic_id = $1",
}
BEFORE = {
    "time off is removed": "INSERT INTO time_off (mechanic_id, during)"
    " VALUES ($1, tstzrange(now(), now() + '90 days'))",
    "online again": "UPDATE mechanics SET online = FALSE WHERE id = $1",
    "shorter notice": "UPDATE mechanics SET minimum_notice_minutes = 100000 WHERE id = $1",
    "hours on a weekday": "DELETE FROM availability_rules WHERE mechanic_id = $1",
    "a date's own hours are removed": "INSERT INTO date_exceptions (mechanic_id, day)"
    " SELECT $1, current_date + day FROM generate_series(0, 12) AS day",
}


@pytest.mark.parametrize("how", BY_HAND)
async def test_new_time(how: str, shop: Shop, customer: Customer, database: Pool, swept: Sweep) -> None:
    await database.execute(BEFORE[how], shop.mechanic_id)
    start = shop.start(days=4)
    entry = await join(customer, Day(shop, start, {}, customer))
    await _looked_at(database, entry)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(BY_HAND[how], shop.mechanic_id)
        noted = await connection.fetchval("SELECT count(*) FROM freed_slots WHERE mechanic_id = $1", shop.mechanic_id)
        assert noted >= 1, "it is on record at once, before anybody takes it up"
    await swept()
    booking = await offered(customer, entry)
    assert datetime.fromisoformat(booking["start"]) >= start


async def _looked_at(database: Pool, entry: Any) -> None:
    """Nobody is going to look at this entry by itself soon."""
    await database.execute(
        "UPDATE waitlist_entries SET looked_at = now() + interval '1 hour' WHERE id = $1", entry["id"]
    )


async def test_a_mechanics_own_change_by_the_api(
    shop: Shop, customer: Customer, issuer: Issuer, database: Pool, swept: Sweep
) -> None:
    mechanic = Customer(
        customer.http,
        customer.stack,
        customer.api_url,
        await issuer.token(str(shop.mechanic_id), "mechanic"),
        uuid4(),
    )
    path = f"{mechanic.api_url}/v1/mechanics/{shop.mechanic_id}/online"
    assert (await mechanic.http.put(path, json={"online": False}, headers=mechanic.headers)).status_code == 200
    entry = await join(customer, Day(shop, shop.start(days=4), {}, customer))
    await _looked_at(database, entry)
    assert (await mechanic.http.put(path, json={"online": True}, headers=mechanic.headers)).status_code == 200
    await swept()
    await offered(customer, entry)


async def test_only_time_has_passed(shop: Shop, customer: Customer, database: Pool, swept: Sweep) -> None:
    """The day comes within the mechanic's horizon, and nobody has told: the sweep looks for itself."""
    await database.execute("UPDATE mechanics SET horizon_days = 2 WHERE id = $1", shop.mechanic_id)
    entry = await join(customer, Day(shop, shop.start(days=4), {}, customer))
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE mechanics SET horizon_days = 60 WHERE id = $1", shop.mechanic_id)
    assert await database.fetchval("SELECT count(*) FROM freed_slots WHERE mechanic_id = $1", shop.mechanic_id) == 0
    await swept()
    await offered(customer, entry)


async def test_nobody_waits_for_it(full: Day, customer: Customer, database: Pool) -> None:
    """Other days, and other services, are no reason to look."""
    other_day = Day(full.shop, full.start + timedelta(hours=4), {}, customer)
    await join(customer, other_day)
    await full.owner.ask(full.booking, "cancel")
    await full.owner.sees(full.booking, "cancelled")
    noted = "SELECT count(*) FROM freed_slots WHERE mechanic_id = $1"
    assert await database.fetchval(noted, full.shop.mechanic_id) == 0
    assert await offers_of(database, full.shop) == []


async def test_any_mechanic_will_do(full: Day, customer: Customer, database: Pool) -> None:
    entry = await join(customer, full, mechanic_id=None)
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(customer, entry)
    assert booking["mechanic_id"] == str(full.shop.mechanic_id)
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")


async def test_a_day_with_as_many_as_the_mechanic_wants(
    shop: Shop, customer: Customer, rival: Customer, database: Pool
) -> None:
    """The session that is called off is not at the time that is waited for: the day has room again all the same."""
    start = shop.start(days=5).replace(hour=6, minute=0)
    await only_works(database, shop, (start, start + HOUR), (start + 3 * HOUR, start + 4 * HOUR))
    await database.execute(
        "UPDATE mechanics SET timezone = 'UTC', max_sessions_per_day = 1 WHERE id = $1", shop.mechanic_id
    )
    booking = await rival.book(shop, start)
    entry = await join(customer, Day(shop, start + 3 * HOUR, {}, customer))
    await rival.ask(booking, "cancel")
    await offered(customer, entry)


async def test_what_is_over_lapses(full: Day, customer: Customer, database: Pool, swept: Sweep) -> None:
    entry = await join(customer, full)
    await database.execute(
        "UPDATE waitlist_entries SET span = tstzrange(now() - interval '2 hours', now() - interval '1 hour')"
        " WHERE id = $1",
        entry["id"],
    )
    await swept()
    lapsed = await read(customer, entry)
    assert (lapsed["status"], lapsed["position"]) == ("lapsed", None)


async def test_while_stripe_is_away(
    full: Day, customer: Customer, stripe: Any, temporal: Client, stack: Stack, database: Pool
) -> None:
    """What came free is kept for the first in line until it can be paid for."""
    entry = await join(customer, full)
    fault = await stripe.fault("create", "error_500", times=None)
    await full.owner.ask(full.booking, "cancel")
    await full.owner.sees(full.booking, "cancelled")
    assert (await read(customer, entry))["status"] == "waiting"
    await stripe.remove(fault)
    await sweep(temporal, stack)
    await offered(customer, entry)
    await settled(database, full.shop)
    assert len(await offers_of(database, full.shop)) == 1
