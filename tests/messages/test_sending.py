"""A notice that is owed, claimed and handed over by the worker's activity: once, on its channel, to who wants it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.testing import ActivityEnvironment

from activities.notices import ByMail, ByText, NoticeActivities, Way
from pitstop.contracts.booking import SendNotice
from pitstop.devstack.stackfile import Stack
from pitstop.domain.notices import Channel, Notice, NoticeKind
from pitstop.domain.saga import NoticeOutcome
from pitstop.gateways.letters import LetterWriter
from pitstop.gateways.manage_links import ManageLinks
from pitstop.gateways.pseudonyms import NumberNames
from pitstop.gateways.referral_links import ReferralLinks
from pitstop.gateways.short_texts import ShortTexts
from pitstop.gateways.smtp_mailer import SmtpMailer
from pitstop.gateways.twilio_messages import TwilioMessages
from pitstop.ports import MailNotAccepted, TextNotAccepted
from pitstop.postgres.notices import PostgresNotices
from pitstop.postgres.pool import Pool, open_pool
from pitstop.settings import Settings
from tests.messages.conftest import Texts, waits_for
from tests.messages.rows import TextRow, add_text, owe_text
from tests.support.shop import Shop


@pytest.fixture
async def pool(stack: Stack) -> AsyncIterator[Pool]:
    async with open_pool(stack.worker_database_url, 4, "tests-messages") as opened:
        yield opened


@pytest.fixture
def own(twilio_settings: Settings, stack: Stack) -> Settings:
    return twilio_settings.model_copy(update={"smtp_port": stack.smtp_port})


@pytest.fixture
def store(pool: Pool, own: Settings) -> PostgresNotices:
    return PostgresNotices(pool, ManageLinks(own).url, NumberNames(own).of, ReferralLinks(own).url)


@pytest.fixture
async def sending(own: Settings, store: PostgresNotices, messenger: TwilioMessages) -> NoticeActivities:
    ways: dict[Channel, Way] = {
        Channel.EMAIL: ByMail(LetterWriter(own), SmtpMailer(own)),
        Channel.SMS: ByText(store, ShortTexts(own), messenger),
    }
    return NoticeActivities(store, ways)


@pytest.fixture
async def row(database: Any, shop: Shop, number: str) -> TextRow:
    return await add_text(database, shop, number)


def order(row: TextRow, key: str | None = None) -> SendNotice:
    now = datetime.now(UTC)
    return SendNotice(booking_id=row.case.booking_id, now=now, kind=NoticeKind.REMINDER, key=key or row.key)


async def timeline(database: Any, row: TextRow) -> list[str]:
    query = "SELECT event FROM booking_events WHERE booking_id = $1 ORDER BY id"
    return [each["event"] for each in await database.fetch(query, row.case.booking_id)]


async def test_a_text_goes_out_once_and_is_followed_to_its_end(
    sending: NoticeActivities, row: TextRow, texts: Texts, database: Any
) -> None:
    assert await sending.send(order(row)) is NoticeOutcome.SENT
    assert await sending.send(order(row)) is NoticeOutcome.NOT_SENT, "it was sent before"
    [message] = await texts.messages()
    assert message["body"].startswith("Pitstop: Reminder: Brake check with Zoé Bélanger, ")
    assert message["body"].endswith("Reply STOP to opt out.")
    assert int(message["num_segments"]) <= 2
    await texts.all_told(3)
    after = await row.read()
    assert (after["status"], after["attempts"], after["message_sid"]) == ("sent", 1, message["sid"])
    assert after["delivery_status"] == "delivered"
    assert await timeline(database, row) == ["text_sent"]


async def test_what_it_says_is_in_the_customers_language(
    sending: NoticeActivities, database: Any, shop: Shop, texts: Texts, number: str
) -> None:
    row = await add_text(database, shop, number, language="fr")
    await sending.send(order(row))
    [message] = await texts.messages()
    assert "Rappel : Brake check avec Zoé Bélanger" in message["body"]
    assert message["body"].endswith("Répondez ARRET pour ne plus en recevoir.")


@pytest.mark.parametrize("kind", ["error_500", "error_429"])
async def test_an_outage_of_twilio_loses_nothing(
    sending: NoticeActivities, row: TextRow, texts: Texts, kind: str
) -> None:
    await texts.order("faults", kind=kind)
    with pytest.raises(TextNotAccepted):
        await sending.send(order(row))
    assert ((await row.read())["status"], await texts.messages()) == ("sending", [])
    assert await sending.send(order(row)) is NoticeOutcome.SENT
    assert len(await texts.messages()) == 1
    assert (await row.read())["attempts"] == 2


@pytest.mark.parametrize("told", [True, False])
async def test_a_message_whose_answer_was_lost_is_found_and_not_sent_again(
    sending: NoticeActivities, row: TextRow, texts: Texts, told: bool
) -> None:
    """Whether its news have come meanwhile (`told`), or only Twilio's list knows of it."""
    await texts.order("faults", kind="error_after")
    await texts.order("callbacks", mode="delay", seconds=0 if told else 30)
    with pytest.raises(TextNotAccepted):
        await sending.send(order(row))
    [message] = await texts.messages()
    if told:
        await texts.all_told(3)
    assert await sending.send(order(row)) is NoticeOutcome.SENT
    assert len(await texts.messages()) == 1
    assert (await row.read())["message_sid"] == message["sid"]


async def test_without_looking_it_would_be_sent_twice(
    store: PostgresNotices, own: Settings, messenger: TwilioMessages, row: TextRow, texts: Texts
) -> None:
    """The control: a messenger that finds nothing sends the message again."""

    class Forgetful:
        send = staticmethod(messenger.send)

        async def sent_since(self, to: str, body: str, since: datetime) -> list[str]:
            return []

    careless = NoticeActivities(store, {Channel.SMS: ByText(store, ShortTexts(own), Forgetful())})
    await texts.order("faults", kind="error_after")
    await texts.order("callbacks", mode="drop")
    with pytest.raises(TextNotAccepted):
        await careless.send(order(row))
    await careless.send(order(row))
    assert len(await texts.messages()) == 2


@pytest.mark.parametrize("limited", [True, False])
async def test_a_try_is_over_before_the_next_one_looks_for_its_message(
    store: PostgresNotices, own: Settings, messenger: TwilioMessages, row: TextRow, texts: Texts, limited: bool
) -> None:
    """The control: one that outlives its time sends after the next one has looked, and has sent."""

    class Slow:
        sent_since = staticmethod(messenger.sent_since)

        async def send(self, to: str, body: str, reference: str) -> str:
            await asyncio.sleep(2)
            return await messenger.send(to, body, reference)

    slow = NoticeActivities(store, {Channel.SMS: ByText(store, ShortTexts(own), Slow())})
    at_work = ActivityEnvironment()
    at_work.info = replace(at_work.info, start_to_close_timeout=timedelta(seconds=1.5 if limited else 30))
    first = asyncio.ensure_future(at_work.run(slow.send, order(row)))
    await asyncio.sleep(1.5)
    quick = NoticeActivities(store, {Channel.SMS: ByText(store, ShortTexts(own), messenger)})
    assert await quick.send(order(row)) is NoticeOutcome.SENT
    [outcome] = await asyncio.gather(first, return_exceptions=True)
    assert (outcome == NoticeOutcome.SENT, isinstance(outcome, TimeoutError)) == (not limited, limited)
    assert len(await texts.messages()) == (1 if limited else 2)


@pytest.mark.parametrize(("meanwhile", "ends"), [("status = 'skipped'", "sent"), ("sending = sending + 1", "sending")])
async def test_what_gets_through_is_on_record(
    store: PostgresNotices, row: TextRow, database: Any, meanwhile: str, ends: str
) -> None:
    """Though it was of no use any more, a moment too late; but a sending asked for since is not done by that."""
    claim = await store.claim(row.key, datetime.now(UTC))
    assert claim is not None
    await database.execute(f"UPDATE notifications SET {meanwhile} WHERE key = $1", row.key)  # noqa: S608 - our own
    await store.mark_sent(row.key, claim.sending, datetime.now(UTC), "SM1")
    assert (await row.read())["status"] == ends
    assert await timeline(database, row) == (["text_sent"] if ends == "sent" else [])


async def test_a_message_of_another_notice_is_not_taken_for_this_one(
    sending: NoticeActivities, row: TextRow, texts: Texts, database: Any
) -> None:
    """Two reminders of one booking, whose answers are both lost: only their links tell them apart."""
    other = await owe_text(database, row.case)
    await texts.order("callbacks", mode="drop", times=2)
    for key in (row.key, other):
        await texts.order("faults", kind="error_after")
        with pytest.raises(TextNotAccepted):
            await sending.send(order(row, key))
    for key in (other, row.key):
        assert await sending.send(order(row, key)) is NoticeOutcome.SENT
    first, second = await texts.messages()
    sids = "SELECT message_sid FROM notifications WHERE key = $1"
    assert [await database.fetchval(sids, key) for key in (row.key, other)] == [first["sid"], second["sid"]]


@pytest.mark.parametrize("to", ["+15005550001", "+15005550009"])
async def test_a_number_that_is_refused_for_good_ends_the_notice(
    sending: NoticeActivities, database: Any, shop: Shop, to: str
) -> None:
    row = await add_text(database, shop, to)
    assert await sending.send(order(row)) is NoticeOutcome.NOT_SENT
    after = await row.read()
    assert after["status"] == "failed"
    assert "code 21" in after["detail"]
    assert to not in after["detail"]
    assert await timeline(database, row) == ["text_not_sent"]


async def test_whoever_has_replied_stop_gets_nothing_until_start(
    sending: NoticeActivities, row: TextRow, texts: Texts, database: Any
) -> None:
    await texts.reply("STOP")
    await texts.all_told(1)
    assert await sending.send(order(row)) is NoticeOutcome.NOT_SENT
    assert [call["path"] for call in await texts.calls()] == [], "Twilio was not even asked"
    assert ((await row.read())["status"], (await row.read())["detail"]) == ("skipped", "the customer has replied STOP")
    await texts.reply("START")
    await texts.all_told(2)
    assert await sending.send(order(row, await owe_text(database, row.case))) is NoticeOutcome.SENT


async def test_a_stop_that_only_twilio_knows_of_is_put_on_record(
    sending: NoticeActivities, row: TextRow, texts: Texts, database: Any, own: Settings
) -> None:
    await texts.reply("STOP")
    await texts.all_told(1)
    await database.execute(
        "DELETE FROM text_opt_outs WHERE number_digest = ANY($1::bytea[])", NumberNames(own).of(texts.number)
    )
    assert await sending.send(order(row)) is NoticeOutcome.NOT_SENT
    assert (await row.read())["status"] == "failed"
    other = await owe_text(database, row.case)
    calls = len(await texts.calls())
    assert await sending.send(order(row, other)) is NoticeOutcome.NOT_SENT
    assert len(await texts.calls()) == calls


@pytest.mark.parametrize("changes", [{"consent": False}, {"number": None}])
async def test_without_consent_or_number_nothing_is_sent(
    sending: NoticeActivities, database: Any, shop: Shop, number: str, changes: dict[str, Any]
) -> None:
    row = await add_text(database, shop, changes.get("number", number), consent=changes.get("consent", True))
    assert await sending.send(order(row)) is NoticeOutcome.NOT_SENT
    assert (await row.read())["status"] == "skipped"


@pytest.mark.parametrize("change", ["status = 'cancelled'", "starts_at = now() - interval '1 minute'"])
async def test_a_reminder_wants_a_booking_that_stands_and_has_not_begun(
    sending: NoticeActivities, row: TextRow, texts: Texts, database: Any, change: str
) -> None:
    await database.execute(f"UPDATE bookings SET {change} WHERE id = $1", row.case.booking_id)  # noqa: S608 - ours
    assert await sending.send(order(row)) is NoticeOutcome.NOT_SENT
    assert await texts.messages() == []


async def test_one_channel_neither_blocks_nor_doubles_the_other(
    sending: NoticeActivities, row: TextRow, texts: Texts, database: Any, stack: Stack, http: httpx.AsyncClient
) -> None:
    address = f"{texts.number[1:]}@example.com"
    await database.execute("UPDATE bookings SET customer_email = $2 WHERE id = $1", row.case.booking_id, address)
    mail = row.key.removesuffix("/sms")
    await database.execute(
        "INSERT INTO notifications (key, booking_id, kind, status) VALUES ($1, $2, 'reminder', 'pending')",
        *(mail, row.case.booking_id),
    )
    faults = f"{stack.mail_url}/api/faults"
    await http.post(faults, json={"kind": "reject_4xx", "to": address, "times": 1})
    with pytest.raises(MailNotAccepted):
        await sending.send(order(row, mail))
    assert await sending.send(order(row)) is NoticeOutcome.SENT
    assert await sending.send(order(row, mail)) is NoticeOutcome.SENT
    mails = (await http.get(f"{stack.mail_url}/api/messages", params={"to": address})).json()
    assert (len(mails), len(await texts.messages())) == (1, 1)


async def test_a_text_has_the_link_to_the_booking(
    sending: NoticeActivities, row: TextRow, texts: Texts, http: httpx.AsyncClient, stack: Stack
) -> None:
    await sending.send(order(row))
    [message] = await texts.messages()
    link = next(word for word in message["body"].split() if word.startswith("http"))
    answer = await http.get(link)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{stack.api_url}/manage/{row.case.booking_id}?token=")
    page = await http.get(answer.headers["location"], follow_redirects=True)
    assert (page.status_code, "Brake check" in page.text) == (200, True)
    link = link.partition("#")[0]
    for forged in (link[:-1], link[:-2] + ("AA" if not link.endswith("AA") else "BB"), f"{stack.api_url}/b/x"):
        assert (await http.get(forged)).status_code == 404


async def test_an_installation_without_twilio_says_so(store: PostgresNotices, own: Settings, row: TextRow) -> None:
    nobody = NoticeActivities(store, {Channel.SMS: ByText(store, ShortTexts(own), None)})
    assert await nobody.send(order(row)) is NoticeOutcome.NOT_SENT
    assert (await row.read())["detail"] == "no text messages are sent by this installation"


async def test_the_same_notice_is_the_same_text(store: PostgresNotices, own: Settings, row: TextRow) -> None:
    """By it a message is found again, so nothing in it may depend on the moment."""
    claim = await store.claim(row.key, datetime.now(UTC))
    assert claim is not None
    notice = Notice(row.key, claim.kind, claim.facts, timedelta(hours=1))
    later = replace(notice, facts=replace(notice.facts, invite_sequence=7))
    assert ShortTexts(own).write_text(notice) == ShortTexts(own).write_text(later)
    assert await waits_for(row.read, lambda read: read["status"] == "sending")
