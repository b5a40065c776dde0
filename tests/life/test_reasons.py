"""Why a booking was changed, in the words of whoever did: for all who see it, and in the customer's mail."""

import re
from html import escape, unescape
from typing import Any

import pytest

from tests.life.conftest import Booked
from tests.support.people import Customer, Json, events
from tests.support.shop import Shop

TYPED = "Customer phoned,\nflat <b>tyre</b> & {{ rain }}"
SHOWN = "Customer phoned, flat <b>tyre</b> & {{ rain }}"


def why(booking: Json, event: str) -> tuple[str, str | None]:
    [entry] = [each["detail"] for each in booking["timeline"] if each["event"] == event]
    return entry["by"], entry.get("reason")


async def last_mail(customer: Customer, booking: Json, count: int) -> Json:
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == count, "the mail")
    mail: Json = (await customer.mails())[-1]
    return mail


@pytest.mark.parametrize(("language", "label"), [("en", "Reason:"), ("fr", "Motif :")])
async def test_all_who_see_the_booking_read_it_and_the_mail_quotes_it(
    customer: Customer,
    mechanic: Customer,
    operator: Customer,
    shop: Shop,
    booked: Booked,
    database: Any,
    language: str,
    label: str,
) -> None:
    booking = await booked(shop.start(days=3))
    [link, *_] = re.findall(r"http\S+/manage/\S+", (await customer.mails())[0]["text"])
    await database.execute("UPDATE bookings SET language = $2 WHERE id = $1", booking["id"], language)
    start = shop.start(days=4).isoformat()
    assert (await operator.ask(booking, "reschedule", start=start, reason=TYPED)).status_code == 200
    for who in (customer, mechanic, operator):
        assert why(await who.read(booking), "rescheduled") == ("operator", TYPED)
    page = (await customer.http.get(link)).text
    assert f"<q>{escape(SHOWN, quote=False)}</q>" in page
    mail = await last_mail(customer, booking, 2)
    assert f"{label} {SHOWN}" in " ".join(mail["text"].split())
    assert "<b>tyre" not in mail["html"]
    assert SHOWN in unescape(mail["html"])
    assert (await mechanic.ask(booking, "cancel", reason="I am ill.")).status_code == 200
    assert why(await customer.read(booking), "cancelled") == ("mechanic", "I am ill.")
    assert "I am ill." in (await last_mail(customer, booking, 3))["text"]


async def test_the_customer_is_not_told_its_own(customer: Customer, mechanic: Customer, booked: Booked) -> None:
    booking = await booked()
    assert (await customer.ask(booking, "cancel", reason="The car is sold.")).status_code == 200
    assert why(await mechanic.read(booking), "cancelled") == ("customer", "The car is sold.")
    assert "sold" not in (await last_mail(customer, booking, 2))["text"]


async def test_a_proposal_says_why_and_nobody_is_told_what_nobody_has_said(
    customer: Customer, mechanic: Customer, operator: Customer, shop: Shop, booked: Booked
) -> None:
    booking = await booked()
    start = shop.start(days=5).isoformat()
    assert (await mechanic.ask(booking, "propose", options=[{"start": start}], reason="I am away.")).status_code == 200
    assert why(await customer.read(booking), "proposed") == ("mechanic", "I am away.")
    assert "I am away." in (await last_mail(customer, booking, 2))["text"]
    assert (await operator.ask(booking, "cancel")).status_code == 200
    assert why(await customer.read(booking), "cancelled") == ("operator", None)
    assert "Reason" not in (await last_mail(customer, booking, 3))["text"]
