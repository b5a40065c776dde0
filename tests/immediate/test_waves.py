"""Who is asked to take an immediate session, in which order, and what happens when nobody does."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.immediate.conftest import ALONE, MINUTE, WAVE, WHOLE, Crew, Wanted, goes, is_offered, until_offered
from tests.support.histories import replays
from tests.support.people import Customer, events
from tests.support.rows import add_booking, add_reservation
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

HOUR = timedelta(hours=1)


async def test_the_preferred_one_first_then_by_distance(
    customer: Customer, mechanic: Customer, crew: Crew, wanted: Wanted, clock: Clock
) -> None:
    abroad = await crew.hire("10001", "New York", "US")
    in_town, in_country = await crew.hire("M4B 1B3"), await crew.hire("H2Y 1C6", "Montréal")
    booking = await wanted(mechanic_id=str(in_country.id))
    near_to_far = (mechanic, in_town, in_country, abroad)
    assert await is_offered(booking, *near_to_far) == [False, False, True, False]
    await clock.forward(booking, ALONE)
    await until_offered(booking, near_to_far, [True, False, True, False])
    await clock.forward(booking, WAVE)
    await until_offered(booking, near_to_far, [True, True, True, False])
    await clock.forward(booking, WAVE)
    await until_offered(booking, near_to_far, [True, True, True, False])
    await clock.forward(booking, WAVE)
    await until_offered(booking, near_to_far, [True, True, True, True])
    assert (await abroad.ask(booking, "accept")).status_code == 200
    assert await is_offered(booking, *near_to_far) == [False] * 4
    read = await customer.read(booking)
    assert read["mechanic_id"] == str(abroad.id)
    assert events(read).count("offered") == 4
    assert (await clock.to_the_end(booking))["status"] == "completed"
    await replays(clock.workflow(booking), "taken_in_the_last_wave", "offered near to far, taken far away")


async def test_a_preferred_one_who_cannot_is_not_waited_for(mechanic: Customer, crew: Crew, wanted: Wanted) -> None:
    away = await crew.hire(online=False)
    booking = await wanted(mechanic_id=str(away.id))
    assert await is_offered(booking, mechanic, away) == [True, False]


async def test_waves_in_which_nobody_is_are_passed_over(crew: Crew, mechanic: Customer, wanted: Wanted) -> None:
    await goes(mechanic, online=False)
    abroad = await crew.hire("10001", "New York", "US")
    booking = await wanted()
    assert await is_offered(booking, abroad) == [True]


async def test_a_no_brings_the_next_wave_at_once(
    customer: Customer, mechanic: Customer, crew: Crew, wanted: Wanted, clock: Clock, database: Any
) -> None:
    in_country = await crew.hire("H2Y 1C6", "Montréal")
    booking = await wanted(mechanic_id=str(mechanic.id))
    assert await is_offered(booking, mechanic, in_country) == [True, False]
    assert (await mechanic.ask(booking, "decline-offer")).status_code == 204
    assert await is_offered(booking, mechanic, in_country) == [False, True]
    assert (await mechanic.ask(booking, "decline-offer")).status_code == 204, "said twice, it is the same no"
    refused = await mechanic.ask(booking, "accept")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_on_offer")
    assert (await in_country.ask(booking, "accept")).status_code == 200
    late = await mechanic.ask(booking, "decline-offer")
    assert (late.status_code, late.json()["code"]) == (409, "already_taken")
    rows = await database.fetch("SELECT mechanic_id, outcome FROM session_offers WHERE booking_id = $1", booking["id"])
    assert {row["mechanic_id"]: row["outcome"] for row in rows} == {mechanic.id: "declined", in_country.id: "accepted"}
    await replays(clock.workflow(booking), "declined_then_taken", "one mechanic declined, the next took it")


async def test_a_no_of_one_waits_for_the_others(mechanic: Customer, crew: Crew, wanted: Wanted) -> None:
    neighbour, in_country = await crew.hire(), await crew.hire("H2Y 1C6", "Montréal")
    booking = await wanted()
    assert (await mechanic.ask(booking, "decline-offer")).status_code == 204
    assert await is_offered(booking, neighbour, in_country) == [True, False]


async def test_who_comes_online_later_is_asked_too(
    mechanic: Customer, crew: Crew, wanted: Wanted, clock: Clock
) -> None:
    late = await crew.hire(online=False)
    booking = await wanted()
    await clock.forward(booking, 4 * WAVE)
    await goes(late, online=True)
    assert await is_offered(booking, late) == [False]
    await clock.forward(booking, WAVE)
    await until_offered(
        booking,
        (
            mechanic,
            late,
        ),
        [True, True],
    )


async def test_offline_there_is_nothing_to_take(mechanic: Customer, crew: Crew, wanted: Wanted) -> None:
    in_country = await crew.hire("H2Y 1C6", "Montréal")
    booking = await wanted()
    await goes(mechanic, online=False)
    assert await is_offered(booking, mechanic) == [False]
    refused = await mechanic.ask(booking, "accept")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_on_offer")
    await goes(mechanic, online=True)
    assert await is_offered(booking, mechanic, in_country) == [True, False]
    assert (await mechanic.ask(booking, "accept")).status_code == 200


async def test_who_is_asked_has_the_time(
    mechanic: Customer, crew: Crew, shop: Shop, wanted: Wanted, database: Any
) -> None:
    """Not who is not at work by its own hours, is away, has had enough for the day, or has something coming soon."""
    late, away, full, busy = [await crew.hire() for _ in range(4)]
    await database.execute("DELETE FROM availability_rules WHERE mechanic_id = $1", late.id)
    await database.execute(
        "INSERT INTO time_off (mechanic_id, during) VALUES ($1, tstzrange(now() - $2::interval, now() + $2))",
        away.id,
        HOUR,
    )
    await database.execute("UPDATE mechanics SET max_sessions_per_day = 1 WHERE id = $1", full.id)
    is_morning = datetime.now(ZoneInfo("America/Toronto")).hour < 12
    for somebody, ahead in ((full, 4 if is_morning else -4), (busy, 1)):
        case = await add_booking(database, replace(shop, mechanic_id=somebody.id), shop.start(days=0, hours=ahead))
        await add_reservation(database, case)
    booking = await wanted()
    assert await is_offered(booking, mechanic, late, away, full, busy) == [True, False, False, False, False]


async def test_nobody_takes_it(
    customer: Customer, mechanic: Customer, wanted: Wanted, clock: Clock, stripe: StripeControl, database: Any
) -> None:
    booking = await wanted()
    await clock.forward(booking, WHOLE - MINUTE / 2)
    assert (await customer.read(booking))["status"] == "pending"
    assert (await clock.to_the_end(booking))["status"] == "refunded"
    read = await customer.sees(booking, "refunded", "mail_sent")
    assert (read["amount_refunded"], read["start"], read["mechanic_id"]) == (8900, None, None)
    intent = booking["payment"]["payment_intent_id"]
    assert len(await stripe.calls("/v1/refunds", intent)) == 1
    [mail] = await customer.mails()
    assert mail["subject"].startswith("No mechanic was free")
    assert "CA$89.00 goes back" in mail["text"]
    assert mail["ics"] is None
    session = await database.fetchval("SELECT status FROM sessions WHERE booking_id = $1", booking["id"])
    outcome = await database.fetchval("SELECT outcome FROM session_offers WHERE booking_id = $1", booking["id"])
    assert (session, outcome) == ("cancelled", "lapsed")
    late = await mechanic.ask(booking, "accept")
    assert (late.status_code, late.json()["code"]) == (409, "not_on_offer")
    await replays(clock.workflow(booking), "not_taken", "no mechanic took the immediate session in time")


async def test_called_off_while_somebody_is_looked_for(
    customer: Customer, mechanic: Customer, wanted: Wanted, clock: Clock
) -> None:
    booking = await wanted()
    answer = await customer.ask(booking, "cancel")
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, 8900), answer.text
    assert await is_offered(booking, mechanic) == [False]
    assert (await mechanic.ask(booking, "accept")).json()["code"] == "not_on_offer"
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    [mail] = await customer.mails()
    assert (mail["subject"], mail["ics"]) == ("Cancelled: Brake check", None)
    await replays(clock.workflow(booking), "cancelled_while_pending", "cancelled before a mechanic took it")
