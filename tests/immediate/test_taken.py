"""An immediate session: paid, offered, taken by a mechanic, and then a session like any other."""

from datetime import datetime, timedelta
from typing import Any

from tests.immediate.conftest import MINUTE, Crew, Wanted, at_once, offers
from tests.support.histories import replays
from tests.support.people import Customer, events
from tests.support.shop import Shop
from tests.support.time import Clock


async def test_from_the_request_to_the_end(
    customer: Customer, mechanic: Customer, shop: Shop, clock: Clock, database: Any
) -> None:
    answer = await customer.post(at_once(customer, shop))
    assert answer.status_code == 201, answer.text
    booking = answer.json()
    assert (booking["status"], booking["start"], booking["end"], booking["mechanic_id"]) == (
        "awaiting_payment",
        None,
        None,
        None,
    )
    await customer.pay(booking)
    pending = await customer.sees(booking, "pending")
    assert (pending["immediate"], pending["start"], pending["waiting_room_opens_at"]) == (True, None, None)
    session = await database.fetchrow("SELECT * FROM sessions WHERE booking_id = $1", booking["id"])
    assert (session["status"], session["scheduled_for"], session["mechanic_id"]) == ("pending", None, None)

    [offer] = await offers(mechanic)
    assert (offer["booking_id"], offer["first_name"], offer["city"]) == (booking["id"], "Camille", "Toronto")
    assert "Roy" not in str(offer)
    assert customer.email not in str(offer)

    taken = await mechanic.ask(booking, "accept")
    assert taken.status_code == 200, taken.text
    running = taken.json()
    assert (running["status"], running["mechanic_id"]) == ("in_progress", str(mechanic.id))
    start, end = (datetime.fromisoformat(running[name]) for name in ("start", "end"))
    assert end - start == shop.duration
    again = await mechanic.ask(booking, "accept")
    assert (again.status_code, again.json()["version"]) == (200, running["version"])
    assert await offers(mechanic) == []

    read = await customer.waits_for(booking, lambda read: "mail_sent" in events(read), "the mail")
    assert events(read)[-2:] == ["in_progress", "mail_sent"]
    assert await customer.subjects() == ["Starting"]
    assert "Zoé Bélanger has taken your session" in (await customer.mails())[0]["text"]
    shown = (await clock.workflow(booking).describe()).typed_search_attributes
    values = {pair.key.name: pair.value for pair in shown}
    assert (values["MechanicId"], values["BookingStatus"]) == (str(mechanic.id), "in_progress")
    assert values["ScheduledFor"] == start.replace(microsecond=values["ScheduledFor"].microsecond)

    completed = await mechanic.ask(booking, "complete")
    assert (completed.status_code, completed.json()["status"]) == (200, "completed"), completed.text
    assert (await clock.workflow(booking).result())["status"] == "completed"
    await replays(clock.workflow(booking), "taken_at_once", "an immediate session, taken and completed")


async def test_it_blocks_the_mechanics_calendar(
    customer: Customer, rival: Customer, mechanic: Customer, shop: Shop, wanted: Wanted, database: Any
) -> None:
    booking = await wanted()
    assert (await mechanic.ask(booking, "accept")).status_code == 200
    row = await database.fetchrow("SELECT * FROM slot_reservations WHERE booking_id = $1", booking["id"])
    session = await database.fetchrow("SELECT * FROM sessions WHERE booking_id = $1", booking["id"])
    assert (row["status"], row["session_id"], row["mechanic_id"]) == ("confirmed", session["id"], mechanic.id)
    assert (row["blocked"].lower, row["blocked"].upper) == (row["starts_at"], row["ends_at"] + shop.buffer_after)
    assert (session["slot_reservation_id"], session["started_at"]) == (row["id"], row["starts_at"])
    soon = shop.start(hours=1, days=0)
    refused = await rival.post(rival.request(shop, soon))
    assert refused.status_code == 409, refused.text
    # Nor is it asked to take another one meanwhile.
    assert (await rival.post(at_once(rival, shop))).json()["code"] == "nobody_available"


async def test_what_nobody_closes_is_closed(
    mechanic: Customer, customer: Customer, shop: Shop, wanted: Wanted, clock: Clock
) -> None:
    booking = await wanted()
    running = (await mechanic.ask(booking, "accept")).json()
    end = datetime.fromisoformat(running["end"])
    await clock.forward_to(booking, end + 29 * MINUTE)
    assert (await customer.read(booking))["status"] == "in_progress"
    assert (await clock.to_the_end(booking))["status"] == "completed"
    assert await customer.subjects() == ["Starting"]


async def test_somebody_does_not_come(mechanic: Customer, customer: Customer, wanted: Wanted, clock: Clock) -> None:
    booking = await wanted()
    running = (await mechanic.ask(booking, "accept")).json()
    assert (await mechanic.ask(booking, "no-show")).json()["code"] == "too_early"
    await clock.forward_to(booking, datetime.fromisoformat(running["start"]) + timedelta(minutes=10))
    answer = await mechanic.ask(booking, "no-show", absent="mechanic")
    assert (answer.status_code, answer.json()["amount_refunded"]) == (200, 8900), answer.text


async def test_who_may_take_it(
    customer: Customer, rival: Customer, operator: Customer, crew: Crew, wanted: Wanted, database: Any
) -> None:
    """Only who was asked; for everybody else there is no such booking, or it is not theirs to take."""
    elsewhere = await crew.hire("H2Y 1C6", "Montréal")
    booking = await wanted()
    assert (await elsewhere.ask(booking, "accept")).status_code == 404
    assert (await elsewhere.ask(booking, "decline-offer")).status_code == 404
    for somebody in (customer, rival, operator):
        assert (await somebody.ask(booking, "accept")).status_code == 403
    assert await database.fetchval("SELECT count(*) FROM booking_changes WHERE booking_id = $1", booking["id"]) == 0


async def test_an_offer_is_no_key_to_the_booking(mechanic: Customer, wanted: Wanted) -> None:
    """Before it has taken the booking, the mechanic cannot read it, cancel it or fetch its invite."""
    booking = await wanted()
    for path in ("", "/invite.ics", "/events"):
        assert (await mechanic.get(f"/v1/bookings/{booking['id']}{path}")).status_code == 404
    for what in ("cancel", "start", "complete"):
        assert (await mechanic.ask(booking, what)).status_code == 404
    assert (await mechanic.get("/v1/bookings")).json()["items"] == []
