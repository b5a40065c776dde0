"""A move to a dearer plan: the customer pays the difference, and nothing moves before."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.life.conftest import Booked
from tests.life.meeting import Books
from tests.mechanics.conftest import Desk, desk
from tests.prices.conftest import MORE, ToPay, asked_for, due
from tests.support.histories import replays
from tests.support.people import DECLINED_CARD, Customer, Json, events
from tests.support.shop import Shop, open_workshop
from tests.support.shops import add_plan, add_service
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

__all__ = ["desk"]
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def supplement_is(status: str) -> Any:
    return lambda read: read["supplement"]["status"] == status


async def test_paid_and_moved(
    customer: Customer,
    rival: Customer,
    shop: Shop,
    booked: Booked,
    dear: UUID,
    clock: Clock,
    stripe: StripeControl,
    database: Any,
    books: Books,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    asked = await asked_for(customer, booking, start + DAY, dear, version=booking["version"], reason="More of it.")
    supplement = asked["supplement"]
    assert (supplement["amount"], supplement["currency"]) == (MORE, "cad")
    assert supplement["payment_intent_id"] != booking["payment"]["payment_intent_id"]
    left = datetime.fromisoformat(supplement["expires_at"]) - datetime.now(start.tzinfo)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    # It stands as it was, and both times are its own.
    assert (asked["start"], asked["plan_id"], asked["amount"], asked["version"]) == tuple(
        booking[name] for name in ("start", "plan_id", "amount", "version")
    )
    for wanted in (start, start + DAY):
        assert (await rival.post(rival.request(shop, wanted))).status_code == 409
    assert await customer.subjects() == ["Confirmed"]

    assert (await customer.pay(due(asked))).status_code == 200
    moved = await customer.sees(booking, "confirmed", "rescheduled")
    assert datetime.fromisoformat(moved["start"]) == start + DAY
    assert (moved["plan_id"], moved["amount"], moved["amount_refunded"]) == (str(dear), shop.amount + MORE, 0)
    assert (moved["moves"], moved["supplement"]["status"], moved["supplement"]["client_secret"]) == (1, "applied", None)
    assert moved["payment"]["payment_intent_id"] == booking["payment"]["payment_intent_id"]
    payments = await database.fetch(
        "SELECT amount, paid_at IS NOT NULL AS paid FROM payments WHERE booking_id = $1 ORDER BY amount DESC",
        booking["id"],
    )
    assert [tuple(row) for row in payments] == [(shop.amount, True), (MORE, True)]
    session = await database.fetchrow("SELECT * FROM sessions WHERE booking_id = $1", booking["id"])
    assert (session["price_paid"], session["scheduled_for"]) == (shop.amount + MORE, start + DAY)
    change = await database.fetchval("SELECT id FROM booking_changes WHERE booking_id = $1", booking["id"])
    [created] = await stripe.calls("/v1/payment_intents", str(change))
    assert created["params"]["metadata"]["booking_id"] == booking["id"]
    assert created["idempotency_key"] == f"payment-intent/{change}"

    await rival.book(shop, start)
    assert (await rival.post(rival.request(shop, start + DAY))).status_code == 409
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    assert await customer.subjects() == ["Confirmed", "Moved"]
    assert "You have paid CA$10.00 for this change." in (await customer.mails())[-1]["text"]
    await books.agree(booking)
    await clock.forward_to(booking, start + DAY - 30 * MINUTE)
    assert await customer.subjects() == ["Confirmed", "Moved", "Reminder", "Reminder"]
    assert (await clock.to_the_end(booking))["status"] == "completed"
    await books.agree(booking)
    await replays(clock.workflow(booking), "difference_paid", "asked for a dearer plan, paid, moved there, completed")


async def test_the_mechanics_calendar_has_the_session_once(
    customer: Customer, mechanic: Customer, shop: Shop, to_pay: ToPay
) -> None:
    """Also while another time is held for it."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    at = f"{customer.api_url}/v1/mechanics/{shop.mechanic_id}"
    made = await mechanic.http.post(f"{at}/calendar-token", headers=mechanic.headers)
    token = made.json()["url"].partition("?token=")[2]
    feed = await mechanic.http.get(f"{at}/calendar.ics", params={"token": token})
    assert feed.text.count(f"UID:{asked['id']}.session@pitstop") == 1


def is_told_of_lapse(read: Json) -> bool:
    mails = [entry["detail"] for entry in read["timeline"] if entry["event"] == "mail_sent"]
    return [mail["kind"] for mail in mails].count("difference_unpaid") == 1


async def test_not_paid_in_time(
    customer: Customer, rival: Customer, shop: Shop, to_pay: ToPay, clock: Clock, stripe: StripeControl, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    await clock.forward(asked, 16 * MINUTE)
    lapsed = await customer.waits_for(asked, supplement_is("lapsed"), "the lapse")
    same = ("start", "plan_id", "amount", "version", "moves", "status")
    assert {name: lapsed[name] for name in same} == {name: asked[name] for name in same}
    assert lapsed["supplement"]["client_secret"] is None
    assert "supplement_lapsed" in events(lapsed)
    await customer.waits_for(asked, is_told_of_lapse, "the news of the lapse")
    [mail] = [each for each in await customer.mails() if each["subject"].startswith("Your booking stays as it was")]
    assert "CA$10.00 more" in mail["text"]
    assert (await customer.pay(due(asked))).status_code == 400, "nobody can pay any more"
    await rival.book(shop, start + DAY)
    assert (await rival.post(rival.request(shop, start))).status_code == 409
    await books.agree(asked)
    assert (await clock.to_the_end(asked))["status"] == "completed"
    await replays(clock.workflow(asked), "difference_not_paid", "asked for a dearer plan, did not pay, completed")


async def test_a_declined_card_leaves_the_rest_of_the_time(
    customer: Customer, shop: Shop, to_pay: ToPay, clock: Clock, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    assert (await customer.pay(due(asked), DECLINED_CARD)).status_code == 402
    declined = await customer.sees(asked, "confirmed", "payment_declined")
    assert declined["supplement"]["status"] == "open"
    assert declined["payment"]["status"] == "succeeded"
    assert (await customer.pay(due(asked))).status_code == 200
    moved = await customer.sees(asked, "confirmed", "rescheduled")
    assert moved["amount"] == shop.amount + MORE
    await books.agree(asked)
    await replays(clock.workflow(asked), "difference_declined_then_paid", "a declined card, then the difference paid")


async def test_asked_for_again_it_is_the_same(
    customer: Customer, shop: Shop, to_pay: ToPay, dear: UUID, database: Any, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    again = await asked_for(customer, asked, start + DAY, dear)
    assert again["supplement"] == asked["supplement"]
    assert await database.fetchval("SELECT count(*) FROM supplements WHERE booking_id = $1", asked["id"]) == 1
    await books.agree(asked)


async def test_another_choice_takes_its_place(
    customer: Customer,
    rival: Customer,
    shop: Shop,
    to_pay: ToPay,
    dear: UUID,
    clock: Clock,
    stripe: StripeControl,
    books: Books,
) -> None:
    start = shop.start(days=3)
    first = await to_pay(start, start + DAY)
    second = await asked_for(customer, first, start + 2 * DAY, dear)
    assert second["supplement"]["id"] != first["supplement"]["id"]
    assert "supplement_replaced" in events(second)
    # Stripe was told of the first before it was asked for the second.
    voided = await stripe.calls("/cancel", first["supplement"]["payment_intent_id"])
    created = await stripe.calls("/v1/payment_intents", second["supplement"]["id"])
    assert (len(voided), len(created), voided[0]["at"] <= created[0]["at"]) == (1, 1, True)
    assert (await customer.pay(due(first))).status_code == 400
    await rival.book(shop, start + DAY)
    assert (await customer.pay(due(second))).status_code == 200
    moved = await customer.sees(first, "confirmed", "rescheduled")
    assert datetime.fromisoformat(moved["start"]) == start + 2 * DAY
    assert (moved["amount"], moved["amount_refunded"]) == (shop.amount + MORE, 0)
    await books.agree(first)
    await replays(clock.workflow(first), "difference_replaced", "another choice while a difference was to be paid")


async def test_what_is_replaced_and_was_paid_goes_back(
    customer: Customer, shop: Shop, to_pay: ToPay, dear: UUID, clock: Clock, stripe: StripeControl, books: Books
) -> None:
    """The news of the payment has not come: Stripe says it when it is asked to void the first."""
    start = shop.start(days=3)
    first = await to_pay(start, start + DAY)
    await stripe.webhooks("drop", event_type="payment_intent.succeeded", times=1)
    assert (await customer.pay(due(first))).status_code == 200
    second = await asked_for(customer, first, start + 2 * DAY, dear)
    returned = await customer.sees(first, "confirmed", "refund_issued")
    assert (returned["amount_refunded"], returned["moves"]) == (MORE, 0)
    assert (await customer.pay(due(second))).status_code == 200
    moved = await customer.sees(first, "confirmed", "rescheduled")
    assert datetime.fromisoformat(moved["start"]) == start + 2 * DAY
    assert (moved["amount"], moved["amount_refunded"]) == (shop.amount + MORE, MORE)
    await books.agree(first)
    await replays(clock.workflow(first), "difference_replaced_and_paid", "paid for what was replaced in that moment")


@pytest.mark.parametrize("minutes", [0, 15, -30, 75])
async def test_beside_its_own_time(
    minutes: int, customer: Customer, rival: Customer, shop: Shop, to_pay: ToPay, clock: Clock, books: Books
) -> None:
    """What is to be paid for may share time with what the booking has, or touch it."""
    start = shop.start(days=3)
    to = start + minutes * MINUTE
    asked = await to_pay(start, to)
    for wanted in (start, to):
        assert (await rival.post(rival.request(shop, wanted))).status_code == 409
    await books.agree(asked)
    if minutes == 15:
        # Not paid, it has its own time still, and no more.
        await clock.forward(asked, 16 * MINUTE)
        await customer.waits_for(asked, supplement_is("lapsed"), "the lapse")
        await rival.book(shop, start + 75 * MINUTE)
        assert (await rival.post(rival.request(shop, start))).status_code == 409
    else:
        await customer.pay(due(asked))
        moved = await customer.sees(asked, "confirmed", "rescheduled")
        assert datetime.fromisoformat(moved["start"]) == to
        assert moved["amount"] == shop.amount + MORE
    await books.agree(asked)


async def test_a_longer_service(
    customer: Customer, rival: Customer, shop: Shop, booked: Booked, database: Any, books: Books
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    service, plan = await add_service(database, shop, shop.amount + MORE, 90)
    asked = await asked_for(customer, booking, start, plan, service_id=str(service))
    assert datetime.fromisoformat(asked["supplement"]["end"]) == start + 90 * MINUTE
    assert (await rival.post(rival.request(shop, start + 75 * MINUTE))).status_code == 409
    await customer.pay(due(asked))
    moved = await customer.sees(booking, "confirmed", "rescheduled")
    assert (moved["service_id"], datetime.fromisoformat(moved["end"])) == (str(service), start + 90 * MINUTE)
    await books.agree(booking)


async def test_with_another_mechanic(
    customer: Customer, other: Customer, mechanic: Customer, shop: Shop, to_pay: ToPay, books: Books
) -> None:
    start = shop.start(days=3)
    asked = await to_pay(start, start, mechanic_id=str(other.id))
    assert (await other.get(f"/v1/bookings/{asked['id']}")).status_code == 404
    await customer.pay(due(asked))
    moved = await customer.sees(asked, "confirmed", "rescheduled")
    assert moved["mechanic_id"] == str(other.id)
    assert (await mechanic.get(f"/v1/bookings/{asked['id']}")).status_code == 404
    await books.agree(asked)


async def test_a_time_that_its_mechanic_has_taken_off_meanwhile(
    customer: Customer, desk: Desk, shop: Shop, to_pay: ToPay, books: Books
) -> None:
    """It is the customer's all the same, and flagged: as if the time off had come after the move."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    [conflict] = (await desk.away(start + DAY, start + DAY + HOUR))["conflicts"]
    assert (conflict["booking_id"], conflict["held_beside"], conflict["reason"]) == (asked["id"], True, "time_off")
    assert (await customer.read(asked))["flags"] == [], "it is not there yet"
    await customer.pay(due(asked))
    moved = await customer.sees(asked, "confirmed", "mechanic_away")
    assert [flag["reason"] for flag in moved["flags"]] == ["time_off"]
    await customer.waits_for(asked, lambda read: events(read).count("mail_sent") == 3, "the mails")
    assert sorted(await customer.subjects()) == ["Confirmed", "Moved", "We"]
    await books.agree(asked)


async def test_in_the_only_bay_of_a_workshop(
    customer: Customer, rival: Customer, other: Customer, shop: Shop, to_pay: ToPay, database: Any, books: Books
) -> None:
    """Of the other mechanic, at a time that overlaps: the bay is the booking's own."""
    await database.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", shop.service_id)
    await open_workshop(database, 1, shop.mechanic_id, other.id)
    start = shop.start(days=3)
    asked = await to_pay(start, start + 15 * MINUTE, mechanic_id=str(other.id))
    for hired in (shop.mechanic_id, other.id):
        taken = await rival.post(rival.request(shop, start + 30 * MINUTE, mechanic_id=str(hired)))
        assert taken.status_code == 409
    await books.agree(asked)
    await customer.pay(due(asked))
    moved = await customer.sees(asked, "confirmed", "rescheduled")
    assert (moved["mechanic_id"], datetime.fromisoformat(moved["start"])) == (str(other.id), start + 15 * MINUTE)
    await books.agree(asked)


async def test_refused_leaves_everything_as_it_was(
    customer: Customer,
    rival: Customer,
    operator: Customer,
    shop: Shop,
    booked: Booked,
    dear: UUID,
    clock: Clock,
    database: Any,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await rival.book(shop, start + 2 * HOUR)
    hardly = await add_plan(database, shop, shop.amount + 49)
    at = (start + DAY).isoformat()
    cases: list[tuple[Customer, Json, int, str]] = [
        (customer, {"start": (start + 2 * HOUR).isoformat(), "plan_id": str(dear)}, 409, "slot_unavailable"),
        (customer, {"start": at, "plan_id": str(dear), "version": 1}, 409, "version_conflict"),
        (customer, {"start": (start + 300 * DAY).isoformat(), "plan_id": str(dear)}, 422, "slot_not_offered"),
        (customer, {"start": (start + 7 * MINUTE).isoformat(), "plan_id": str(dear)}, 422, "slot_not_offered"),
        (customer, {"start": at, "plan_id": str(hardly)}, 409, "price_differs"),
        (customer, {"start": at, "plan_id": str(dear), "waive_difference": True}, 403, "forbidden"),
        (operator, {"start": at, "plan_id": str(dear)}, 409, "price_differs"),
        (rival, {"start": at, "plan_id": str(dear)}, 404, "not_found"),
    ]
    for who, sent, status, code in cases:
        answer = await who.ask(booking, "reschedule", **sent)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    await clock.forward_to(booking, start - 119 * MINUTE)
    late = await customer.ask(booking, "reschedule", start=at, plan_id=str(dear))
    assert (late.status_code, late.json()["code"]) == (409, "not_reschedulable")
    assert await database.fetchval("SELECT count(*) FROM supplements WHERE booking_id = $1", booking["id"]) == 0
    live = "SELECT count(*) FROM slot_reservations WHERE booking_id = $1 AND status IN ('reserved', 'confirmed')"
    assert await database.fetchval(live, booking["id"]) == 1


async def test_a_refusal_leaves_what_may_be_paid(
    customer: Customer, rival: Customer, shop: Shop, to_pay: ToPay, dear: UUID
) -> None:
    start = shop.start(days=3)
    await rival.book(shop, start + 2 * HOUR)
    asked = await to_pay(start, start + DAY)
    wanted = {"start": (start + 2 * HOUR).isoformat(), "plan_id": str(dear)}
    assert (await customer.ask(asked, "reschedule", **wanted)).status_code == 409
    assert (await customer.read(asked))["supplement"] == asked["supplement"]
    await customer.pay(due(asked))
    await customer.sees(asked, "confirmed", "rescheduled")


async def test_who_sees_what_is_to_be_paid(
    customer: Customer, rival: Customer, mechanic: Customer, operator: Customer, shop: Shop, booked: Booked, dear: UUID
) -> None:
    """The client secret is for whoever pays, and for nobody else."""
    start = shop.start(days=3)
    booking = await booked(start)
    # Only the answer to opening it has the link.
    page = await _manage_url(customer, booking)
    asked = await asked_for(customer, booking, start + DAY, dear)
    secret = asked["supplement"]["client_secret"]
    assert (await customer.read(booking))["supplement"]["client_secret"] == secret
    payment = (await customer.get(f"/v1/bookings/{booking['id']}/payment")).json()
    assert (payment["client_secret"], payment["payment_intent_id"]) == (
        secret,
        asked["supplement"]["payment_intent_id"],
    )
    assert (await rival.get(f"/v1/bookings/{booking['id']}")).status_code == 404
    assert (await rival.get(f"/v1/bookings/{booking['id']}/payment")).status_code == 404
    assert (await mechanic.read(booking))["supplement"] is None
    seen = await operator.read(booking)
    assert (seen["supplement"]["status"], seen["supplement"]["client_secret"]) == ("open", None)
    assert (await operator.get(f"/v1/bookings/{booking['id']}/payment")).status_code == 409
    for who in (mechanic, operator):
        assert secret not in str(await who.read(booking))
    shown = await customer.http.get(page)
    assert "Pay CA$10.00 more until" in shown.text, shown.text
    await customer.pay(due(asked))
    await customer.sees(booking, "confirmed", "rescheduled")
    assert "Pay CA$10.00 more" not in (await customer.http.get(page)).text


async def _manage_url(customer: Customer, booking: Json) -> str:
    """As it stands in the confirmation's mail."""
    found = re.search(r"https?://\S+/manage/[^\s\"<>]+", (await customer.mails())[0]["text"])
    assert found, await customer.mails()
    return found[0]


async def test_an_operator_waives_the_difference(
    customer: Customer, operator: Customer, shop: Shop, booked: Booked, dear: UUID, books: Books
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    wanted = {"start": (start + DAY).isoformat(), "plan_id": str(dear), "waive_difference": True}
    answer = await operator.ask(booking, "reschedule", **wanted)
    assert answer.status_code == 200, answer.text
    moved = answer.json()
    assert (moved["plan_id"], moved["amount"], moved["supplement"]) == (str(dear), shop.amount, None)
    await books.agree(booking)
    cancelled = await customer.ask(booking, "cancel")
    assert cancelled.json()["amount_refunded"] == shop.amount
    await books.agree(booking)


async def test_as_often_as_it_may_be_left_unpaid(
    customer: Customer, rival: Customer, shop: Shop, to_pay: ToPay, dear: UUID
) -> None:
    """Each choice holds somebody's time: five that are not paid are as many as the policy has moves."""
    start = shop.start(days=3)
    asked = await to_pay(start, start + DAY)
    for hours in range(1, 6):
        asked = await asked_for(customer, asked, start + DAY + 2 * hours * HOUR, dear)
    again = await customer.ask(asked, "reschedule", start=(start + DAY).isoformat(), plan_id=str(dear))
    assert (again.status_code, again.json()["code"]) == (409, "not_reschedulable")
    # What may be paid stays so, and other moves are as before.
    await customer.pay(due(asked))
    await customer.sees(asked, "confirmed", "rescheduled")
