"""A booking on the whole stack, as it shows in the customer's calendar and in the mechanic's, by mail, page and API."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.invites.calendar_client import CalendarClient
from tests.invites.conftest import entries, seat
from tests.invites.reader import Component, read
from tests.support.people import Customer, Issuer
from tests.support.shop import Shop
from tests.support.time import Clock

Json = dict[str, Any]
CALENDARS = {
    "google": "calendar.google.com",
    "outlook": "outlook.live.com",
    "office365": "outlook.office.com",
    "yahoo": "calendar.yahoo.com",
}


@pytest.fixture
async def booking(customer: Customer, shop: Shop) -> Json:
    """Confirmed, and its mail sent."""
    booked = await customer.book(shop, shop.start())
    await customer.pay(booked)
    await customer.sees(booked, "confirmed", "mail_sent")
    return booked


def event(text: str) -> Component:
    [found] = read(text).of("VEVENT")
    return found


async def invite(customer: Customer, booking: Json) -> str:
    answer = await customer.get(f"/v1/bookings/{booking['id']}/invite.ics")
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_the_mail_says_where_to_join_and_that_opens_the_booking(
    customer: Customer, booking: Json, http: httpx.AsyncClient
) -> None:
    [mail] = await customer.mails()
    link = event(mail["ics"])["LOCATION"].text
    assert link == booking["manage_url"].replace("?", "/join?")
    page = await http.get(link)
    assert page.status_code == 200
    assert booking["id"] in page.text
    assert (await http.get(f"{link[:-4]}aaaa")).status_code == 404


async def test_mail_and_api_bring_one_entry_into_the_calendar_and_the_cancellation_takes_it_away(
    customer: Customer, booking: Json, clock: Clock
) -> None:
    [mail] = await customer.mails()
    calendar = CalendarClient(customer.email)
    calendar.take(mail["ics"])
    calendar.take(await invite(customer, booking))
    assert len(calendar.shown) == 1
    await clock.workflow(booking).cancel()
    await customer.sees(booking, "cancelled", "refund_issued")
    cancelled = await invite(customer, booking)
    calendar.take(cancelled)
    assert calendar.shown == []
    assert (event(mail["ics"])["SEQUENCE"].value, event(cancelled)["SEQUENCE"].value) == ("0", "1")
    late = CalendarClient(customer.email)
    for message in (cancelled, mail["ics"]):
        late.take(message)
    assert late.known == calendar.known


async def test_links_to_calendars_on_the_web_by_page_and_api_while_it_stands(
    customer: Customer, booking: Json, http: httpx.AsyncClient, clock: Clock
) -> None:
    path = f"/v1/bookings/{booking['id']}/calendar-links"
    links = (await customer.get(path)).json()
    assert {name: urlsplit(link).hostname for name, link in links.items()} == CALENDARS
    assert parse_qs(urlsplit(links["google"]).query)["location"] == [booking["manage_url"].replace("?", "/join?")]
    page = (await http.get(booking["manage_url"])).text
    shown = [unescape(link) for link in re.findall(r'href="(https://[^"]*)"', page)]
    assert shown == list(links.values())
    await clock.workflow(booking).cancel()
    await customer.sees(booking, "cancelled")
    assert (await customer.get(path)).status_code == 404
    assert "calendar.google" not in (await http.get(booking["manage_url"])).text


async def test_links_are_the_customers(
    customer: Customer, rival: Customer, booking: Json, issuer: Issuer, stack: Stack, http: httpx.AsyncClient
) -> None:
    path = f"/v1/bookings/{booking['id']}/calendar-links"
    assert (await rival.get(path)).status_code == 404
    assert (await http.get(f"{stack.api_url}{path}")).status_code == 401
    token = await issuer.token(f"operator-{uuid4()}", "operator")
    seen = await http.get(f"{stack.api_url}{path}", headers={"Authorization": f"Bearer {token}"})
    assert parse_qs(urlsplit(seen.json()["google"]).query)["location"] == ["Online"]
    assert "token" not in seen.text


async def test_a_booking_that_is_not_paid_is_in_no_calendar(customer: Customer, shop: Shop) -> None:
    held = await customer.book(shop, shop.start())
    assert (await customer.get(f"/v1/bookings/{held['id']}/calendar-links")).status_code == 404


async def test_the_mechanics_feed_has_it_until_it_is_cancelled(
    customer: Customer, booking: Json, shop: Shop, stack: Stack, http: httpx.AsyncClient, issuer: Issuer, clock: Clock
) -> None:
    feed = await (await seat(http, issuer, stack.api_url, shop, "mechanic")).make()
    assert await entries(http, feed) != {}
    assert not (await entries(http, feed)).keys() & {event(await invite(customer, booking))["UID"].value}
    await clock.workflow(booking).cancel()
    await customer.sees(booking, "cancelled")
    assert await entries(http, feed) == {}
