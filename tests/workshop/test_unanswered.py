"""While a workshop's word is waited for, nothing tells the customer that the session is confirmed."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.postgres import notices
from pitstop.postgres.notices import PostgresNotices
from pitstop.postgres.pool import open_pool
from tests.invites.calendar_client import CalendarClient
from tests.invites.reader import read
from tests.life.conftest import books
from tests.life.meeting import Books
from tests.messages.conftest import waits_for
from tests.support.people import Customer, Json, events
from tests.support.shop import open_workshop
from tests.support.shops import hire
from tests.support.time import Clock
from tests.workshop.conftest import MINUTES, Booked, Yard
from tests.workshop.test_words import held, says

__all__ = ["books"]
# A period that ends with the start.
LONG = "UPDATE workshops SET confirms_within_minutes = 20000 WHERE id = $1"


def firmness(ics: str) -> tuple[str, int]:
    """STATUS and SEQUENCE."""
    [event] = read(ics).of("VEVENT")
    return event["STATUS"].value, int(event["SEQUENCE"].value)


def mailed_to(yard: Yard, somebody: Customer) -> Customer:
    """Whoever reads the workshop's mail."""
    return Customer(somebody.http, somebody.stack, somebody.api_url, somebody.token, somebody.id, yard.email)


async def mails(somebody: Customer, word: str, count: int = 1) -> list[Json]:
    """Those whose subject begins so, when there are so many."""

    async def look() -> list[Json]:
        return [mail for mail in await somebody.mails() if mail["subject"].startswith(word)]

    found: list[Json] = await waits_for(look, lambda seen: len(seen) >= count)
    assert len(found) == count
    return found


async def page(customer: Customer) -> str:
    """The booking's page, as a reader sees it, by the link in the first mail."""
    [link, *_] = re.findall(r"http\S+/manage/\S+", (await customer.mails())[0]["text"])
    answer = await customer.http.get(link)
    assert answer.status_code == 200, answer.text
    assert ('class="status waiting"' in answer.text) == ("expects you" not in answer.text)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


async def invite(customer: Customer, booking: Json) -> str:
    answer = await customer.get(f"/v1/bookings/{booking['id']}/invite.ics")
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_page_and_calendars_say_so_until_it_has_confirmed(
    customer: Customer, keeper: Customer, booked: Booked
) -> None:
    booking = await booked()
    asked = await page(customer)
    assert "Waiting for the workshop" in asked
    assert "The workshop still has to confirm it, by " in asked
    assert "the workshop was to confirm it" in asked
    assert "Outlook" not in asked
    tentative = await invite(customer, booking)
    assert firmness(tentative) == ("TENTATIVE", 0)
    links = f"/v1/bookings/{booking['id']}/calendar-links"
    assert (await customer.get(links)).status_code == 404

    await says(keeper, booking, "confirm")
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 3, "the confirmation")
    agreed = await page(customer)
    assert "the mechanic expects you" in agreed
    assert "We asked the workshop by mail." in agreed
    assert "We mailed you a message." not in agreed
    [mail] = await mails(customer, "Confirmed")
    assert firmness(mail["ics"]) == firmness(await invite(customer, booking)) == ("CONFIRMED", 1)
    assert (await customer.get(links)).status_code == 200
    calendar = CalendarClient(customer.email)
    for message in (mail["ics"], tentative):
        calendar.take(message)
    assert [entry.sequence for entry in calendar.shown] == [1]


async def test_the_page_says_what_a_proposal_of_the_workshop_means(
    customer: Customer, keeper: Customer, operator: Customer, yard: Yard, booked: Booked
) -> None:
    booking = await booked()
    other = {"options": [{"start": (yard.shop.start() + timedelta(hours=3)).isoformat()}]}
    await says(keeper, booking, "propose", **other)
    seen = await page(customer)
    assert "Your answer is needed" in seen
    assert "If you take none of them, the booking is cancelled" in seen
    assert firmness(await invite(customer, booking)) == ("TENTATIVE", 0)
    listed = (await customer.get("/v1/bookings")).json()["items"]
    assert [each["workshop_status"] for each in listed] == ["proposed"]
    # Another proposal would neither be held nor end the booking.
    refused = await operator.ask(booking, "propose", **other)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_reschedulable")
    await says(keeper, booking, "confirm")
    assert firmness(await invite(customer, booking)) == ("CONFIRMED", 1)


async def test_the_page_in_french(customer: Customer, booked: Booked) -> None:
    me = {"name": "Camille Roy", "email": customer.email, "language": "fr"}
    await booked(customer=me)
    assert "En attente de l'atelier" in await page(customer)


async def test_no_reminder_says_that_somebody_is_expecting_the_customer(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock, database: Any
) -> None:
    """The confirmation serves instead; what is due after it goes out."""
    await database.execute(LONG, yard.id)
    booking = await booked(yard.shop.start(days=3))
    start = datetime.fromisoformat(booking["start"])
    await clock.forward_to(booking, start - timedelta(hours=23))
    rows = await _reminders(database, booking)
    assert rows == {"86400s": ("skipped", "the workshop has not confirmed it yet"), "3600s": ("pending", None)}
    await says(keeper, booking, "confirm")
    await mails(customer, "Confirmed")
    await clock.forward_to(booking, start - timedelta(minutes=50))
    assert "is expecting you" in (await mails(customer, "Reminder"))[0]["text"]
    assert (await _reminders(database, booking))["3600s"][0] == "sent"


async def test_the_request_to_sign_says_so_on_the_day_itself(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    await database.execute(LONG, yard.id)
    await booked(yard.shop.start(days=0, hours=1))
    [mail] = await mails(customer, "Please sign")
    assert "The workshop still has to confirm your session, by " in " ".join(mail["text"].split())


async def _reminders(database: Any, booking: Json) -> dict[str, tuple[str, str | None]]:
    rows = await database.fetch(
        "SELECT key, status, detail FROM notifications WHERE booking_id = $1 AND kind = 'reminder'", booking["id"]
    )
    return {row["key"].rsplit("/", 1)[1]: (row["status"], row["detail"]) for row in rows}


@pytest.fixture
async def store(stack: Stack) -> AsyncIterator[PostgresNotices]:
    async with open_pool(stack.worker_database_url, 2, "tests-workshop") as pool:
        yield PostgresNotices(pool, lambda _booking, _end: "", lambda _number: [], lambda _referral: "")


@pytest.mark.parametrize("guarded", [True, False])
async def test_unless_the_word_is_asked_for_a_reminder_goes_out(
    booked: Booked, store: PostgresNotices, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """The control."""
    booking = await booked()
    guard, statement = "o.kind IN ('reminder', 'confirmation')", notices._SQL["claim_notice"]
    assert guard in statement
    if not guarded:
        monkeypatch.setitem(notices._SQL, "claim_notice", statement.replace(guard, "FALSE"))
    claim = await store.claim(f"{booking['id']}/reminder/86400s", datetime.now(UTC))
    assert (claim is None) == guarded


async def test_a_move_of_the_customers_is_not_confirmed_either(
    customer: Customer, keeper: Customer, operator: Customer, yard: Yard, booked: Booked
) -> None:
    """What an operator sets is."""
    booking = await booked()
    for number, who in enumerate((customer, operator), 1):
        start = yard.shop.start(days=4 + number).isoformat()
        assert (await who.ask(booking, "reschedule", start=start)).status_code == 200
        mail = (await mails(customer, "Moved", number))[-1]
        assert ("is expecting you" in mail["text"]) == (who is operator)
        assert ("The workshop still has to confirm it, by " in mail["text"]) == (who is customer)
        assert firmness(mail["ics"]) == ("TENTATIVE" if who is customer else "CONFIRMED", number)
    # Once for what was paid, once for the move; the mail about that is the customer's.
    await mails(mailed_to(yard, customer), "Please", 2)
    await mails(customer, "Paid", 1)


async def test_a_word_after_a_move_makes_the_entry_firm(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, books: Books
) -> None:
    booking = await booked()
    await says(keeper, booking, "confirm")
    start = yard.shop.start(days=5).isoformat()
    assert (await customer.ask(booking, "reschedule", start=start)).status_code == 200
    assert firmness((await mails(customer, "Moved"))[0]["ics"]) == ("TENTATIVE", 2)
    await says(keeper, booking, "confirm")
    assert [firmness(mail["ics"]) for mail in await mails(customer, "Confirmed", 2)] == [
        ("CONFIRMED", 1),
        ("CONFIRMED", 3),
    ]
    await books.agree(booking)


@pytest.mark.parametrize("silent", ["workshop", "customer"])
async def test_who_has_not_answered_is_said(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock, silent: str
) -> None:
    booking = await booked()
    if silent == "customer":
        later = (yard.shop.start() + timedelta(hours=4)).isoformat()
        await says(keeper, booking, "propose", options=[{"start": later}])
    await clock.forward(booking, timedelta(minutes=MINUTES))
    await customer.sees(booking, "cancelled", "refund_issued")
    [mail] = await mails(customer, "Not confirmed in time")
    said = {"workshop": "the workshop did not answer in time", "customer": "you did not answer in time"}
    assert {who: text in mail["text"] for who, text in said.items()} == {who: who == silent for who in said}
    assert "cannot take" not in mail["text"]
    read = await customer.read(booking)
    [lapsed] = [entry["detail"] for entry in read["timeline"] if entry["event"] == "workshop_lapsed"]
    assert (lapsed["silent"], read["workshop_status"]) == (silent, "lapsed")


async def test_another_workshop_is_asked_too(
    customer: Customer,
    keeper: Customer,
    operator: Customer,
    yard: Yard,
    booked: Booked,
    database: Any,
    books: Books,
) -> None:
    """Its word is another one: it is asked by a mail of its own, and its yes is told."""
    booking = await booked()
    await says(keeper, booking, "confirm")
    other = await hire(database, yard.shop, "Ana Ruiz")
    there = await open_workshop(database, 1, other)
    await database.execute(
        "UPDATE workshops SET confirms_within_minutes = 60, email = $2 WHERE id = $1", there, f"{there}@example.com"
    )
    handed = await operator.ask(booking, "hand-over", mechanic_id=str(other))
    assert (handed.status_code, handed.json()["workshop_status"]) == (200, "awaiting"), handed.text
    [mail] = await mails(customer, "Another mechanic")
    assert "The workshop still has to confirm it, by " in mail["text"]
    assert firmness(mail["ics"]) == ("TENTATIVE", 2)
    asked = Customer(customer.http, customer.stack, customer.api_url, "", other, f"{there}@example.com")
    await mails(asked, "Please")
    await says(operator, booking, "confirm")
    assert firmness((await mails(customer, "Confirmed", 2))[1]["ics"]) == ("CONFIRMED", 3)
    await books.agree(booking)


async def test_until_another_workshop_has_agreed_a_move_costs_nothing_either(
    customer: Customer,
    keeper: Customer,
    operator: Customer,
    yard: Yard,
    booked: Booked,
    database: Any,
    books: Books,
) -> None:
    """The audit counts likewise."""
    booking = await booked(yard.shop.start(days=0, hours=3))
    await says(keeper, booking, "confirm")
    other = await hire(database, yard.shop, "Ana Ruiz")
    there = await open_workshop(database, 1, other)
    await database.execute("UPDATE workshops SET confirms_within_minutes = 60 WHERE id = $1", there)
    handed = await operator.ask(booking, "hand-over", mechanic_id=str(other))
    assert (handed.status_code, handed.json()["workshop_status"]) == (200, "awaiting"), handed.text
    moved = await customer.ask(booking, "reschedule", start=yard.shop.start(days=5).isoformat())
    assert moved.status_code == 200, moved.text
    cancelled = await customer.ask(booking, "cancel")
    assert (cancelled.status_code, cancelled.json()["amount_refunded"]) == (200, 8900), cancelled.text
    await books.agree(booking)


async def test_handed_over_while_the_customer_thinks_about_other_times(
    customer: Customer, keeper: Customer, operator: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    """They were the former mechanic's, and are let go: the workshop is asked anew, about the booked time."""
    booking = await booked()
    later = (yard.shop.start() + timedelta(hours=4)).isoformat()
    await says(keeper, booking, "propose", options=[{"start": later}])
    handed = await operator.ask(booking, "hand-over", mechanic_id=str(yard.keeper_id))
    assert (handed.status_code, handed.json()["workshop_status"]) == (200, "awaiting"), handed.text
    assert await held(database, booking) == [("confirmed", False)]
    await mails(mailed_to(yard, customer), "Please", 2)
    assert "Waiting for the workshop" in await page(customer)
    assert "workshop_confirmed" in events(await says(keeper, booking, "confirm"))
