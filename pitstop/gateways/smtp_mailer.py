"""Mails go out by SMTP (RFC 5321), one connection each, as MIME in which mail programs recognise an invite."""

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY

import aiosmtplib

from pitstop.gateways.wording import one_line
from pitstop.logs import redacted
from pitstop.ports import CalendarPart, MailNotAccepted, OutgoingMail
from pitstop.settings import Settings

GOODBYE_SECONDS = 1.0

# A dot-atom address (RFC 5322, 3.4.1), non-ASCII letters included (RFC 6531): it cannot end a header or a command.
_ADDRESS = re.compile(r"([^\s\x00-\x1f\x7f-\x9f()<>\[\]:;@\\,\"]+)@([^\s\x00-\x1f\x7f-\x9f()<>\[\]:;@\\,\"]+)")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>")
_NO_SPECIALS = str.maketrans(dict.fromkeys('()<>[]:;@\\,"', " "))
_TOO_LARGE = 552


class SmtpMailer:
    """The port `Mailer`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, mail: OutgoingMail, attempt: int) -> None:
        """Returns once the server has answered 250 to the message; what happens to the connection then is of no matter.

        `attempt` counts from 1 and is in the header `X-Pitstop-Attempt`. All of it takes `smtp_timeout_seconds` at
        most. Raises `MailNotAccepted`.
        """
        message = mime_message(mail, self._settings, attempt, datetime.now(UTC))
        client = self._client()
        try:
            async with asyncio.timeout(self._settings.smtp_timeout_seconds):
                await client.connect()
                await self._transmit(client, message, envelope_address(mail.to_address))
        except (aiosmtplib.SMTPException, OSError) as error:
            # Not `from error`: the server's own words would come along into logs and histories.
            raise _not_accepted(error, mail) from None
        else:
            await _say_goodbye(client)
        finally:
            client.close()

    async def _transmit(self, client: aiosmtplib.SMTP, message: EmailMessage, recipient: str) -> None:
        if not recipient.isascii():
            await client.ehlo()
            if not client.supports_extension("smtputf8"):
                raise MailNotAccepted("the mail server takes no address with non-ASCII letters", permanent=True)
        await client.send_message(message, sender=envelope_address(self._settings.mail_from), recipients=[recipient])

    def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            timeout=settings.smtp_timeout_seconds,
        )


def mime_message(mail: OutgoingMail, settings: Settings, attempt: int, date: datetime) -> EmailMessage:
    """The mail as multipart/mixed[multipart/alternative[text, HTML, calendar], invite.ics], or the inner part alone.

    The calendar is there twice: as the last alternative with its `method` (RFC 6047, 2.4), from which mail programs
    make an invite, and as an attachment for the others. The attachment is `application/ics`, as Gmail sends it, so that
    it is not taken for a second invite; Outlook looks for invites in the first part of multipart/mixed only
    (MS-STANOICAL on RFC 6047, 2.4). Names and subject are put on one line; a bad address or Message-ID raises a
    permanent `MailNotAccepted`.
    """
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        raise MailNotAccepted("the Message-ID is malformed", permanent=True)
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = _mailbox(settings.mail_from_name, settings.mail_from)
    message["To"] = _mailbox(mail.to_name, mail.to_address)
    message["Subject"] = _unencoded(one_line(mail.subject))
    message["Date"] = date
    message["Message-ID"] = mail.message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834, 5: answers such as "out of office" are not wanted
    message["X-Pitstop-Attempt"] = str(attempt)
    message.set_content(mail.text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", charset="utf-8", cte="quoted-printable")
    if mail.calendar is not None:
        _add_calendar(message, mail.calendar)
    return message


def _add_calendar(message: EmailMessage, calendar: CalendarPart) -> None:
    """Base64, as Exchange does it: line ends and non-ASCII names arrive as they are, whatever lies between."""
    method = {"method": one_line(calendar.method)}
    message.add_alternative(calendar.content, subtype="calendar", charset="UTF-8", cte="base64", params=method)
    message.add_attachment(
        calendar.content.encode(), maintype="application", subtype="ics", filename="invite.ics", cte="base64"
    )


def envelope_address(address: str) -> str:
    """The address as the SMTP envelope has it: the domain in ASCII (IDNA). A bad one raises a permanent refusal."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise MailNotAccepted("the mail address is malformed", permanent=True)
    try:
        return f"{parts[1]}@{parts[2].encode('idna').decode('ascii')}"
    except UnicodeError as error:
        raise MailNotAccepted("the mail address has an impossible domain", permanent=True) from error


def _mailbox(name: str, address: str) -> Address:
    """The address with its display name, without the specials of RFC 5322, 3.2.3.

    Quoting them is not enough: when Python folds a long name it can lose the quotes (python/cpython#80222, #121284).
    """
    local_part, _, domain = envelope_address(address).partition("@")
    return Address(" ".join(_unencoded(one_line(name)).translate(_NO_SPECIALS).split()), local_part, domain)


def _unencoded(text: str) -> str:
    """The text without what looks like an encoded word (RFC 2047): Python decodes it when the header is set."""
    return text.replace("=?", "= ?")


def _not_accepted(error: aiosmtplib.SMTPException | OSError, mail: OutgoingMail) -> MailNotAccepted:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    why = f"{type(error).__name__}: {_without_recipient(str(error), mail)}"
    return MailNotAccepted(why, permanent=_is_permanent(error))


def _without_recipient(answer: str, mail: OutgoingMail) -> str:
    """A mail server's answer with neither the recipient's address, in whole or in part, nor their name."""
    local_part = mail.to_address.partition("@")[0]
    for word in sorted({mail.to_address, local_part, mail.to_name, *mail.to_name.split()}, key=len, reverse=True):
        if len(word) > 1:
            answer = re.sub(re.escape(word), "<recipient>", answer, flags=re.IGNORECASE)
    return redacted(answer)


def _is_permanent(error: Exception) -> bool:
    """Whether a 5xx speaks of this recipient or message. One to the greeting, the login or MAIL FROM speaks of us."""
    if isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError):
        return 500 <= error.code < 600
    return isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code == _TOO_LARGE


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    """QUIT, for politeness: the mail is accepted already, so that no fault here may look like a refusal."""
    with suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=GOODBYE_SECONDS)
