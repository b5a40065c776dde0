"""A mechanic drops out: the booking stands, is flagged, and its customer is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from pitstop.devstack.stackfile import Stack
from tests.life.conftest import Booked
from tests.mechanics.conftest import Desk, desk
from tests.support.histories import replays
from tests.support.people import Customer, Json, events
from tests.support.shop import Shop
from tests.support.sweep import sweep
from tests.support.time import Clock

__all__ = ["desk"]
HOUR = timedelta(hours=1)


def reasons(booking: Json) -> list[str]:
    return [flag["reason"] for flag in booking["flags"]]


async def flagged(who: Customer, booking: Json, event: str = "mechanic_away") -> Json:
    """Waits until the run has taken notice, and the mail has gone."""
    sent = {"mechanic_away": "at_risk", "mechanic_back": "confirmation"}[event]

    def told(read: Json) -> bool:
        mails = [entry["detail"]["kind"] for entry in read["timeline"] if entry["event"] == "mail_sent"]
        return event in events(read) and sent in mails

    return await who.waits_for(booking, told, event)


async def test_time_off_over_a_booking(
    customer: Customer, operator: Customer, other: Customer, desk: Desk, shop: Shop, booked: Booked, clock: Clock
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    assert (await customer.read(booking))["flags"] == []
    answer = await desk.away(start - HOUR, start + 2 * HOUR)
    assert [each["booking_id"] for each in answer["conflicts"]] == [booking["id"]]
    read = await flagged(customer, booking)
    assert (read["status"], read["start"], reasons(read)) == ("confirmed", booking["start"], ["time_off"])
    assert await customer.subjects() == ["Confirmed", "We"]
    # Again is the same flag: nobody is told twice.
    await desk.away(start - HOUR, start + HOUR)
    listed = await operator.get("/v1/bookings", flagged=True, mechanic_id=str(shop.mechanic_id))
    assert [each["id"] for each in listed.json()["items"]] == [booking["id"]]
    listed = await operator.get("/v1/bookings", flagged=False, mechanic_id=str(shop.mechanic_id))
    assert listed.json()["items"] == []

    handed = await operator.ask(booking, "hand-over", mechanic_id=str(other.id))
    assert (handed.status_code, handed.json()["flags"]) == (200, []), handed.text
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 3, "the mail")
    assert await customer.subjects() == ["Confirmed", "We", "Another"]
    assert (await clock.to_the_end(booking))["status"] == "completed"
    await replays(clock.workflow(booking), "flagged_and_handed_over", "its mechanic took time off, another one took it")


async def test_nothing_says_that_the_mechanic_expects_the_customer(
    customer: Customer, desk: Desk, shop: Shop, clock: Clock, http: httpx.AsyncClient
) -> None:
    start = shop.start(days=3)
    booking = await customer.book(shop, start)
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    # So it can fail.
    assert "expects you" in (await http.get(booking["manage_url"])).text
    await desk.away(start - HOUR, start + 2 * HOUR)
    await flagged(customer, booking)
    page = (await http.get(booking["manage_url"])).text
    assert ("Your mechanic is away" in page, "expects you" in page) == (True, False)
    await clock.forward_to(booking, start - 24 * HOUR)
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 3, "the reminder")
    reminder = (await customer.mails())[-1]
    assert reminder["subject"].startswith("Reminder")
    assert "is away at that time. The time stands, and we are finding a solution." in reminder["text"]
    assert "is expecting you" not in reminder["text"]


async def test_taken_back(customer: Customer, desk: Desk, shop: Shop, booked: Booked, database: Any) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    off = await desk.away(start, start + HOUR)
    await flagged(customer, booking)
    assert (await desk.call("DELETE", f"/time-off/{off['id']}")).status_code == 204
    assert (await customer.read(booking))["flags"] == []
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 3, "the mail")
    assert await customer.subjects() == ["Confirmed", "We", "Confirmed"]
    row = await database.fetchrow("SELECT * FROM booking_flags WHERE booking_id = $1", booking["id"])
    assert (row["resolution"], row["is_news"]) == ("taken_back", False)


@pytest.mark.parametrize("how", ["hours", "exception"])
async def test_changed_hours(customer: Customer, desk: Desk, shop: Shop, booked: Booked, how: str) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    if how == "hours":
        await desk.set(weekly=[])
    else:
        days = [{"date": (start + timedelta(days=day)).date().isoformat(), "hours": []} for day in (0, 1)]
        await desk.set(exceptions=days)
    reason = "outside_hours" if how == "hours" else "time_off"
    assert reasons(await flagged(customer, booking)) == [reason]
    if how == "hours":
        await desk.set(weekly=[{"weekday": day, "start": "00:00", "end": "24:00"} for day in range(7)])
    else:
        await desk.set(exceptions=[])
    assert (await customer.read(booking))["flags"] == []


async def test_offline_concerns_what_starts_soon(
    customer: Customer, desk: Desk, shop: Shop, booked: Booked, temporal: Client, stack: Stack, database: Any
) -> None:
    later = await booked(shop.start(days=3))
    soon = await booked(shop.start(hours=1, days=0))
    await desk.go_online(False)
    assert reasons(await flagged(customer, soon)) == ["offline"]
    assert (await customer.read(later))["flags"] == []
    # Time goes by: what comes near is flagged by the sweep.
    near = datetime.now(UTC) + HOUR
    await database.execute("UPDATE bookings SET starts_at = $2 WHERE id = $1", later["id"], near)
    await sweep(temporal, stack)
    assert reasons(await flagged(customer, later)) == ["offline"]
    await desk.go_online(True)
    for booking in (soon, later):
        assert (await customer.read(booking))["flags"] == []


async def test_who_came_online_while_the_sweep_looked_is_not_away(
    customer: Customer, shop: Shop, booked: Booked, temporal: Client, stack: Stack, database: Any
) -> None:
    """The sweep had an old picture, and the mechanic found no flag to take back. The next sweep sees both."""
    booking = await booked(shop.start(hours=1, days=0))
    flag = await database.fetchval(
        "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by)"
        " VALUES ($1, 'mechanic_away', $2, 'offline', now(), 'sweep') RETURNING id",
        booking["id"],
        shop.mechanic_id,
    )
    assert reasons(await customer.read(booking)) == ["offline"]
    await sweep(temporal, stack)
    assert await database.fetchval("SELECT resolution FROM booking_flags WHERE id = $1", flag) == "taken_back"


async def test_what_the_run_was_not_told_the_sweep_tells(
    customer: Customer, shop: Shop, booked: Booked, temporal: Client, stack: Stack, database: Any
) -> None:
    booking = await booked()
    await database.execute(
        "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by)"
        " VALUES ($1, 'mechanic_away', $2, 'time_off', now(), 'mechanic')",
        booking["id"],
        shop.mechanic_id,
    )
    assert "mechanic_away" not in events(await customer.read(booking))
    await sweep(temporal, stack)
    await flagged(customer, booking)
    await sweep(temporal, stack)
    assert events(await customer.read(booking)).count("mechanic_away") == 1


@pytest.mark.parametrize(
    ("what", "resolution"), [("cancel", "cancelled"), ("reschedule", "rescheduled"), ("end", "ended")]
)
async def test_how_a_flag_ends(
    customer: Customer,
    operator: Customer,
    desk: Desk,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
    what: str,
    resolution: str,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await desk.away(start, start + HOUR)
    await flagged(customer, booking)
    if what == "end":
        # As its mail has said: without a solution all of the money goes back.
        assert (await clock.to_the_end(booking))["status"] == "no_show"
        read = await customer.read(booking)
        assert (read["absent"], read["amount_refunded"]) == ("mechanic", shop.amount)
    else:
        wanted = {"start": (start + timedelta(days=1)).isoformat()} if what == "reschedule" else {}
        answer = await operator.ask(booking, what, **wanted)
        assert answer.status_code == 200, answer.text
        if what == "cancel":
            assert answer.json()["amount_refunded"] == 8900
    row = await database.fetchrow("SELECT * FROM booking_flags WHERE booking_id = $1", booking["id"])
    assert (row["resolution"], row["is_news"]) == (resolution, False)
    assert (await customer.read(booking))["flags"] == []


async def test_whoever_is_away_does_not_report_that_the_customer_is(
    customer: Customer, mechanic: Customer, operator: Customer, desk: Desk, shop: Shop, booked: Booked, clock: Clock
) -> None:
    """Unless it has come all the same: then the customer is waited for as ever."""
    start = shop.start(days=3)
    away, back = await booked(start), await booked(start + 2 * HOUR)
    await desk.away(start, start + 4 * HOUR)
    for booking in (away, back):
        await flagged(customer, booking)
        begins = datetime.fromisoformat(booking["start"])
        await clock.forward_to(booking, begins)
    assert (await mechanic.ask(back, "check-in")).status_code == 200
    for booking in (away, back):
        await clock.forward(booking, HOUR / 4)
    refused = await mechanic.ask(away, "no-show")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_absent")
    reported = await mechanic.ask(back, "no-show")
    assert (reported.status_code, reported.json()["amount_refunded"]) == (200, 0), reported.text
    decided = await operator.ask(away, "no-show", absent="mechanic")
    assert (decided.status_code, decided.json()["amount_refunded"]) == (200, shop.amount), decided.text


async def test_a_flag_that_came_too_late_is_lowered(
    customer: Customer, shop: Shop, booked: Booked, temporal: Client, stack: Stack, database: Any
) -> None:
    booking = await booked()
    assert (await customer.ask(booking, "cancel")).status_code == 200
    flag = await database.fetchval(
        "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by)"
        " VALUES ($1, 'mechanic_away', $2, 'time_off', now(), 'mechanic') RETURNING id",
        booking["id"],
        shop.mechanic_id,
    )
    assert (await customer.read(booking))["flags"] == []
    await sweep(temporal, stack)
    assert await database.fetchval("SELECT resolution FROM booking_flags WHERE id = $1", flag) == "ended"


async def test_while_it_is_being_paid(customer: Customer, desk: Desk, shop: Shop) -> None:
    """A hold is flagged, too; its customer is told once it is a booking."""
    start = shop.start(days=3)
    booking = await customer.book(shop, start)
    await desk.away(start, start + HOUR)
    assert reasons(await customer.read(booking)) == ["time_off"]
    await customer.pay(booking)
    await flagged(customer, booking)
    assert sorted(await customer.subjects()) == ["Confirmed", "We"]
