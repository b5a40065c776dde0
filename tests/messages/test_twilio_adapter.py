"""The adapter against the Twilio server: what it sends, what it finds again, and how it says that it was refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.gateways.twilio_messages import TwilioMessages, twilio_messages
from pitstop.ports import TextNotAccepted
from pitstop.settings import Settings
from tests.messages.conftest import Texts

KEY = "00000000-0000-4000-8000-000000000001.reminder.86400s.sms.1"


async def test_a_message_is_sent_with_the_address_for_its_news(
    messenger: TwilioMessages, texts: Texts, stack: Stack
) -> None:
    sid = await messenger.send(texts.number, "À demain, 8 h", KEY)
    [message] = await texts.messages()
    assert (message["sid"], message["body"], message["from"]) == (sid, "À demain, 8 h", "+15005550006")
    [call] = await texts.calls()
    assert call["params"]["StatusCallback"] == f"{stack.api_url}/webhooks/twilio?notice={KEY}"


@pytest.mark.parametrize(
    ("to", "opted_out"), [("+15005550001", False), ("+15005550004", True), ("+15005550009", False), ("nobody", False)]
)
async def test_a_number_that_twilio_refuses_is_refused_for_good(
    messenger: TwilioMessages, to: str, opted_out: bool
) -> None:
    with pytest.raises(TextNotAccepted) as refused:
        await messenger.send(to, "x", KEY)
    assert (refused.value.permanent, refused.value.opted_out) == (True, opted_out)
    assert to not in str(refused.value), "the number goes nowhere"


@pytest.mark.parametrize("kind", ["error_500", "error_429", "error_after"])
async def test_an_outage_passes(messenger: TwilioMessages, texts: Texts, kind: str) -> None:
    await texts.order("faults", kind=kind)
    with pytest.raises(TextNotAccepted) as refused:
        await messenger.send(texts.number, "x", KEY)
    assert not refused.value.permanent


async def test_no_answer_in_time_is_no_acceptance(texts: Texts, twilio_settings: Settings) -> None:
    await texts.order("faults", kind="timeout_after", seconds=5)
    hurried = twilio_settings.model_copy(update={"twilio_timeout_seconds": 0.3})
    async with httpx.AsyncClient() as http:
        with pytest.raises(TextNotAccepted) as refused:
            await TwilioMessages(hurried, http).send(texts.number, "x", KEY)
    assert not refused.value.permanent
    assert len(await texts.messages()) == 1, "it had got there"


@pytest.mark.parametrize("changes", [{"twilio_auth_token": "wrong"}, {"twilio_base_url": "http://127.0.0.1:9"}])
async def test_a_fault_of_ours_is_not_the_numbers(stack: Stack, texts: Texts, changes: dict[str, Any]) -> None:
    names = ("twilio_account_sid", "twilio_auth_token", "twilio_from", "twilio_base_url")
    given = {name: stack.environment[f"PITSTOP_{name.upper()}"] for name in names}
    async with httpx.AsyncClient() as http:
        with pytest.raises(TextNotAccepted) as refused:
            await TwilioMessages(Settings.model_validate(given | changes), http).send(texts.number, "x", KEY)
    assert not refused.value.permanent


async def test_what_was_taken_is_found_again_by_number_text_and_time(messenger: TwilioMessages, texts: Texts) -> None:
    before = datetime.now(UTC)
    first = await messenger.send(texts.number, "the same text", KEY)
    await messenger.send(texts.number, "another text", KEY)
    await texts.reply("the same text")
    assert await messenger.sent_since(texts.number, "the same text", before) == [first]
    assert await messenger.sent_since(texts.number, "the same", before) == []
    assert await messenger.sent_since("+14165550123", "the same text", before) == []
    assert await messenger.sent_since(texts.number, "the same text", before + timedelta(minutes=1)) == []


async def test_where_nothing_is_set_up_there_is_no_messenger() -> None:
    async with twilio_messages(Settings()) as nobody:
        assert nobody is None
