"""A customer who wants text messages, from the booking to the last reminder: the running worker sends them."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.messages.conftest import Json, Texts, waits_for
from tests.support.people import Customer
from tests.support.shop import Shop
from tests.support.time import Clock

TORONTO = ZoneInfo("America/Toronto")


def at(hour: int, days: int = 5) -> datetime:
    """So many days ahead, at this hour in Toronto."""
    day = datetime.now(TORONTO).date() + timedelta(days=days)
    return datetime.combine(day, time(hour), TORONTO).astimezone(UTC)


def who(customer: Customer, texts: Texts, language: str = "en") -> Json:
    return {
        "name": "Zoé",
        "email": customer.email,
        "phone": texts.number,
        "sms_consent": True,
        "language": language,
    }


async def _rows(database: Any, booking: Json) -> dict[str, Json]:
    query = "SELECT key, channel, status, due_at, move, about FROM notifications WHERE booking_id = $1"
    rows = await database.fetch(query, UUID(booking["id"]))
    return {row["key"].removeprefix(f"{booking['id']}/"): dict(row) for row in rows}


@pytest.fixture
async def confirmed(customer: Customer, shop: Shop, texts: Texts) -> Json:
    """At one in the morning: the text of the day before waits until eight."""
    booking = await customer.book(shop, at(1), customer=who(customer, texts, "fr"))
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    return booking


async def test_reminders_come_on_both_channels_each_at_its_time(
    customer: Customer, confirmed: Json, texts: Texts, clock: Clock, database: Any
) -> None:
    rows = await _rows(database, confirmed)
    assert rows["reminder/86400s"]["due_at"] == at(1, 4)
    assert rows["reminder/86400s/sms"]["due_at"] == at(8, 4)
    assert rows["reminder/3600s/sms"]["due_at"] == at(0)
    assert [mail["subject"].split()[0] for mail in await customer.mails()] == ["Confirmé"]
    await clock.forward_to(confirmed, at(8, 4) + timedelta(minutes=1))
    [first] = await waits_for(texts.messages, bool)
    assert first["body"].startswith("Pitstop: Rappel : Brake check avec Zoé Bélanger, ")
    await clock.to_the_end(confirmed)
    assert len(await texts.messages()) == 2
    told = [event["event"] for event in (await customer.read(confirmed))["timeline"]]
    assert (told.count("text_sent"), told.count("mail_sent")) == (2, 3)
    subjects = [mail["subject"].split()[0] for mail in await customer.mails()]
    assert subjects == ["Confirmé", "Rappel", "Rappel"]


async def test_a_move_has_reminders_of_its_own_on_both_channels(
    customer: Customer, confirmed: Json, texts: Texts, clock: Clock, database: Any, http: httpx.AsyncClient
) -> None:
    answer = await http.post(
        f"{customer.api_url}/v1/bookings/{confirmed['id']}/reschedule",
        json={"start": at(15, 6).isoformat()},
        headers=customer.headers,
    )
    assert answer.status_code == 200, answer.text
    rows = await _rows(database, confirmed)
    former = ("reminder/86400s", "reminder/86400s/sms", "reminder/3600s", "reminder/3600s/sms")
    assert {rows[name]["status"] for name in former} == {"skipped"}
    assert rows["reminder/86400s/move-1/sms"]["due_at"] == at(15, 5)
    moved = await waits_for(customer.mails, lambda seen: len(seen) == 2)
    assert moved[-1]["subject"].startswith("Déplacé : ")
    assert "(elle était prévue le " in moved[-1]["text"]
    await clock.to_the_end(confirmed)
    assert len(await texts.messages()) == 2


async def test_a_mail_server_that_is_down_for_an_hour_loses_nothing_and_holds_up_no_text(
    customer: Customer, confirmed: Json, texts: Texts, clock: Clock, stack: Stack, http: httpx.AsyncClient
) -> None:
    """Under the clock of the booking: the mail that was refused comes when the server takes mails again."""
    faults = f"{stack.mail_url}/api/faults"
    await http.post(faults, json={"kind": "reject_4xx", "to": customer.email, "times": 3})
    await clock.forward_to(confirmed, at(1, 4) + timedelta(seconds=1))
    await waits_for(customer.mails, lambda seen: len(seen) == 2)
    await clock.to_the_end(confirmed)
    assert len(await texts.messages()) == 2
    assert [mail["subject"].split()[0] for mail in await customer.mails()] == ["Confirmé", "Rappel", "Rappel"]


async def test_whoever_replies_stop_after_booking_gets_mails_only(
    customer: Customer, confirmed: Json, texts: Texts, clock: Clock, database: Any
) -> None:
    await texts.reply("ARRET")
    await texts.all_told(1)
    await clock.to_the_end(confirmed)
    assert [message for message in await texts.messages() if message["direction"] != "inbound"] == []
    rows = await _rows(database, confirmed)
    assert {rows[name]["status"] for name in ("reminder/86400s/sms", "reminder/3600s/sms")} == {"skipped"}
    assert len(await customer.mails()) == 3


async def test_a_service_has_offsets_of_its_own(customer: Customer, shop: Shop, texts: Texts, database: Any) -> None:
    offsets = [timedelta(hours=3)]
    await database.execute("UPDATE services SET reminder_offsets = $2 WHERE id = $1", shop.service_id, offsets)
    booking = await customer.book(shop, at(15), customer=who(customer, texts))
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    assert set(await _rows(database, booking)) == {"confirmation", "reminder/10800s", "reminder/10800s/sms"}


async def test_without_consent_there_are_mails_only(
    customer: Customer, shop: Shop, texts: Texts, database: Any
) -> None:
    without = who(customer, texts) | {"sms_consent": False}
    booking = await customer.book(shop, at(15), customer=without)
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    assert {row["channel"] for row in (await _rows(database, booking)).values()} == {"email"}
