"""Twilio's news at the API: signed or refused, in every order, twice, and about another sending than this one."""

from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from twilio.request_validator import RequestValidator

from pitstop.devstack.stackfile import Stack
from pitstop.domain.text_messages import DeliveryStatus, Wish
from pitstop.domain.text_messages import wish as wished
from pitstop.gateways.pseudonyms import NumberNames
from pitstop.gateways.twilio_messages import TwilioMessages
from pitstop.settings import Settings
from tests.messages.conftest import Texts, waits_for
from tests.messages.rows import TextRow, add_text
from tests.support.shop import Shop

SID = "SM0123456789abcdef0123456789abcdef"
Post = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def row(database: Any, shop: Shop, number: str) -> TextRow:
    return await add_text(database, shop, number)


@pytest.fixture
def tell(http: httpx.AsyncClient, stack: Stack) -> Post:
    """Posts as Twilio would, signed with the token; or as somebody else would."""

    async def post(
        notice: str | None, token: str | None = None, signed: dict[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        url = f"{stack.api_url}/webhooks/twilio" + (f"?notice={notice}" if notice else "")
        told = {"AccountSid": stack.twilio_account_sid, "MessageSid": SID} | fields
        signature = RequestValidator(token or stack.twilio_auth_token).compute_signature(url, signed or told)
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        return await http.post(url, content=urlencode(told), headers=headers)

    return post


@pytest.mark.parametrize("order", list(permutations(["queued", "sent", "delivered"])))
async def test_however_late_the_news_come_the_status_never_goes_back(
    tell: Post, row: TextRow, order: list[str]
) -> None:
    ranks = {"queued": 1, "sent": 2, "delivered": 3}
    for place, status in enumerate(order):
        assert (await tell(row.reference(), MessageStatus=status)).status_code == 204
        best = max(order[: place + 1], key=lambda each: ranks[each])
        assert (await row.read())["delivery_status"] == best
    assert (await row.read())["message_sid"] == SID


async def test_the_first_end_is_the_end(tell: Post, row: TextRow) -> None:
    await tell(row.reference(), MessageStatus="undelivered", ErrorCode="30003")
    at = (await row.read())["delivery_at"]
    for status in ("delivered", "failed", "sent", "undelivered"):
        await tell(row.reference(), MessageStatus=status)
    after = await row.read()
    assert (after["delivery_status"], after["delivery_code"], after["delivery_at"]) == ("undelivered", 30003, at)


@pytest.mark.parametrize("status", sorted(DeliveryStatus))
async def test_each_status_is_known_here_and_in_the_database(tell: Post, row: TextRow, status: str) -> None:
    await tell(row.reference(), MessageStatus=status)
    assert (await row.read())["delivery_status"] == status


async def test_news_of_an_earlier_sending_or_of_another_message_are_not_of_this_one(
    tell: Post, row: TextRow, database: Any
) -> None:
    await database.execute("UPDATE notifications SET sending = 2 WHERE key = $1", row.key)
    await tell(row.reference(1), MessageStatus="delivered")
    assert (await row.read())["delivery_status"] is None
    await tell(row.reference(2), MessageStatus="sent")
    await tell(row.reference(2), MessageStatus="delivered", MessageSid="SM" + "f" * 32)
    assert (await row.read())["delivery_status"] == "sent"


@pytest.mark.parametrize("notice", [None, "nonsense", "00000000-0000-4000-8000-000000000001.reminder.sms.1"])
async def test_news_that_are_of_no_notice_are_taken_and_forgotten(tell: Post, notice: str | None) -> None:
    assert (await tell(notice, MessageStatus="delivered")).status_code == 204


@pytest.mark.parametrize("fields", [{"MessageStatus": "flying"}, {"ErrorCode": "1"}, {"MessageStatus": "\0"}])
async def test_a_status_that_is_not_known_changes_nothing(tell: Post, row: TextRow, fields: dict[str, str]) -> None:
    assert (await tell(row.reference(), **fields)).status_code == 204
    assert (await row.read())["delivery_status"] is None


@pytest.mark.parametrize(
    "forged",
    [{"token": "another token"}, {"signed": {"MessageSid": SID, "MessageStatus": "sent"}}, {"signed": {"x": ""}}],
)
async def test_a_signature_that_does_not_fit_is_refused(tell: Post, row: TextRow, forged: dict[str, Any]) -> None:
    answer = await tell(row.reference(), MessageStatus="delivered", **forged)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert (await row.read())["delivery_status"] is None


async def test_a_signature_is_good_for_its_address_only(
    http: httpx.AsyncClient, stack: Stack, row: TextRow, database: Any, shop: Shop, number: str
) -> None:
    other = await add_text(database, shop, number)
    told = {"MessageSid": SID, "MessageStatus": "delivered"}
    url = f"{stack.api_url}/webhooks/twilio"
    signature = RequestValidator(stack.twilio_auth_token).compute_signature(f"{url}?notice={row.reference()}", told)
    answer = await http.post(f"{url}?notice={other.reference()}", data=told, headers={"X-Twilio-Signature": signature})
    assert answer.status_code == 400


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"&" * 1000, b"a=1&" * 300, b"{}"])
async def test_a_body_that_is_no_form_is_refused(http: httpx.AsyncClient, stack: Stack, body: bytes) -> None:
    headers = {
        "X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = await http.post(f"{stack.api_url}/webhooks/twilio", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")


@pytest.mark.parametrize("mode", [None, "reverse", "duplicate"])
async def test_a_message_of_the_adapters_is_followed_to_its_end(
    messenger: TwilioMessages, texts: Texts, row: TextRow, mode: str | None
) -> None:
    """Over the real way: adapter, Twilio server, its signed callbacks, API, row."""
    if mode:
        await texts.order("callbacks", mode=mode)
    sid = await messenger.send(texts.number, "x", row.reference())
    callbacks = await texts.all_told(6 if mode == "duplicate" else 3)
    assert {each["state"] for each in callbacks} == {"delivered"}
    assert ((await row.read())["message_sid"], (await row.read())["delivery_status"]) == (sid, "delivered")


async def _is_out(database: Any, settings: Settings, number: str) -> bool:
    digests = NumberNames(settings).of(number)
    query = "SELECT count(*) FROM text_opt_outs WHERE number_digest = ANY($1::bytea[])"
    return bool(await database.fetchval(query, digests))


@pytest.mark.parametrize("word", ["STOP", " stop\n", "Stop.", "UNSUBSCRIBE", "Arrêt", "ARRET"])
async def test_a_reply_of_stop_is_on_record_until_start(
    texts: Texts, database: Any, twilio_settings: Settings, word: str
) -> None:
    for _ in range(2):
        await texts.reply(word)
    await texts.all_told(2)
    assert await _is_out(database, twilio_settings, texts.number)
    await texts.reply("Start")
    await texts.all_told(3)
    assert not await _is_out(database, twilio_settings, texts.number)


@pytest.mark.parametrize(
    ("reply", "wish"),
    [
        *(
            (reply, Wish.STOP)
            for reply in ("Arrêter", "ARRETEZ !", "arre\u0302t", "Désabonner", "« STOP »", "Stop all", "Opt-out")
        ),
        *((reply, Wish.START) for reply in ("start", " Unstop.")),
        *((reply, None) for reply in ("", "...", "Arrêtez le moteur", "démarrer le moteur", "stopped", "👍")),
    ],
)
def test_what_a_reply_asks_for(reply: str, wish: Wish | None) -> None:
    assert wished(reply) is wish


@pytest.mark.parametrize("word", ["Please stop honking", "Is 10:00 fine?", "stop it"])
async def test_a_reply_that_only_has_the_word_in_it_is_none(
    texts: Texts, database: Any, twilio_settings: Settings, word: str
) -> None:
    await texts.reply(word)
    [callback] = await texts.all_told(1)
    assert callback["state"] == "delivered"
    assert not await _is_out(database, twilio_settings, texts.number)


async def test_a_number_is_kept_as_a_digest_that_a_new_secret_still_knows(
    texts: Texts, database: Any, twilio_settings: Settings
) -> None:
    await texts.reply("STOP")
    await texts.all_told(1)
    rows = await database.fetch("SELECT * FROM text_opt_outs")
    assert texts.number not in str(rows)
    fresh = Settings(manage_link_secret="x" * 32)
    assert not await _is_out(database, fresh, texts.number), "without the secret nobody can try out numbers"
    kept = fresh.model_copy(update={"manage_link_former_secrets": (twilio_settings.manage_link_secret,)})
    assert await _is_out(database, kept, texts.number)


async def test_without_its_order_the_status_would_go_back(tell: Post, row: TextRow, database: Any) -> None:
    """The control: without the guard of ranks, the same news do what they must not."""
    await tell(row.reference(), MessageStatus="delivered")
    query = "UPDATE notifications SET delivery_status = 'queued' WHERE key = $1 AND COALESCE(message_sid, $2) = $2"
    await database.execute(query, row.key, SID)
    assert (await row.read())["delivery_status"] == "queued"
    await waits_for(row.read, lambda read: read["delivery_status"] == "queued")
