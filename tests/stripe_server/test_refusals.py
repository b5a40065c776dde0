"""Malformed calls, wrong keys, lists and expansion: answered as Stripe answers."""

from typing import Any

import httpx
import pytest
import stripe

from tests.stripe_server.conftest import SECRET_KEY, Server, client_of
from tests.stripe_server.test_payments import create
from tests.stripe_server.test_refunds import paid

Mark = dict[str, str]
AUTHORISED = {"Authorization": f"Bearer {SECRET_KEY}"}


@pytest.mark.parametrize(
    ("form", "code", "param"),
    [
        ({"amount": "500", "currency": "eur", "colour": "red"}, "parameter_unknown", "colour"),
        ({"amount": "500", "currency": "eur", "automatic_payment_methods[x]": "1"}, "parameter_unknown", None),
        ({"currency": "eur"}, "parameter_missing", "amount"),
        ({"amount": "12.5", "currency": "eur"}, "parameter_invalid_integer", "amount"),
        ({"amount": "0", "currency": "eur"}, "parameter_invalid_integer", "amount"),
        ({"amount": "", "currency": "eur"}, "parameter_invalid_empty", "amount"),
        ({"amount": "49", "currency": "usd"}, "amount_too_small", "amount"),
        ({"amount": "100000000", "currency": "usd"}, "amount_too_large", "amount"),
        ({"amount": "500", "currency": "zzz"}, None, "currency"),
        ({"amount": "500", "currency": "eur", "payment_method": "pm_none"}, "resource_missing", "payment_method"),
        ({"amount": "500", "currency": "eur", "metadata[k]": "v" * 501}, None, "metadata[k]"),
        ({"amount": "500", "currency": "eur", "expand[]": "colour"}, None, "expand"),
    ],
)
async def test_parameters(http: httpx.AsyncClient, form: Mark, code: str | None, param: str | None) -> None:
    answer = await http.post("/v1/payment_intents", data=form, headers=AUTHORISED)
    error = answer.json()["error"]
    assert answer.status_code in (400, 404)
    assert (error["type"], error.get("code")) == ("invalid_request_error", code)
    assert param is None or error["param"] == param
    assert answer.headers["request-id"].startswith("req_")


@pytest.mark.parametrize("key", ["sk_test_wrong", ""])
async def test_wrong_and_missing_keys(server: Server, http: httpx.AsyncClient, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = await http.get("/v1/payment_intents", headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")
    if key:
        with pytest.raises(stripe.AuthenticationError):
            await client_of(server, key).v1.payment_intents.list_async()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/unicorns"), ("DELETE", "/v1/payment_intents"), ("GET", "/nowhere"), ("PUT", "/v1/x/y")],
)
async def test_unknown_routes(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path, headers=AUTHORISED)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")


async def test_what_is_not_there(client: stripe.StripeClient) -> None:
    for missing in (client.v1.payment_intents, client.v1.charges, client.v1.refunds, client.v1.events):
        service: Any = missing
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await service.retrieve_async("xx_none")
        assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


async def test_a_malformed_control_call(http: httpx.AsyncClient) -> None:
    answer = await http.post("/_control/faults", json={"kind": "explode"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "kind")


async def test_lists_page_through(client: stripe.StripeClient, mark: Mark) -> None:
    made = [(await create(client, mark)).id for _ in range(5)]
    first = await client.v1.payment_intents.list_async({"limit": 2})
    assert [intent.id for intent in first.data] == made[:2:-1]
    rest = await client.v1.payment_intents.list_async({"limit": 3, "starting_after": made[3]})
    assert [intent.id for intent in rest.data] == made[2::-1]
    back = await client.v1.payment_intents.list_async({"limit": 2, "ending_before": made[0]})
    assert [intent.id for intent in back.data] == made[2:0:-1]
    created = first.data[0].created
    recent = await client.v1.payment_intents.list_async({"created": {"gte": created + 60}})
    assert recent.data == []


async def test_expansion_and_the_overview(client: stripe.StripeClient, http: httpx.AsyncClient, mark: Mark) -> None:
    intent = await paid(client, mark)
    await client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 1234})
    listed = await client.v1.payment_intents.list_async({"limit": 1, "expand": ["data.latest_charge"]})
    assert isinstance(listed.data[0].latest_charge, stripe.Charge)
    assert listed.data[0].latest_charge.amount_refunded == 1234
    page = (await http.get("/")).text
    assert all(text in page for text in (intent.id, mark["booking_id"], "12.34 EUR"))


async def test_browsers_may_call_from_elsewhere(http: httpx.AsyncClient) -> None:
    asks = {"Origin": "http://127.0.0.1:8000", "Access-Control-Request-Method": "POST"}
    answer = await http.options("/v1/payment_intents/pi_x/confirm", headers=asks)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
