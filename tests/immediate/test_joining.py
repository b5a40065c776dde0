"""The link to join leads to the waiting room, where the customer says that it has come."""

from datetime import datetime, timedelta

import httpx
import pytest

from api.routes import page_forms
from pitstop.devstack.stackfile import Stack
from tests.immediate.conftest import at_once
from tests.support.people import Customer, events
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.time import Clock

HERE = "<button>I am here</button>"


async def test_who_says_so_has_come(
    customer: Customer, mechanic: Customer, shop: Shop, clock: Clock, http: httpx.AsyncClient
) -> None:
    booking = (await customer.post(at_once(customer, shop))).json()
    await customer.pay(booking)
    await customer.sees(booking, "pending")
    assert (await mechanic.ask(booking, "accept")).status_code == 200
    manage, join, form = (booking["manage_url"].replace("?", f"{where}?") for where in ("", "/join", "/check-in"))
    for link in (join, manage):
        shown = await http.get(link)
        assert HERE in shown.text
        assert "form-action 'self'" in shown.headers["content-security-policy"]
    foreign = await http.post(form, headers={"Sec-Fetch-Site": "cross-site"})
    assert (foreign.status_code, "You are not checked in" in foreign.text) == (403, True)
    # Links are opened by mail filters, too, and other sites send forms: neither is the customer.
    assert "checked_in" not in events(await customer.read(booking))

    assert (await http.post(form)).status_code == 303
    assert "checked_in" in events(await customer.read(booking))
    page = (await http.get(join)).text
    assert HERE not in page
    assert "You have been checked in since" in page
    start = datetime.fromisoformat((await customer.read(booking))["start"])
    await clock.forward_to(booking, start + timedelta(minutes=11))
    absent = await mechanic.ask(booking, "no-show")
    assert (absent.status_code, absent.json()["code"]) == (409, "not_absent"), absent.text


async def test_not_before_it_opens(
    customer: Customer, shop: Shop, http: httpx.AsyncClient, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by another booking's link."""
    start = shop.start(days=3)
    booking = await customer.book(shop, start)
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    manage = booking["manage_url"]
    assert "The waiting room is not open yet" not in (await http.get(manage)).text
    early = await http.post(manage.replace("?", "/check-in?"))
    assert (early.status_code, "The waiting room is not open yet" in early.text) == (409, True)
    # Without the guard another site's form would be heard: refused is the time alone.
    monkeypatch.setattr(page_forms, "from_own_page", lambda request: True)
    async with serving(settings(stack)) as url:
        form = manage.replace(stack.api_url, url).replace("?", "/check-in?")
        unguarded = await http.post(form, headers={"Sec-Fetch-Site": "cross-site"})
        assert (unguarded.status_code, "sent by another site" in unguarded.text) == (409, False)
    wrong = manage.replace(booking["id"], "0193c1a0-0000-7000-8000-000000000001")
    assert (await http.post(wrong.replace("?", "/check-in?"))).status_code == 404
