"""The Twilio server by itself, asked by the official client and by hand: it checks and answers as Twilio does."""

import asyncio
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from pitstop.devstack.stackfile import Stack
from pitstop.devstack.twilio_server.signing import signature
from tests.messages.conftest import Json, Texts, waits_for

BODY = {"Body": "Hello", "From": "+15005550006"}


@pytest.fixture
def account(stack: Stack) -> str:
    return f"{stack.twilio_api_url}/2010-04-01/Accounts/{stack.twilio_account_sid}/Messages"


@pytest.fixture
def post(http: httpx.AsyncClient, stack: Stack, account: str) -> Any:
    async def send(**params: str) -> httpx.Response:
        auth = (stack.twilio_account_sid, stack.twilio_auth_token)
        return await http.post(f"{account}.json", data=BODY | params, auth=auth)

    return send


def test_the_signature_is_twilios_own() -> None:
    """The example of Twilio's page on the security of webhooks."""
    params = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    signed = signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", params)
    assert signed == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "12"}, 21211),
        ({"To": "+1416555O123"}, 21211),
        ({"To": "+15005550001"}, 21211),
        ({"To": "+15005550002"}, 21612),
        ({"To": "+15005550003"}, 21408),
        ({"To": "+15005550004"}, 21610),
        ({"To": "+15005550009"}, 21614),
        ({"From": ""}, 21603),
        ({"From": "+15005550001"}, 21212),
        ({"From": "+15005550007"}, 21606),
        ({"From": "+15005550008"}, 21611),
        ({"From": "+14165550100"}, 21606),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"StatusCallback": "nowhere"}, 21609),
    ],
)
async def test_what_is_refused_has_twilios_code(post: Any, number: str, params: dict[str, str], code: int) -> None:
    answer = await post(**({"To": number} | params))
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["more_info"] == f"https://www.twilio.com/docs/errors/{code}"


@pytest.mark.parametrize("auth", [None, ("AC" + "0" * 32, "token"), ("", "")])
async def test_nobody_gets_in_without_the_token(http: httpx.AsyncClient, account: str, number: str, auth: Any) -> None:
    answer = await http.post(f"{account}.json", data=BODY | {"To": number}, auth=auth or httpx.USE_CLIENT_DEFAULT)
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)


async def test_the_official_client_understands_it(stack: Stack, texts: Texts) -> None:
    client = Client(stack.twilio_account_sid, stack.twilio_auth_token)
    client.api.base_url = stack.twilio_api_url
    sent = await asyncio.to_thread(client.messages.create, to=texts.number, from_="+15005550006", body="Été à 8 h")
    assert (sent.status, sent.direction, sent.num_segments) == ("queued", "outbound-api", "1")
    await waits_for(texts.messages, lambda seen: seen[0]["status"] == "delivered")
    fetched = await asyncio.to_thread(client.messages(sent.sid).fetch)
    assert (fetched.status, fetched.body, fetched.error_code) == ("delivered", "Été à 8 h", None)
    for _ in range(2):
        await asyncio.to_thread(client.messages.create, to=texts.number, from_="+15005550006", body="Another")
    listed = await asyncio.to_thread(client.messages.list, to=texts.number, page_size=2)
    assert [message.body for message in listed] == ["Another", "Another", "Été à 8 h"], "in pages, newest first"
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(client.messages.create, to="+15005550001", from_="+15005550006", body="x")
    assert (refused.value.status, refused.value.code) == (400, 21211)


async def test_a_reply_of_stop_is_heeded_until_start(post: Any, texts: Texts) -> None:
    await texts.reply(" stop ")
    refused = await post(To=texts.number)
    assert refused.json()["code"] == 21610
    await texts.reply("START")
    assert (await post(To=texts.number)).status_code == 201


@pytest.mark.parametrize(
    ("kind", "status", "sent"),
    [
        ("error_500", 500, 0),
        ("error_429", 429, 0),
        ("error_after", 500, 1),
        ("delay", 201, 1),
        ("timeout_after", 201, 1),
    ],
)
async def test_faults_come_as_ordered_and_once(post: Any, texts: Texts, kind: str, status: int, sent: int) -> None:
    await texts.order("faults", kind=kind, seconds=0.2)
    assert (await post(To=texts.number)).status_code == status
    assert len(await texts.messages()) == sent
    assert [call["fault"] for call in await texts.calls()] == [kind]
    assert (await post(To=texts.number)).status_code == 201


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("drop", []),
        ("duplicate", ["queued", "queued", "sent", "sent", "delivered", "delivered"]),
        ("reverse", ["delivered", "sent", "queued"]),
    ],
)
async def test_callbacks_go_wrong_as_ordered(post: Any, texts: Texts, mode: str, told: list[str]) -> None:
    await texts.order("callbacks", mode=mode)
    await post(To=texts.number, StatusCallback=f"{texts.url}/health")
    await waits_for(texts.messages, lambda seen: seen[0]["status"] == "delivered")
    callbacks = await texts.all_told(len(told))
    by_time = sorted(callbacks, key=lambda each: (each["history"][0]["at"], each["seq"]))
    assert [each["params"]["MessageStatus"] for each in by_time] == told


@pytest.mark.parametrize(("status", "code"), [("undelivered", 30003), ("failed", 30006)])
async def test_a_message_comes_to_the_end_that_was_ordered(post: Any, texts: Texts, status: str, code: int) -> None:
    await texts.order("outcomes", status=status, code=code)
    await post(To=texts.number)

    def ended(seen: list[Json]) -> bool:
        return (seen[0]["status"], seen[0]["error_code"]) == (status, code)

    await waits_for(texts.messages, ended)


async def test_people_see_the_messages(http: httpx.AsyncClient, post: Any, texts: Texts) -> None:
    await post(To=texts.number, Body="<b>Brakes</b>")
    page = await http.get(texts.url, params={"to": texts.number})
    assert page.status_code == 200
    assert "&lt;b&gt;Brakes&lt;/b&gt;" in page.text
