"""The workshop confirms, proposes another time, declines, or says nothing; the customer is told each time."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.life.conftest import books
from tests.life.meeting import Books
from tests.mechanics.conftest import AROUND_THE_CLOCK, Desk
from tests.support.histories import replays
from tests.support.people import Customer, Json, events
from tests.support.shop import Shop
from tests.support.time import Clock
from tests.workshop.conftest import MINUTES, Booked, Yard

__all__ = ["books"]
SECOND = timedelta(seconds=1)


async def says(somebody: Customer, booking: Json, word: str, **sent: Any) -> Json:
    answer = await somebody.ask(booking, f"workshop/{word}", **sent)
    assert answer.status_code == 200, answer.text
    said: Json = answer.json()
    return said


async def held(database: Any, booking: Json) -> list[tuple[str, bool]]:
    """Status of each reservation, and whether it is that of a proposed time."""
    rows = await database.fetch(
        "SELECT status, proposal_id IS NOT NULL AS proposed FROM slot_reservations"
        " WHERE booking_id = $1 AND status IN ('reserved', 'confirmed') ORDER BY 2, 1",
        booking["id"],
    )
    return [(row["status"], row["proposed"]) for row in rows]


async def test_it_is_asked_and_confirms(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock, database: Any
) -> None:
    await database.execute("UPDATE workshops SET language = 'fr' WHERE id = $1", yard.id)
    booking = await booked()
    assert booking["workshop_status"] == "awaiting"
    assert datetime.fromisoformat(booking["workshop_answer_by"]) < datetime.fromisoformat(booking["start"])
    assert (await customer.subjects()) == ["Paid,"]
    at_work = Customer(customer.http, customer.stack, customer.api_url, keeper.token, keeper.id, yard.email)
    # In the workshop's language, which is not the customer's.
    assert (await at_work.subjects()) == ["À"]
    assert customer.email not in str(await at_work.mails())
    assert "/manage/" not in str(await at_work.mails())
    confirmed = await says(keeper, booking, "confirm")
    assert (confirmed["status"], confirmed["workshop_status"]) == ("confirmed", "confirmed")
    assert confirmed["workshop_answer_by"] is None
    again = await says(keeper, booking, "confirm")
    assert events(again).count("workshop_confirmed") == 1
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 3, "the confirmation")
    assert (await customer.subjects()) == ["Paid,", "Confirmed"]
    assert "METHOD:REQUEST" in (await customer.mails())[-1]["ics"]
    assert await held(database, booking) == [("confirmed", False)]
    assert (await clock.to_the_end(booking))["status"] == "completed"
    await replays(clock.workflow(booking), "workshop_confirmed", "confirmed by its workshop, held and completed")


@pytest.mark.parametrize("word", ["confirm", "decline"])
async def test_a_word_on_the_time_that_was_looked_at(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, word: str
) -> None:
    """The customer has moved since: neither a yes nor a no is meant for the new time."""
    booking = await booked()
    start = datetime.fromisoformat(booking["start"]) + timedelta(days=1)
    assert (await customer.ask(booking, "reschedule", start=start.isoformat())).status_code == 200
    late = await keeper.ask(booking, f"workshop/{word}", version=booking["version"])
    assert (late.status_code, late.json()["code"]) == (409, "version_conflict"), late.text
    read = await customer.read(booking)
    assert (read["status"], read["workshop_status"]) == ("confirmed", "awaiting")
    await says(keeper, booking, word, version=read["version"])


async def test_a_booking_that_has_ended_waits_for_no_word(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked
) -> None:
    asked, proposed = await booked(), await booked(yard.shop.start(days=2))
    await says(keeper, proposed, "propose", options=[{"start": yard.shop.start(days=4).isoformat()}])
    for booking, word in ((asked, "awaiting"), (proposed, "proposed")):
        answer = await customer.ask(booking, "cancel")
        assert answer.status_code == 200, answer.text
        read = await customer.read(booking)
        assert (read["status"], read["workshop_status"], read["workshop_answer_by"]) == ("cancelled", None, None)
        [ended] = [each["detail"] for each in read["timeline"] if each["event"] == "cancelled"]
        assert (ended["unanswered"], ended["percent"]) == (word, 100)


async def test_it_declines(
    customer: Customer, rival: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock
) -> None:
    start = yard.shop.start()
    booking = await booked(start)
    declined = await says(keeper, booking, "decline", reason="The lift is broken.")
    assert (declined["status"], declined["workshop_status"], declined["amount_refunded"]) == (
        "cancelled",
        "declined",
        8900,
    )
    await rival.book(yard.shop, start)
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    assert (await customer.subjects()) == ["Paid,", "The"]
    await replays(clock.workflow(booking), "workshop_declined", "declined by its workshop, refunded in full")


async def test_it_says_nothing(
    customer: Customer, rival: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock
) -> None:
    start = yard.shop.start()
    booking = await booked(start)
    await clock.forward(booking, timedelta(minutes=MINUTES))
    lapsed = await customer.sees(booking, "cancelled", "refund_issued")
    assert (lapsed["workshop_status"], lapsed["amount_refunded"]) == ("lapsed", 8900)
    assert "workshop_lapsed" in events(lapsed)
    await rival.book(yard.shop, start)
    late = await keeper.ask(booking, "workshop/confirm")
    assert (late.status_code, late.json()["code"]) == (409, "not_awaited")
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    await replays(clock.workflow(booking), "workshop_lapsed", "not confirmed by its workshop in time, refunded in full")


async def test_it_proposes_and_the_customer_accepts(
    customer: Customer, rival: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock, database: Any
) -> None:
    shop, start = yard.shop, yard.shop.start()
    booking = await booked(start)
    later, next_day = start + timedelta(hours=3), start + timedelta(days=1)
    options = [{"start": later.isoformat()}, {"start": next_day.isoformat(), "mechanic_id": str(yard.keeper_id)}]
    proposed = await says(keeper, booking, "propose", options=options)
    assert (proposed["workshop_status"], len(proposed["proposal"]["options"])) == ("proposed", 2)
    assert await held(database, booking) == [("confirmed", False), ("reserved", True), ("reserved", True)]
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 3, "the proposal")
    assert (await customer.subjects()) == ["Paid,", "The"]
    told = (await customer.mails())[-1]["text"]
    named = [line for line in told.splitlines() if line.startswith("Proposed:")]
    keeper_name = await database.fetchval("SELECT name FROM mechanics WHERE id = $1", yard.keeper_id)
    assert [line.endswith(f", with {keeper_name}") for line in named] == [False, True], told
    for taken, whose in ((start, shop.mechanic_id), (later, shop.mechanic_id), (next_day, yard.keeper_id)):
        refused = await rival.post(rival.request(shop, taken, mechanic_id=str(whose)))
        assert refused.status_code == 409, refused.text
    moved = await customer.ask(booking, "proposal/accept", **options[1])
    assert moved.status_code == 200, moved.text
    read = moved.json()
    assert (read["status"], read["workshop_status"], read["mechanic_id"]) == (
        "confirmed",
        "confirmed",
        str(yard.keeper_id),
    )
    assert await held(database, booking) == [("confirmed", False)]
    await rival.book(shop, later)
    assert (await clock.to_the_end(booking))["status"] == "completed"
    await replays(clock.workflow(booking), "workshop_proposal_accepted", "moved to a time that its workshop proposed")


@pytest.mark.parametrize("how", ["offline", "time off", "hours"])
async def test_a_proposed_time_is_the_customers_whatever_its_mechanic_does_meanwhile(
    how: str, customer: Customer, mechanic: Customer, keeper: Customer, yard: Yard, booked: Booked, books: Books
) -> None:
    """As if the mechanic had dropped out after the move: flagged. Who is offline is missed only when it comes near."""
    booking = await booked()
    later = yard.shop.start(days=4)
    await says(keeper, booking, "propose", options=[{"start": later.isoformat()}])
    desk = Desk(mechanic, yard.shop.mechanic_id)
    if how == "offline":
        await desk.go_online(False)
    elif how == "time off":
        await desk.away(later, later + timedelta(hours=1))
    else:
        await desk.set(weekly=[each for each in AROUND_THE_CLOCK if each["weekday"] != later.weekday()], timezone="UTC")
    moved = await customer.ask(booking, "proposal/accept", start=later.isoformat())
    assert (moved.status_code, moved.json().get("workshop_status")) == (200, "confirmed"), moved.text
    assert datetime.fromisoformat(moved.json()["start"]) == later
    reasons = {"offline": [], "time off": ["time_off"], "hours": ["outside_hours"]}[how]
    assert [each["reason"] for each in moved.json()["flags"] if each["reason"] != "offline"] == reasons
    assert ("mechanic_away" in events(moved.json())) == bool(reasons)
    await books.agree(booking)


async def test_a_time_that_overlaps_the_booked_one(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    """What the two share is held already."""
    start = yard.shop.start()
    booking = await booked(start)
    later = (start + timedelta(minutes=30)).isoformat()
    await says(keeper, booking, "propose", options=[{"start": later}])
    assert await held(database, booking) == [("confirmed", False), ("reserved", True)]
    moved = await customer.ask(booking, "proposal/accept", start=later)
    assert (moved.status_code, moved.json().get("workshop_status")) == (200, "confirmed"), moved.text


async def test_a_proposal_is_declined_or_not_answered(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock, database: Any
) -> None:
    for answer in ("decline", "nothing"):
        booking = await booked(yard.shop.start())
        later = (yard.shop.start() + timedelta(hours=4)).isoformat()
        await says(keeper, booking, "propose", options=[{"start": later}])
        if answer == "decline":
            declined = await customer.ask(booking, "proposal/decline")
            assert declined.status_code == 200, declined.text
        else:
            await clock.forward(booking, timedelta(minutes=MINUTES))
        read = await customer.sees(booking, "cancelled", "refund_issued")
        assert read["amount_refunded"] == 8900
        assert await held(database, booking) == []
        assert (await clock.workflow(booking).result())["status"] == "cancelled"


async def test_until_it_has_confirmed_a_cancellation_costs_nothing(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked
) -> None:
    soon = yard.shop.start(days=0, hours=3)
    unanswered, agreed = await booked(soon), await booked(soon, mechanic_id=str(yard.keeper_id))
    await says(keeper, agreed, "confirm")
    for booking, back in ((unanswered, 8900), (agreed, 4450)):
        cancelled = await customer.ask(booking, "cancel")
        assert (cancelled.status_code, cancelled.json()["amount_refunded"]) == (200, back), cancelled.text


async def test_a_moved_booking_is_asked_for_again(
    customer: Customer, keeper: Customer, operator: Customer, yard: Yard, booked: Booked
) -> None:
    booking = await booked()
    await says(keeper, booking, "confirm")
    for who, state in ((customer, "awaiting"), (operator, "confirmed")):
        start = yard.shop.start(days=5 if who is customer else 6).isoformat()
        moved = await who.ask(booking, "reschedule", start=start)
        assert (moved.status_code, moved.json()["workshop_status"]) == (200, state), moved.text


@pytest.mark.parametrize("word", ["confirmed", "awaiting"])
async def test_a_time_that_an_operator_proposes_needs_no_word(
    word: str,
    customer: Customer,
    keeper: Customer,
    mechanic: Customer,
    operator: Customer,
    yard: Yard,
    booked: Booked,
    books: Books,
) -> None:
    """One that its mechanic proposes does. What a cancellation gives back is counted by the audit likewise."""
    booking = await booked()
    if word == "confirmed":
        await says(keeper, booking, "confirm")
    for who, start, state in (
        (mechanic, yard.shop.start(days=5), "awaiting"),
        (operator, yard.shop.start(days=0, hours=3), "confirmed"),
    ):
        proposed = await who.ask(booking, "propose", options=[{"start": start.isoformat()}])
        assert proposed.status_code == 200, proposed.text
        moved = await customer.ask(booking, "proposal/accept", start=start.isoformat())
        assert (moved.status_code, moved.json().get("workshop_status")) == (200, state), moved.text
    cancelled = await customer.ask(booking, "cancel")
    assert (cancelled.status_code, cancelled.json()["amount_refunded"]) == (200, 4450), cancelled.text
    await books.agree(booking)


async def test_nothing_begins_that_it_has_not_agreed_to(
    mechanic: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock, database: Any
) -> None:
    await database.execute("UPDATE workshops SET confirms_within_minutes = 20000 WHERE id = $1", yard.id)
    booking = await booked(yard.shop.start(days=1))
    await clock.forward_to(booking, datetime.fromisoformat(booking["start"]) - timedelta(minutes=5))
    answer = await mechanic.ask(booking, "start")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_startable"), answer.text


async def test_a_workshop_that_need_not_be_asked(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    await database.execute("UPDATE workshops SET confirms_within_minutes = NULL WHERE id = $1", yard.id)
    booking = await booked()
    assert (booking["workshop_status"], booking["workshop_id"]) == (None, str(yard.id))
    assert (await customer.subjects()) == ["Confirmed"]
    answer = await keeper.ask(booking, "workshop/confirm")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_awaited")


async def test_the_period_is_that_of_the_booking(yard: Yard, booked: Booked, shop: Shop, database: Any) -> None:
    booking = await booked()
    await database.execute("UPDATE workshops SET confirms_within_minutes = NULL WHERE id = $1", yard.id)
    kept = await database.fetchval("SELECT confirms_within_minutes FROM bookings WHERE id = $1", booking["id"])
    assert kept == MINUTES
