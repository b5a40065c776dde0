"""The page behind the link in a mail, and the calendar entry that it leads to."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from icalendar import Calendar
from pydantic import SecretStr

from api.page_words import WORDS, PageWords
from pitstop.devstack.stackfile import Stack
from pitstop.domain.booking import BookingStatus
from pitstop.gateways.manage_links import ManageLinks
from pitstop.settings import Settings
from tests.support.people import Customer
from tests.support.shop import Shop, open_workshop
from tests.support.time import Clock

Json = dict[str, Any]


def _text(page: httpx.Response) -> str:
    """What a reader sees: no tags, single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


async def _invite(http: httpx.AsyncClient, booking: Json) -> httpx.Response:
    url: str = booking["manage_url"]
    return await http.get(url.replace("/manage/", "/v1/bookings/").replace("?", "/invite.ics?"))


async def test_a_booking_that_waits_for_its_payment(customer: Customer, shop: Shop, http: httpx.AsyncClient) -> None:
    booking = await customer.book(shop, shop.start())
    page = await http.get(booking["manage_url"])
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = _text(page)
    assert "Waiting for payment" in text
    assert "Brake check with Zoé Bélanger" in text
    assert "(America/Toronto)" in text
    assert "CA$89.00" in text
    assert "Refunded" not in text
    assert (await _invite(http, booking)).status_code == 404


async def test_a_confirmed_booking_has_a_calendar_entry(
    customer: Customer, shop: Shop, http: httpx.AsyncClient
) -> None:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    text = _text(await http.get(booking["manage_url"]))
    assert "It is paid" in text
    assert "The payment arrived. " in text
    assert "We mailed you the confirmation." in text

    answer = await _invite(http, booking)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8; method=REQUEST")
    [mail] = await customer.mails()
    assert _entry(answer.text) == _entry(mail["ics"])


async def test_a_cancelled_booking_takes_its_entry_back(
    customer: Customer, shop: Shop, http: httpx.AsyncClient, clock: Clock
) -> None:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await clock.workflow(booking).cancel()
    await customer.sees(booking, "cancelled", "refund_issued")
    text = _text(await http.get(booking["manage_url"]))
    assert "Cancelled" in text
    assert "Refunded CA$89.00" in text
    assert "CA$89.00 went back to you." in text
    answer = await _invite(http, booking)
    assert answer.headers["content-type"].endswith("method=CANCEL")
    assert _entry(answer.text)["SEQUENCE"] == 1


def _entry(ics: str) -> Json:
    """The entry without its DTSTAMP, which is that of the asking."""
    [event] = Calendar.from_ical(ics).walk("VEVENT")
    return {name: value for name, value in event.items() if name != "DTSTAMP"}


async def test_the_invite_is_the_owners(
    customer: Customer, rival: Customer, shop: Shop, http: httpx.AsyncClient
) -> None:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    path = f"/v1/bookings/{booking['id']}/invite.ics"
    assert (await customer.get(path)).status_code == 200
    assert (await rival.get(path)).status_code == 404
    assert (await http.get(f"{customer.api_url}{path}")).status_code == 401


async def test_no_text_of_a_customer_or_mechanic_is_markup(
    customer: Customer, shop: Shop, http: httpx.AsyncClient, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    await database.execute("UPDATE mechanics SET name = '<b>&amp;' WHERE id = $1", shop.mechanic_id)
    booking = await customer.book(shop, shop.start())
    page = await http.get(booking["manage_url"])
    assert "&lt;b&gt;&amp;amp;" in page.text
    assert "<b>" not in page.text


async def test_times_are_the_customers(customer: Customer, shop: Shop, http: httpx.AsyncClient) -> None:
    booking = await customer.book(shop, shop.start(), timezone="Asia/Kathmandu")
    assert "UTC+05:45 (Asia/Kathmandu)" in _text(await http.get(booking["manage_url"]))


async def test_in_person_names_the_place_and_its_zone(
    customer: Customer, shop: Shop, http: httpx.AsyncClient, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    await database.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", shop.service_id)
    await open_workshop(database, 1, shop.mechanic_id)
    booking = await customer.book(shop, shop.start(), timezone="America/Vancouver")
    text = _text(await http.get(booking["manage_url"]))
    assert "Where 5 Yard Lane" in text
    assert "(America/Vancouver)" in text
    assert "(America/Toronto): the workshop is in another time zone than you." in text


def _forged(url: str) -> str:
    return url[:-4] + ("aaaa" if url[-4:] != "aaaa" else "bbbb")


@pytest.mark.parametrize(
    "wrong",
    [
        _forged,
        lambda url: url.partition("?")[0],
        lambda url: url.replace("?token=", f"?token={'x' * 3000}"),
        lambda url: re.sub(r"/manage/[^?]*", f"/manage/{uuid4()}", url),
        lambda url: re.sub(r"/manage/[^?]*", "/manage/not-a-booking", url),
    ],
    ids=["forged", "without a token", "endless", "of another booking", "of no booking"],
)
async def test_a_wrong_link_says_what_to_do(
    wrong: Callable[[str], str], customer: Customer, shop: Shop, http: httpx.AsyncClient
) -> None:
    booking = await customer.book(shop, shop.start())
    page = await http.get(wrong(booking["manage_url"]))
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Open the link in your newest mail" in _text(page)


async def test_an_old_link_opens_nothing(customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient) -> None:
    booking = await customer.book(shop, shop.start())
    secret = SecretStr(stack.environment["PITSTOP_MANAGE_LINK_SECRET"])
    links = ManageLinks(Settings(public_url=stack.api_url, manage_link_secret=secret))
    eight_days_ago = datetime.now(UTC) - timedelta(days=8)
    assert (await http.get(links.url(UUID(booking["id"]), eight_days_ago))).status_code == 404
    assert (await http.get(links.url(UUID(booking["id"]), datetime.now(UTC)))).status_code == 200


async def test_pages_run_no_script_and_tell_nobody_their_address(stack: Stack, http: httpx.AsyncClient) -> None:
    page = await http.get(f"{stack.api_url}/")
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for link in re.findall(r'href="(/[^"]*)"', page.text):
        assert (await http.get(f"{stack.api_url}{link}")).status_code == 200, link


@pytest.mark.parametrize("words", WORDS.values(), ids=lambda words: words.tag)
def test_every_status_has_words(words: PageWords) -> None:
    assert words["status"].keys() == set(BookingStatus)
    assert {status for status in BookingStatus if status.is_end} <= words["events"].keys()
