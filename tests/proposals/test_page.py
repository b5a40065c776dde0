"""The customer answers on the page that the mail's link opens: plain forms."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import urljoin, urlsplit

import httpx

from tests.life.conftest import Booked
from tests.proposals.test_proposals import propose
from tests.support.people import Customer
from tests.support.shop import Shop

DAY = timedelta(days=1)


async def post(
    http: httpx.AsyncClient, link: str, name: str, form: dict[str, str] | None = None, **more: str
) -> httpx.Response:
    parts = urlsplit(link)
    url = f"{parts.scheme}://{parts.netloc}{parts.path}/proposal/{name}?{parts.query}"
    return await http.post(url, data=form or {}, headers=more)


async def test_taken(
    customer: Customer, mechanic: Customer, http: httpx.AsyncClient, shop: Shop, booked: Booked
) -> None:
    start = shop.start(days=3)
    opened = await customer.book(shop, start)
    link = opened["manage_url"]
    await customer.pay(opened)
    await customer.sees(opened, "confirmed", "mail_sent")
    assert "proposal" not in (await http.get(link)).text
    await propose(mechanic, opened, start + DAY, start + 2 * DAY)
    shown = await http.get(link)
    assert shown.text.count("<button>Take ") == 2
    assert "form-action 'self'" in shown.headers["content-security-policy"]

    form = {"start": (start + DAY).isoformat(), "mechanic_id": str(shop.mechanic_id)}
    foreign = await post(http, link, "accept", form, **{"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    answer = await post(http, link, "accept", form)
    assert answer.status_code == 303, answer.text
    assert urlsplit(answer.headers["location"]).path == urlsplit(link).path
    assert "<button>Take " not in (await http.get(link)).text
    again = await post(http, link, "accept", form)
    assert (again.status_code, "not proposed any more" in again.text) == (409, True)


async def test_declined(customer: Customer, mechanic: Customer, http: httpx.AsyncClient, shop: Shop) -> None:
    start = shop.start(days=3)
    opened = await customer.book(shop, start)
    await customer.pay(opened)
    await customer.sees(opened, "confirmed", "mail_sent")
    await propose(mechanic, opened, start + DAY)
    looked_at = await answer_to(http, opened["manage_url"])
    await propose(mechanic, opened, start + 2 * DAY)
    late = await http.post(looked_at)
    assert (late.status_code, "not proposed any more" in late.text) == (409, True), "of those it has seen nothing"
    assert (await customer.read(opened))["proposal"] is not None
    assert (await http.post(await answer_to(http, opened["manage_url"]))).status_code == 303
    assert (await customer.read(opened))["proposal"] is None


async def answer_to(http: httpx.AsyncClient, link: str) -> str:
    """Where the page sends a no."""
    [path] = re.findall(r'action="([^"]+/proposal/decline[^"]*)"', (await http.get(link)).text)
    return urljoin(link, unescape(path))


async def test_only_the_links_own_booking(customer: Customer, http: httpx.AsyncClient, shop: Shop) -> None:
    first = await customer.book(shop, shop.start(days=3))
    second = await customer.book(shop, shop.start(days=4))
    mixed = first["manage_url"].replace(first["id"], second["id"])
    for name in ("accept", "decline"):
        form = {"start": shop.start(days=5).isoformat()}
        assert (await post(http, mixed, name, form)).status_code == 404
    nothing = await post(http, first["manage_url"], "accept", {"start": "soon"})
    assert nothing.status_code == 422
