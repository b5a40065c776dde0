"""A booking gets another time: it takes the new slot as it lets the old one go, and everything follows."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.life.conftest import Booked
from tests.support.histories import replays
from tests.support.people import Customer, events
from tests.support.shop import Shop
from tests.support.time import Clock

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def test_moved_with_everything_that_belongs_to_it(
    customer: Customer, rival: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    answer = await customer.ask(
        booking, "reschedule", start=(start + DAY).isoformat(), version=booking["version"], reason="I am away."
    )
    assert answer.status_code == 200, answer.text
    moved = answer.json()
    assert (moved["id"], moved["status"], moved["amount"]) == (booking["id"], "confirmed", booking["amount"])
    assert datetime.fromisoformat(moved["start"]) == start + DAY
    assert datetime.fromisoformat(moved["end"]) == start + DAY + shop.duration
    assert datetime.fromisoformat(moved["scheduled_for_original"]) == start
    [entry] = [entry for entry in moved["timeline"] if entry["event"] == "rescheduled"]
    assert (entry["detail"]["by"], datetime.fromisoformat(entry["detail"]["from"])) == ("customer", start)
    history = await database.fetchrow("SELECT * FROM booking_changes WHERE booking_id = $1", booking["id"])
    assert (history["outcome"], history["reason"], history["asked_by"]) == ("done", "I am away.", str(customer.id))
    session = await database.fetchrow("SELECT * FROM sessions WHERE booking_id = $1", booking["id"])
    assert (session["scheduled_for"], session["scheduled_for_original"]) == (start + DAY, start)

    await rival.book(shop, start)
    taken = await rival.post(rival.request(shop, start + DAY))
    assert taken.status_code == 409

    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    assert await customer.subjects() == ["Confirmed", "Moved"]
    invite = (await customer.mails())[-1]["ics"]
    assert "METHOD:REQUEST" in invite
    assert "SEQUENCE:1" in invite

    # Neither of the old time's reminders goes out; those of the new one do.
    await clock.forward_to(booking, start - timedelta(minutes=30))
    assert await customer.subjects() == ["Confirmed", "Moved"]
    await clock.forward_to(booking, start + DAY - timedelta(minutes=30))
    assert await customer.subjects() == ["Confirmed", "Moved", "Reminder", "Reminder"]
    assert (await clock.to_the_end(booking))["status"] == "completed"
    await replays(clock.workflow(booking), "rescheduled", "moved to another day, reminded there, completed")


async def test_refused_leaves_everything_as_it_was(
    customer: Customer, rival: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    other = start + 2 * HOUR
    await rival.book(shop, other)

    async def rows() -> list[Any]:
        tables = ("bookings", "sessions", "slot_reservations", "notifications", "booking_events")
        column = {"bookings": "id"}
        return [
            await database.fetch(f"SELECT * FROM {table} WHERE {column.get(table, 'booking_id')} = $1", booking["id"])  # noqa: S608
            for table in tables
        ]

    before = await rows()
    refused: list[tuple[dict[str, Any], int, str]] = [
        ({"start": other.isoformat()}, 409, "slot_unavailable"),
        ({"start": (start + DAY).isoformat(), "version": 1}, 409, "version_conflict"),
        ({"start": (start + timedelta(minutes=7)).isoformat()}, 422, "slot_not_offered"),
        ({"start": (start + 300 * DAY).isoformat()}, 422, "slot_not_offered"),
        ({"start": (start - 5 * DAY).isoformat()}, 422, "slot_not_offered"),
        ({"start": "9999-12-31T23:59:59Z"}, 422, "slot_not_offered"),
        ({"start": "0001-01-01T00:00:00Z"}, 422, "slot_not_offered"),
        ({"start": (start + DAY).isoformat(), "reason": "a\0b"}, 422, "invalid_request"),
        ({"start": (start + DAY).isoformat(), "reason": "a\u202eb"}, 422, "invalid_request"),
    ]
    for sent, status, code in refused:
        answer = await customer.ask(booking, "reschedule", **sent)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await rows() == before


async def test_to_a_time_that_overlaps_the_present_one(customer: Customer, shop: Shop, booked: Booked) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    answer = await customer.ask(booking, "reschedule", start=(start + timedelta(minutes=15)).isoformat())
    assert answer.status_code == 200, answer.text
    again = await customer.ask(booking, "reschedule", start=(start + timedelta(minutes=15)).isoformat())
    assert (again.status_code, again.json()["version"]) == (200, answer.json()["version"])


async def test_only_who_may(
    customer: Customer, rival: Customer, mechanic: Customer, operator: Customer, shop: Shop, booked: Booked
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    wanted = {"start": (start + DAY).isoformat()}
    assert (await rival.ask(booking, "reschedule", **wanted)).status_code == 404
    # What a mechanic asks for is proposed, and moves nothing.
    assert (await mechanic.ask(booking, "reschedule", **wanted)).json()["start"] == booking["start"]
    assert (await operator.ask(booking, "reschedule", **wanted)).status_code == 200


@pytest.mark.parametrize(("left", "allowed"), [(timedelta(hours=2), True), (timedelta(minutes=119), False)])
async def test_until_the_policys_last_moment(
    customer: Customer,
    operator: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    left: timedelta,
    allowed: bool,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - left - timedelta(seconds=20))
    if not allowed:
        await clock.forward_to(booking, start - left)
    wanted = {"start": (start + DAY).isoformat()}
    answer = await customer.ask(booking, "reschedule", **wanted)
    assert answer.status_code == (200 if allowed else 409), answer.text
    if not allowed:
        assert answer.json()["code"] == "not_reschedulable"
        assert (await operator.ask(booking, "reschedule", **wanted)).status_code == 200


async def test_as_often_as_the_policy_allows(customer: Customer, shop: Shop, booked: Booked, database: Any) -> None:
    await database.execute(
        "WITH made AS (INSERT INTO booking_policies (name, terms) SELECT $2,"
        " jsonb_set(terms, '{reschedule_limit}', '1') FROM booking_policies WHERE name = 'standard' RETURNING id)"
        " UPDATE services SET policy_id = made.id FROM made WHERE services.id = $1",
        shop.service_id,
        f"moves once {shop.service_id}",
    )
    start = shop.start(days=3)
    booking = await booked(start)
    assert (await customer.ask(booking, "reschedule", start=(start + DAY).isoformat())).status_code == 200
    refused = await customer.ask(booking, "reschedule", start=(start + 2 * DAY).isoformat())
    assert (refused.status_code, refused.json()["code"]) == (409, "not_reschedulable")


async def test_two_who_swap_never_wait_for_each_other(
    customer: Customer, rival: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    """Each wants the other's slot, many times over. Neither can have it, and nobody gets an error of the database."""
    first, second = shop.start(days=3), shop.start(days=4)
    bookings = [await booked(first), await booked(second, rival)]
    for _ in range(5):
        answers = await asyncio.gather(
            customer.ask(bookings[0], "reschedule", start=second.isoformat()),
            rival.ask(bookings[1], "reschedule", start=first.isoformat()),
        )
        assert [answer.status_code for answer in answers] == [409, 409], [answer.text for answer in answers]
