"""The mail sink as people and harnesses use it."""

import asyncio
import signal
import time
from pathlib import Path

from pitstop.domain.notices import NoticeKind
from pitstop.gateways.letters import LetterWriter
from pitstop.gateways.smtp_mailer import SmtpMailer
from tests.gateways.conftest import Sink, running_sink
from tests.gateways.samples import mail, notice

SHAPE = {"id", "message_id", "attempt", "to", "subject", "text", "html", "ics", "received_at", "headers"}


async def test_messages_have_the_promised_shape_newest_last(sink: Sink) -> None:
    for number in (1, 2, 3):
        await SmtpMailer(sink.settings).send(mail(subject=f"No. {number}"), attempt=number)
    messages = await sink.messages()
    assert [set(message) for message in messages] == [SHAPE] * 3
    assert [message["subject"] for message in messages] == ["No. 1", "No. 2", "No. 3"]
    assert sorted(message["received_at"] for message in messages) == [message["received_at"] for message in messages]
    assert messages[0]["received_at"].endswith("Z")
    assert messages[0]["ics"] is None


async def test_the_filter_keeps_one_recipients_mails(sink: Sink) -> None:
    for name in ("a", "b", "a"):
        await SmtpMailer(sink.settings).send(mail(to_address=f"{name}@example.com"), attempt=1)
    assert len(await sink.messages("A@Example.com")) == 2
    assert await sink.messages("c@example.com") == []


async def test_ids_are_not_given_out_twice(sink: Sink) -> None:
    await SmtpMailer(sink.settings).send(mail(), attempt=1)
    (first,) = await sink.messages()
    assert (await sink.call("DELETE", "/api/messages")).status_code == 204
    assert await sink.messages() == []
    await SmtpMailer(sink.settings).send(mail(), attempt=1)
    (second,) = await sink.messages()
    assert second["id"] > first["id"]


async def test_pages_show_a_mail_and_keep_its_html_in_a_sandbox(sink: Sink) -> None:
    sent = LetterWriter(sink.settings).write(notice(NoticeKind.CONFIRMATION))
    await SmtpMailer(sink.settings).send(sent, attempt=1)
    await SmtpMailer(sink.settings).send(mail(subject="<script>alert(1)</script>"), attempt=1)
    first, second = await sink.messages()
    mailbox = (await sink.call("GET", "/")).text
    page = (await sink.call("GET", f"/messages/{first['id']}")).text
    body = await sink.call("GET", f"/messages/{first['id']}/body.html")
    ics = await sink.call("GET", f"/messages/{first['id']}/invite.ics")
    assert "<script>" not in mailbox + (await sink.call("GET", f"/messages/{second['id']}")).text
    assert sent.subject in mailbox
    assert 'sandbox="allow-popups"' in page
    assert "BEGIN:VCALENDAR" in page
    assert body.headers["content-security-policy"].startswith("sandbox allow-popups; default-src 'none'")
    assert (ics.text, ics.headers["content-type"]) == (first["ics"], "text/calendar; charset=utf-8")


async def test_what_is_not_there_is_404_and_a_wrong_order_422(sink: Sink) -> None:
    assert (await sink.call("GET", "/messages/999999")).status_code == 404
    assert (await sink.call("GET", "/api/messages/999999/raw")).status_code == 404
    for order in ({"kind": "explode"}, {"kind": "reject_4xx", "times": 0}, {"kind": "reject_4xx", "two": "a@b.c"}):
        assert (await sink.call("POST", "/api/faults", json=order)).status_code == 422


async def test_orders_can_be_seen_and_taken_back(sink: Sink) -> None:
    await sink.order(kind="reject_5xx", to="zoe@example.com", times=5)
    seen = (await sink.call("GET", "/api/faults")).json()
    assert seen == [{"kind": "reject_5xx", "to": "zoe@example.com", "times": 5}]
    assert (await sink.call("DELETE", "/api/faults")).status_code == 204
    await SmtpMailer(sink.settings).send(mail(), attempt=1)
    assert len(await sink.messages()) == 1


async def test_two_hundred_connections_at_once_are_served(sink: Sink) -> None:
    mailer = SmtpMailer(sink.settings)
    await asyncio.gather(*(mailer.send(mail(to_address=f"c{n}@example.com"), attempt=1) for n in range(200)))
    assert {m["to"] for m in await sink.messages()} == {f"c{n}@example.com" for n in range(200)}


async def test_mails_survive_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "mail.sqlite"
    with running_sink(data) as sink:
        await sink.ready()
        await SmtpMailer(sink.settings).send(mail(subject="kept"), attempt=1)
        sink.process.kill()
    with running_sink(data) as sink:
        await sink.ready()
        assert [message["subject"] for message in await sink.messages()] == ["kept"]


async def test_sigterm_ends_it_promptly_with_connections_open(tmp_path: Path) -> None:
    with running_sink(tmp_path / "mail.sqlite") as sink:
        await sink.ready()
        _, smtp = await asyncio.open_connection("127.0.0.1", sink.smtp_port)
        started = time.monotonic()
        sink.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(sink.process.wait, 5)
        smtp.close()
    assert code == 0
    assert time.monotonic() - started < 3
