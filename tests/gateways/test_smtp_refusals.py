"""Every way in which a mail server does not take a mail, told for what it is: for good or for now."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pitstop.gateways.smtp_mailer import SmtpMailer
from pitstop.ports import MailNotAccepted
from pitstop.settings import Settings
from tests.gateways.conftest import Sink, free_ports
from tests.gateways.samples import mail


@pytest.mark.parametrize(("kind", "permanent"), [("reject_4xx", False), ("reject_5xx", True)])
async def test_a_refused_recipient_is_told_for_good_or_for_now(sink: Sink, kind: str, permanent: bool) -> None:
    await sink.order(kind=kind, to="Zoe@example.com", times=2)
    mailer = SmtpMailer(sink.settings)
    await mailer.send(mail(to_address="other@example.com"), attempt=1)
    for attempt in (1, 2):
        with pytest.raises(MailNotAccepted) as refusal:
            await mailer.send(mail(), attempt)
        assert refusal.value.permanent is permanent
    await mailer.send(mail(), attempt=3)
    assert [(m["to"], m["attempt"]) for m in await sink.messages()] == [
        ("other@example.com", 1),
        ("zoe@example.com", 3),
    ]


async def test_an_answer_lost_after_acceptance_is_not_for_good_and_the_second_copy_is_recognisable(sink: Sink) -> None:
    await sink.order(kind="accept_then_drop_connection", times=1)
    mailer = SmtpMailer(sink.settings)
    with pytest.raises(MailNotAccepted) as refusal:
        await mailer.send(mail(), attempt=1)
    assert not refusal.value.permanent
    await mailer.send(mail(), attempt=2)
    messages = await sink.messages()
    assert [m["attempt"] for m in messages] == [1, 2]
    assert len({m["message_id"] for m in messages}) == 1


Dialogue = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def send_to(dialogue: Dialogue, patience: float = 2, address: str = "zoe@example.com") -> None:
    """Sends a mail to a server of this test's own, with `patience` seconds for all of it."""
    server = await asyncio.start_server(dialogue, "127.0.0.1", 0)
    settings = Settings(smtp_port=server.sockets[0].getsockname()[1], smtp_timeout_seconds=patience)
    try:
        await SmtpMailer(settings).send(mail(to_address=address), attempt=1)
    finally:
        server.close()
        await asyncio.sleep(0.05)  # the dialogue sees the end of the connection


def scripted(*answers: str) -> Dialogue:
    """A server that answers each line in turn, the greeting first; after the last answer it says no more."""

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            writer.write(f"{answer}\r\n".encode())
            await (reader.readuntil(b"\r\n.\r\n") if answer.startswith("354") else reader.readline())
        await reader.read()
        writer.close()

    return dialogue


@pytest.mark.parametrize(
    ("answers", "permanent"),
    [
        (["554 no service here"], False),
        (["220 hello", "250 hello", "550 you may not send"], False),
        (["220 hello", "250 hello", "552 too large"], True),
        (["220 hello", "250 hello", "250 ok", "452 mailbox full"], False),
        (["220 hello", "250 hello", "250 ok", "550 nobody"], True),
        (["220 hello", "250 hello", "250 ok", "250 ok", "354 go on", "451 later"], False),
        (["220 hello", "250 hello", "250 ok", "250 ok", "354 go on", "554 spam"], True),
        (["220 hello", "250 hello", "250 ok", "250 ok", "554 no data"], True),
    ],
)
async def test_only_a_5xx_about_the_recipient_or_the_message_is_for_good(answers: list[str], permanent: bool) -> None:
    with pytest.raises(MailNotAccepted) as refusal:
        await send_to(scripted(*answers, "250 reset"))
    assert refusal.value.permanent is permanent


async def test_what_happens_after_acceptance_is_no_refusal() -> None:
    """The server falls silent after its 250: QUIT is never answered."""
    await send_to(scripted("220 hello", "250 hello", "250 ok", "250 ok", "354 go on", "250 kept"))


async def test_a_silent_server_costs_the_timeout_and_no_more() -> None:
    started = asyncio.get_running_loop().time()
    with pytest.raises(MailNotAccepted) as refusal:
        await send_to(scripted("220 hello"), patience=0.3)
    assert not refusal.value.permanent
    assert asyncio.get_running_loop().time() - started < 1.5


async def test_a_server_that_is_not_there_is_not_for_good() -> None:
    (port,) = free_ports(1)
    with pytest.raises(MailNotAccepted) as refusal:
        await SmtpMailer(Settings(smtp_port=port)).send(mail(), attempt=1)
    assert not refusal.value.permanent


async def test_an_international_address_at_a_server_that_takes_none_is_refused_for_good() -> None:
    with pytest.raises(MailNotAccepted) as refusal:
        await send_to(scripted("220 hello", "250 hello"), address="zoë@example.com")
    assert refusal.value.permanent
