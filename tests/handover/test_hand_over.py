"""Another mechanic takes a booking, at the same time and price."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.life.conftest import Booked
from tests.life.meeting import Books, ask, meet
from tests.support.histories import replays
from tests.support.people import Customer, events
from tests.support.shop import Shop, open_workshop
from tests.support.shops import hire
from tests.support.time import Clock

HOUR = timedelta(hours=1)


async def test_with_everything_that_belongs_to_it(
    customer: Customer,
    rival: Customer,
    mechanic: Customer,
    other: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    answer = await mechanic.ask(booking, "hand-over", mechanic_id=str(other.id), reason="I am ill.")
    assert (answer.status_code, answer.json()["mechanic_id"]) == (200, str(other.id)), answer.text

    # Who sees it: the new mechanic, and the old one no more.
    assert (await mechanic.get(f"/v1/bookings/{booking['id']}")).status_code == 404
    read = await other.read(booking)
    assert (read["status"], read["amount"], read["start"]) == ("confirmed", booking["amount"], booking["start"])
    [entry] = [entry for entry in read["timeline"] if entry["event"] == "handed_over"]
    assert (entry["detail"]["by"], entry["detail"]["to_mechanic_id"]) == ("mechanic", str(other.id))
    assert entry["detail"]["reason"] == "I am ill."
    session = await database.fetchrow("SELECT * FROM sessions WHERE booking_id = $1", booking["id"])
    assert (session["mechanic_id"], session["scheduled_for"]) == (other.id, start)

    # The old mechanic's time is free, the new one's is not.
    await rival.book(shop, start)
    taken = await rival.post(rival.request(shop, start, mechanic_id=str(other.id)))
    assert taken.status_code == 409

    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    mail = (await customer.mails())[-1]
    assert await customer.subjects() == ["Confirmed", "Another"]
    assert "Ben Singh" in mail["subject"]
    assert "METHOD:REQUEST" in mail["ics"]
    assert "SEQUENCE:1" in mail["ics"]
    assert "Reason: I am ill." in " ".join(mail["text"].split())
    attributes = (await clock.workflow(booking).describe()).search_attributes
    assert attributes["MechanicId"] == [str(other.id)]

    # The reminders are those of this time, and name the new mechanic.
    await clock.forward_to(booking, start - timedelta(minutes=30))
    assert await customer.subjects() == ["Confirmed", "Another", "Reminder", "Reminder"]
    assert "Ben Singh" in (await customer.mails())[-1]["subject"]
    assert (await clock.to_the_end(booking))["status"] == "completed"
    await replays(clock.workflow(booking), "handed_over", "handed over to another mechanic, reminded, completed")


async def test_refused_leaves_everything_as_it_was(
    customer: Customer,
    rival: Customer,
    mechanic: Customer,
    other: Customer,
    operator: Customer,
    shop: Shop,
    booked: Booked,
    database: Any,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await rival.book(shop, start + HOUR / 2, mechanic_id=str(other.id))
    before = await database.fetchrow("SELECT * FROM bookings WHERE id = $1", booking["id"])
    cases: list[tuple[Customer, dict[str, Any], int, str]] = [
        (customer, {"mechanic_id": str(other.id)}, 403, "forbidden"),
        (rival, {"mechanic_id": str(other.id)}, 403, "forbidden"),
        (other, {"mechanic_id": str(other.id)}, 404, "not_found"),
        (mechanic, {"mechanic_id": str(other.id)}, 409, "slot_unavailable"),
        (operator, {"mechanic_id": str(other.id), "version": 1}, 409, "version_conflict"),
        (operator, {"mechanic_id": str(customer.id)}, 422, "slot_not_offered"),
    ]
    for who, sent, status, code in cases:
        answer = await who.ask(booking, "hand-over", **sent)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    [error] = answer.json()["errors"]
    assert error["field"] == "body.mechanic_id", "a hand-over has no start that could be another"
    assert await database.fetchrow("SELECT * FROM bookings WHERE id = $1", booking["id"]) == before
    assert "handed_over" not in events(await customer.read(booking))


async def test_not_once_it_has_begun_or_ended(
    customer: Customer,
    mechanic: Customer,
    operator: Customer,
    other: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start)
    refused = await operator.ask(booking, "hand-over", mechanic_id=str(other.id))
    assert (refused.status_code, refused.json()["code"]) == (409, "not_transferable")
    assert (await mechanic.ask(booking, "cancel")).status_code == 200
    refused = await operator.ask(booking, "hand-over", mechanic_id=str(other.id))
    assert (refused.status_code, refused.json()["code"]) == (409, "not_transferable")


async def test_two_who_hand_over_to_each_other_never_wait_for_each_other(
    customer: Customer, operator: Customer, other: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    """At the same time neither is free; nobody gets an error of the database, in whatever order they come."""
    start = shop.start(days=3)
    first = await booked(start)
    second = await customer.book(shop, start, mechanic_id=str(other.id))
    await customer.pay(second)
    await customer.sees(second, "confirmed")
    for _ in range(4):
        answers = await asyncio.gather(
            operator.ask(first, "hand-over", mechanic_id=str(other.id)),
            operator.ask(second, "hand-over", mechanic_id=str(shop.mechanic_id)),
        )
        assert [answer.status_code for answer in answers] == [409, 409], [answer.text for answer in answers]


async def test_in_person_takes_a_bay_of_the_new_mechanics_workshop(
    customer: Customer, operator: Customer, other: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    await database.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", shop.service_id)
    await open_workshop(database, 1, shop.mechanic_id)
    booking = await booked()
    nowhere = await operator.ask(booking, "hand-over", mechanic_id=str(other.id))
    assert nowhere.status_code in (409, 422), nowhere.text
    workshop = await open_workshop(database, 1, other.id)
    answer = await operator.ask(booking, "hand-over", mechanic_id=str(other.id))
    assert answer.status_code == 200, answer.text
    bay = "SELECT workshop_id FROM bays JOIN slot_reservations AS r ON r.bay_id = bays.id WHERE r.booking_id = $1"
    assert await database.fetchval(bay, booking["id"]) == workshop


async def test_hand_over_and_cancel_in_both_orders(
    customer: Customer, operator: Customer, other: Customer, booked: Booked, clock: Clock
) -> None:
    booking = await booked()
    assert (await operator.ask(booking, "hand-over", mechanic_id=str(other.id))).status_code == 200
    answer = await customer.ask(booking, "cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    refused = await operator.ask(booking, "hand-over", mechanic_id=str(other.id))
    assert (refused.status_code, refused.json()["code"]) == (409, "not_transferable")
    await clock.workflow(booking).result()
    mails = await customer.mails()
    assert "SEQUENCE:2" in mails[-1]["ics"]


async def test_who_was_there_before_does_not_stand_for_the_new_mechanic(
    customer: Customer,
    mechanic: Customer,
    operator: Customer,
    other: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
) -> None:
    """Both have come; another mechanic takes the booking and does not come: the customer pays nothing."""
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - 10 * timedelta(minutes=1))
    for who in (mechanic, customer):
        assert (await who.ask(booking, "check-in")).status_code == 200
    handed = await operator.ask(booking, "hand-over", mechanic_id=str(other.id))
    assert handed.status_code == 200, handed.text
    assert (await clock.to_the_end(booking))["status"] == "no_show"
    read = await customer.read(booking)
    assert (read["absent"], read["amount_refunded"]) == ("mechanic", 8900)


@pytest.mark.parametrize("handed_first", [True, False])
async def test_as_its_mechanic_cancels(
    customer: Customer,
    mechanic: Customer,
    operator: Customer,
    other: Customer,
    shop: Shop,
    booked: Booked,
    database: Any,
    books: Books,
    handed_first: bool,
) -> None:
    """It is cancelled, or it is another mechanic's, which is not for the one before to cancel."""
    booking = await booked(shop.start(days=3))
    hands, cancels = ask(operator, booking, "hand-over", mechanic_id=str(other.id)), ask(mechanic, booking, "cancel")
    acts = (hands, cancels) if handed_first else (cancels, hands)
    answers = [answer.status_code for answer in await meet(database, booking, *acts)]
    read = await customer.read(booking)
    if handed_first:
        assert answers == [200, 404]
        assert (read["status"], read["mechanic_id"]) == ("confirmed", str(other.id))
    else:
        assert answers == [200, 409]
        assert (read["status"], read["amount_refunded"]) == ("cancelled", shop.amount)
    await books.agree(booking)


async def test_as_an_operator_hands_it_to_somebody_else(
    customer: Customer,
    mechanic: Customer,
    operator: Customer,
    other: Customer,
    shop: Shop,
    booked: Booked,
    database: Any,
) -> None:
    """Who has lost the booking in that moment is not told that its own hand-over was done."""
    third = await hire(database, shop)
    booking = await booked(shop.start(days=3))
    hands = ask(operator, booking, "hand-over", mechanic_id=str(other.id))
    comes_late = ask(mechanic, booking, "hand-over", mechanic_id=str(third))
    answers = [answer.status_code for answer in await meet(database, booking, hands, comes_late)]
    assert answers == [200, 404]
    assert (await customer.read(booking))["mechanic_id"] == str(other.id)
