"""Mails over real SMTP to the real sink: what arrives is what was sent, and nobody slips anything in."""

import email
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.domain.notices import NoticeKind
from pitstop.gateways.letters import LetterWriter
from pitstop.gateways.smtp_mailer import SmtpMailer, envelope_address, mime_message
from pitstop.ports import MailNotAccepted
from pitstop.settings import Settings
from tests.gateways.conftest import Sink
from tests.gateways.samples import CONTROLS, NOW, mail, notice, video


async def arrived(sink: Sink) -> EmailMessage:
    """The one mail in the sink, as it came over the wire."""
    (message,) = await sink.messages()
    raw = (await sink.call("GET", f"/api/messages/{message['id']}/raw")).content
    return email.message_from_bytes(raw, _class=EmailMessage, policy=default)


HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Pitstop-Attempt"]
HEADERS += ["MIME-Version", "Content-Type"]


def unfolded(header: str) -> str:
    return "".join(header.splitlines())


def lines(text: str) -> list[str]:
    return text.splitlines()


async def test_what_arrives_is_what_was_sent(sink: Sink) -> None:
    sent = LetterWriter(sink.settings, clock=lambda: NOW).write(notice(NoticeKind.CONFIRMATION))
    await SmtpMailer(sink.settings).send(sent, attempt=3)
    (message,) = await sink.messages("ZOE@example.com")
    assert sent.calendar is not None
    assert message["to"] == "zoe@example.com"
    assert (message["message_id"], message["attempt"]) == (sent.message_id, 3)
    assert message["subject"] == sent.subject
    assert lines(message["text"]) == lines(sent.text)
    assert lines(message["html"]) == lines(sent.html)
    assert message["ics"] == sent.calendar.content
    assert message["headers"]["Auto-Submitted"] == "auto-generated"
    assert message["headers"]["To"] == "Zoë Łukasiewicz <zoe@example.com>"
    assert message["headers"]["From"] == "Pitstop <bookings@pitstop.example>"


@pytest.mark.parametrize(
    ("kind", "method"), [(NoticeKind.CONFIRMATION, "REQUEST"), (NoticeKind.CANCELLATION, "CANCEL")]
)
async def test_the_invite_is_where_mail_programs_look_for_it(sink: Sink, kind: NoticeKind, method: str) -> None:
    sent = LetterWriter(sink.settings, clock=lambda: NOW).write(notice(kind))
    await SmtpMailer(sink.settings).send(sent, attempt=1)
    message = await arrived(sink)
    assert message.get_content_type() == "multipart/mixed"
    alternatives, attachment = message.iter_parts()
    text, html, calendar = alternatives.iter_parts()
    assert alternatives.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in (text, html)] == ["text/plain", "text/html"]
    assert calendar.get_content_type() == "text/calendar"
    assert dict(calendar["Content-Type"].params) == {"charset": "UTF-8", "method": method}
    assert calendar.get_content_disposition() is None
    assert (attachment.get_content_disposition(), attachment.get_filename()) == ("attachment", "invite.ics")
    assert attachment.get_content() == calendar.get_payload(decode=True)
    assert f"METHOD:{method}".encode() in attachment.get_content()


async def test_a_mail_without_an_invite_is_text_and_html(sink: Sink) -> None:
    await SmtpMailer(sink.settings).send(mail(), attempt=1)
    message = await arrived(sink)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ann Lee", "Ann Lee"),
        ('Müller, "Jörg" <boss@example.com>; x@y.z', "Müller Jörg boss example.com x y.z"),
        ("渡辺ジョーンズ・ダニエル太郎" * 8 + "終", "渡辺ジョーンズ・ダニエル太郎" * 8 + "終"),
        ("=?utf-8?q?a=0D=0ABcc:_rival?=", "= ?utf-8?q?a=0D=0ABcc _rival?="),
        ("👩\u200d🔧 علی", "👩\u200d🔧 علی"),
    ],
)
async def test_a_name_arrives_without_what_means_something_between_addresses(sink: Sink, name: str, shown: str) -> None:
    await SmtpMailer(sink.settings).send(mail(to_name=name, subject=name), attempt=1)
    (message,) = await sink.messages()
    assert message["subject"] == name.replace("=?", "= ?")
    assert message["headers"]["To"].replace('"', "") == f"{shown} <zoe@example.com>"


async def test_a_mail_to_nobody_in_particular_has_the_bare_address(sink: Sink) -> None:
    await SmtpMailer(sink.settings).send(mail(to_name=""), attempt=1)
    (message,) = await sink.messages()
    assert message["headers"]["To"] == "zoe@example.com"


FRAGMENTS = [
    "é",
    "Bob",
    ",",
    '"',
    "<x@y.org>",
    " ",
    "渡辺",
    "=?utf-8?q?a=0d=0ab?=",
    ";",
    "(",
    "\\",
    ".",
    "x" * 30,
    "\r\n",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join) | st.text())
def test_no_name_adds_an_address_or_a_header(name: str) -> None:
    """Also none so long that it is folded: there Python's own quoting has gaps."""
    written = mime_message(mail(to_name=name, subject=name), Settings(), 1, NOW).as_bytes()
    read = email.message_from_bytes(written)
    assert [address for _, address in getaddresses([unfolded(read["To"])])] == ["zoe@example.com"]
    assert read.keys() == HEADERS
    assert max(map(len, written.split(b"\r\n"))) <= 998


async def test_nobody_adds_a_header(sink: Sink) -> None:
    evil = f"Ann{CONTROLS}\r\nBcc: rival@example.com\r\n\r\n<p>body</p>"
    letter = LetterWriter(sink.settings).write(notice(NoticeKind.REMINDER, video(customer_name=evil)))
    for sent in (mail(to_name=evil, subject=evil, text=f"{evil}\r\n.\r\nMAIL FROM:<a@b.c>\r\n"), letter):
        await sink.call("DELETE", "/api/messages")
        await SmtpMailer(sink.settings).send(sent, attempt=1)
        message = await arrived(sink)
        assert message["Bcc"] is None
        assert [address.addr_spec for address in message["To"].addresses] == ["zoe@example.com"]
        assert "Bcc rival example.com" in " ".join(message["To"].addresses[0].display_name.split())


@pytest.mark.parametrize(
    "address",
    [
        "zoe@example.com\r\nBcc: rival@example.com",
        "zoe@example.com>\r\nRCPT TO:<rival@example.com",
        "zoe@example.com, rival@example.com",
        "Zoe <zoe@example.com>",
        "zoe@exam\x00ple.com",
        "zoe",
        "@example.com",
        "zoe@" + "a" * 70 + ".com",
        "",
    ],
)
async def test_a_bad_address_is_refused_for_good_before_anything_is_sent(sink: Sink, address: str) -> None:
    with pytest.raises(MailNotAccepted) as refusal:
        await SmtpMailer(sink.settings).send(mail(to_address=address), attempt=1)
    assert refusal.value.permanent
    assert await sink.messages() == []


async def test_a_bad_message_id_is_refused_for_good(sink: Sink) -> None:
    with pytest.raises(MailNotAccepted) as refusal:
        await SmtpMailer(sink.settings).send(mail(message_id="<a@b>\r\nBcc: rival@example.com"), attempt=1)
    assert refusal.value.permanent


async def test_an_international_address_is_written_to(sink: Sink) -> None:
    await SmtpMailer(sink.settings).send(mail(to_address="zoë@bücher.example"), attempt=1)
    (message,) = await sink.messages()
    assert message["to"] == "zoë@xn--bcher-kva.example"


def test_a_domain_goes_out_in_ascii() -> None:
    assert envelope_address("zoe@bücher.example") == "zoe@xn--bcher-kva.example"
