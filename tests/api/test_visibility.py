"""Who sees which booking: somebody else's is not there, never forbidden."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.api.conftest import Caller, fields_of, problem_of
from tests.support.people import Customer
from tests.support.shop import Shop

Json = dict[str, Any]
VIEWS = ("", "/events", "/invite.ics")
SOME = "7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11"


async def _peek(who: Customer, path: str, headers: dict[str, str] | None = None, **query: str) -> httpx.Response:
    """The answer, without waiting for the end of a stream that should not have begun."""
    url, headers = f"{who.api_url}{path}", who.headers if headers is None else headers
    async with who.http.stream("GET", url, params=query, headers=headers) as answer:
        if answer.status_code >= 400:
            await answer.aread()
    return answer


async def _ids(caller: Customer, shop: Shop) -> list[str]:
    answer = await caller.get("/v1/bookings", mechanic_id=str(shop.mechanic_id))
    return [item["id"] for item in answer.json()["items"]]


def _token(booking: Json) -> str:
    return parse_qs(urlsplit(booking["manage_url"]).query)["token"][0]


@pytest.mark.parametrize("view", VIEWS)
async def test_another_customers_booking_is_not_there(
    customer: Customer, rival: Customer, shop: Shop, caller: Caller, backend: Customer, view: str
) -> None:
    booking = await customer.book(shop, shop.start())
    strangers = [rival, backend, await caller(str(uuid4()), "mechanic")]
    # A service whose name is that of the customer is still another caller.
    strangers.append(await caller(str(customer.id), "mechanic"))
    for stranger in strangers:
        answer = await _peek(stranger, f"/v1/bookings/{booking['id']}{view}")
        missing = await _peek(stranger, f"/v1/bookings/{uuid4()}{view}")
        assert answer.status_code == missing.status_code == 404
        assert problem_of(answer) == problem_of(missing), "nothing tells the two apart"
        assert await _ids(stranger, shop) == []


async def test_customer_mechanic_and_operator_see_it(
    customer: Customer, mechanic: Customer, operator: Customer, shop: Shop
) -> None:
    booking = await customer.book(shop, shop.start())
    for who in (customer, mechanic, operator):
        assert (await who.read(booking))["id"] == booking["id"]
        assert await _ids(who, shop) == [booking["id"]]


@pytest.mark.parametrize("view", ["/v1/bookings", *(f"/v1/bookings/{SOME}{view}" for view in VIEWS)])
async def test_without_a_token_nobody_sees_anything(http: httpx.AsyncClient, customer: Customer, view: str) -> None:
    answer = await http.get(f"{customer.api_url}{view}")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.usefixtures("nothing_held")
async def test_without_a_token_nobody_books(http: httpx.AsyncClient, customer: Customer, shop: Shop) -> None:
    body = customer.request(shop, shop.start())
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        answer = await http.post(
            f"{customer.api_url}/v1/bookings", json=body, headers=headers | {"Idempotency-Key": "a"}
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.usefixtures("nothing_held")
async def test_a_mechanic_does_not_book(mechanic: Customer, shop: Shop) -> None:
    answer = await mechanic.post(mechanic.request(shop, shop.start()))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.usefixtures("nothing_held")
async def test_a_customer_books_for_itself_only(customer: Customer, rival: Customer, shop: Shop) -> None:
    body = customer.request(shop, shop.start())
    body["customer"]["id"] = str(rival.id)
    answer = await customer.post(body)
    assert answer.status_code == 422
    assert fields_of(answer) == ["body.customer.id"]


async def test_a_service_books_for_customers_and_sees_what_it_booked(
    backend: Customer, caller: Caller, customer: Customer, rival: Customer, shop: Shop
) -> None:
    body = backend.request(shop, shop.start())
    body["customer"]["id"] = str(customer.id)
    booking = (await backend.post(body)).json()
    assert (await backend.read(booking))["customer_id"] == str(customer.id)
    assert (await customer.read(booking))["id"] == booking["id"]
    own = await customer.book(shop, shop.start(hours=4))
    assert await _ids(backend, shop) == [booking["id"]]
    assert await _ids(customer, shop) == [own["id"], booking["id"]]
    another = await caller(f"backend-{uuid4()}", "service")
    for stranger in (another, rival):
        assert (await stranger.get(f"/v1/bookings/{booking['id']}")).status_code == 404


async def test_a_guest_is_the_same_customer_for_each_address(backend: Customer, shop: Shop) -> None:
    read = []
    for hours, email in ((0, "Guest@Example.com"), (2, "guest@example.com"), (4, "other@example.com")):
        body = backend.request(shop, shop.start(hours=hours))
        body["customer"]["email"] = email
        read.append((await backend.read((await backend.post(body)).json()))["customer_id"])
    assert read[0] == read[1] != read[2]


async def test_an_operator_books_and_takes_the_payment_but_is_no_customer(
    operator: Customer, customer: Customer, shop: Shop
) -> None:
    """It gets what is needed to pay, and no link: whoever has that acts as the customer."""
    body = operator.request(shop, shop.start())
    body["customer"]["id"] = str(customer.id)
    booking = (await operator.post(body)).json()
    assert booking["payment"]["client_secret"]
    assert booking["manage_url"] is None
    assert (await customer.read(booking))["customer_id"] == str(customer.id)


async def test_a_service_called_like_a_customer_sees_nothing_of_it(
    customer: Customer, caller: Caller, shop: Shop
) -> None:
    booking = await customer.book(shop, shop.start())
    namesake = await caller(str(customer.id), "service")
    assert (await namesake.get(f"/v1/bookings/{booking['id']}")).status_code == 404
    assert await _ids(namesake, shop) == []


@pytest.mark.parametrize("view", VIEWS)
async def test_a_manage_link_opens_its_one_booking(
    http: httpx.AsyncClient, customer: Customer, rival: Customer, shop: Shop, view: str
) -> None:
    booking, other = await customer.book(shop, shop.start()), await rival.book(shop, shop.start(hours=4))
    url, path = f"{customer.api_url}/v1/bookings", f"/v1/bookings/{booking['id']}"
    token = _token(booking)
    if view == "":
        assert (await http.get(f"{url}/{booking['id']}", params={"token": token})).json()["id"] == booking["id"]
    for forged in (token[:-2] + "xx", "", "a.b.c", customer.token, token + "\0"):
        assert (await _peek(customer, f"{path}{view}", {}, token=forged)).status_code == 404
    assert (await _peek(customer, f"/v1/bookings/{other['id']}{view}", {}, token=token)).status_code == 404
    # It is no token for the rest: neither as a bearer's nor for the list.
    assert (await _peek(customer, f"{path}{view}", {"Authorization": f"Bearer {token}"})).status_code == 401
    assert (await http.get(url, params={"token": token})).status_code == 422
