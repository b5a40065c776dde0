"""The page on which a customer pays, for a booking or for the difference of a dearer plan, as a browser reads it."""

import re
from html import unescape
from typing import Any

import httpx

from pitstop.devstack.stackfile import Stack
from tests.support.people import GOOD_CARD, Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop

Json = dict[str, Any]


def at(booking: Json, name: str) -> str:
    return str(booking["manage_url"]).replace("?", f"/{name}?")


def what_the_script_reads(page: httpx.Response) -> dict[str, str]:
    [area] = re.findall(r'<div id="payment"([^>]*)>', page.text)
    return {name: unescape(value) for name, value in re.findall(r'data-([a-z]+)="([^"]*)"', area)}


async def pays(http: httpx.AsyncClient, stack: Stack, page: httpx.Response) -> httpx.Response:
    """What Stripe.js does with what stands in the page."""
    read = what_the_script_reads(page)
    intent = read["secret"].partition("_secret_")[0]
    sent = {"key": read["key"], "client_secret": read["secret"], "payment_method": GOOD_CARD}
    return await http.post(f"{stack.stripe_api_url}/v1/payment_intents/{intent}/confirm", data=sent)


async def test_a_booking_is_paid(customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient) -> None:
    booking = await customer.book(shop, shop.start())
    manage = await http.get(booking["manage_url"])
    [link] = re.findall(r'href="([^"]*/pay\?[^"]*)"', manage.text)
    assert f"{stack.api_url}{unescape(link)}" == at(booking, "pay")
    page = await http.get(at(booking, "pay"))
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    read = what_the_script_reads(page)
    assert (read["secret"], read["key"]) == (booking["payment"]["client_secret"], stack.stripe_publishable_key)
    assert (await pays(http, stack, page)).status_code == 200
    assert "Thank you" in (await http.get(f"{stack.api_url}{read['done']}")).text
    await customer.sees(booking, "confirmed")
    assert "/pay?" not in (await http.get(booking["manage_url"])).text
    late = await http.get(at(booking, "pay"))
    assert (late.status_code, "There is nothing to pay" in late.text) == (409, True)
    assert booking["payment"]["client_secret"] not in late.text


async def test_a_difference_is_paid(
    customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient, database: Any
) -> None:
    plan = await database.fetchval(
        "INSERT INTO plans (id, service_id, slug, name, amount) VALUES (gen_random_uuid(), $1, 'more', 'More', 9900)"
        " RETURNING id::text",
        shop.service_id,
    )
    booking = await customer.book(shop, shop.start(days=3))
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    assert (await http.get(at(booking, "pay"))).status_code == 409
    asked = await customer.ask(booking, "reschedule", start=shop.start(days=4).isoformat(), plan_id=plan)
    assert asked.json()["supplement"]["status"] == "open", asked.text
    manage = await http.get(booking["manage_url"])
    assert "Pay CA$10.00</a>" in manage.text
    page = await http.get(at(booking, "pay"))
    assert ("Pay CA$10.00" in page.text, "CA$89.00" in page.text) == (True, False)
    assert what_the_script_reads(page)["secret"] == asked.json()["supplement"]["client_secret"]
    assert (await pays(http, stack, page)).status_code == 200
    await customer.sees(booking, "confirmed", "rescheduled")
    assert "/pay?" not in (await http.get(booking["manage_url"])).text


async def test_what_stripe_was_not_asked_for_yet_is_not_paid_already(
    customer: Customer, shop: Shop, http: httpx.AsyncClient, database: Any
) -> None:
    """The booking waits for money, and its PaymentIntent is still to be made."""
    booking = await customer.book(shop, shop.start())
    await database.execute("DELETE FROM payments WHERE booking_id = $1", booking["id"])
    page = await http.get(at(booking, "pay"))
    assert (page.status_code, "being prepared" in page.text, "nothing to pay" in page.text) == (503, True, False)
    assert f'href="{at(booking, "pay").replace(customer.api_url, "")}"' in page.text


async def test_only_stripe_runs_there_beside_our_own(
    customer: Customer, shop: Shop, stack: Stack, http: httpx.AsyncClient
) -> None:
    booking = await customer.book(shop, shop.start())
    production = settings(stack, stripe_api_url=None, stripe_js_url="https://js.stripe.com/v3/")
    async with serving(production) as url:
        page = await http.get(at(booking, "pay").replace(stack.api_url, url))
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' https://js.stripe.com https://*.js.stripe.com"
    assert policy["connect-src"] == "https://api.stripe.com"
    assert set(policy["frame-src"].split()) == {
        *("https://js.stripe.com", "https://*.js.stripe.com", "https://hooks.stripe.com")
    }
    assert policy["form-action"] == "'none'"
    assert re.findall(r"<script[^>]*>", page.text) == ['<script src="/static/pay.js">']
    assert what_the_script_reads(page)["stripe"] == "https://js.stripe.com/v3/"
    # Every other page runs nothing.
    for other in ("paid", ""):
        answer = await http.get(at(booking, other) if other else booking["manage_url"])
        assert "script-src" not in answer.headers["content-security-policy"]


async def test_a_payment_that_a_bank_has_refused(customer: Customer, shop: Shop, http: httpx.AsyncClient) -> None:
    booking = await customer.book(shop, shop.start())
    page = await http.get(at(booking, "paid") + "&redirect_status=failed")
    assert "Nothing was taken" in page.text
    assert f'href="{at(booking, "pay").replace(customer.api_url, "")}"' in page.text


async def test_only_by_the_bookings_own_link(
    customer: Customer, rival: Customer, shop: Shop, http: httpx.AsyncClient
) -> None:
    one, other = await customer.book(shop, shop.start()), await rival.book(shop, shop.start(days=4))
    for name in ("pay", "paid"):
        mixed = at(one, name).replace(one["id"], other["id"])
        for wrong in (mixed, at(one, name).partition("?")[0], at(one, name)[:-3]):
            page = await http.get(wrong)
            assert (page.status_code, "client_secret" in page.text) == (404, False)
