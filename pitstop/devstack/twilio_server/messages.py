"""Sending a message, as Twilio checks it: magic numbers, opt-outs, and the answers that these give."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

import phonenumbers

from pitstop.devstack.twilio_server.config import API_VERSION
from pitstop.devstack.twilio_server.errors import Json, TwilioError
from pitstop.devstack.twilio_server.storage import OptOuts
from pitstop.domain.text_length import parts

_LONGEST = 1600
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
# https://www.twilio.com/docs/iam/test-credentials: what a message to, or from, a magic number gets.
_MAGIC_TO = {
    "+15005550001": (21211, "Invalid 'To' Phone Number: {number}"),
    "+15005550002": (21612, "The message From/To pair violates a blacklist rule or cannot be routed: {number}"),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region of {number}"),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number {number} is not a valid mobile number"),
}
_MAGIC_FROM = {
    "+15005550001": (21212, "Invalid From Number (caller ID): {number}"),
    "+15005550007": (21606, "The 'From' phone number provided ({number}) is not a valid message-capable number"),
    "+15005550008": (21611, "This 'From' number has exceeded the maximum number of queued messages"),
}
# Of our own, fictional ones: what becomes of a message to such a number. Twilio has none for that.
OUTCOMES: dict[str, tuple[str, int | None]] = {
    "+14165550190": ("undelivered", 30003),
    "+14165550191": ("failed", 30006),
    "+14165550192": ("sent", None),
}
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})


def rfc_2822() -> str:
    """This moment as the API writes it, whole seconds in UTC."""
    return format_datetime(datetime.now(UTC))


def check(params: Mapping[str, str], own_number: str, opt_outs: OptOuts) -> None:
    """Raises `TwilioError` for what Twilio refuses, in the order in which it looks."""
    to, sender, service = params.get("To", ""), params.get("From", ""), params.get("MessagingServiceSid", "")
    if not to:
        raise TwilioError(400, 21604, "A 'To' phone number is required.")
    if not sender and not service:
        raise TwilioError(400, 21603, "A 'From' phone number is required.")
    _check_body(params.get("Body", ""))
    _check_callback(params.get("StatusCallback"))
    for number, magic in ((sender, _MAGIC_FROM), (to, _MAGIC_TO)):
        if number in magic:
            code, message = magic[number]
            raise TwilioError(400, code, message.format(number=number))
    if not _is_number(to):
        raise TwilioError(400, 21211, f"Invalid 'To' Phone Number: {to}")
    if sender and sender != own_number:
        raise TwilioError(400, 21606, f"The 'From' phone number provided ({sender}) is not yours")
    if to in opt_outs:
        raise TwilioError(400, 21610, "Attempt to send to unsubscribed recipient")


def _check_body(body: str) -> None:
    if not body:
        raise TwilioError(400, 21602, "Message body is required.")
    if len(body) > _LONGEST:
        raise TwilioError(400, 21617, "The concatenated message body exceeds the 1600 character limit.")


def _check_callback(url: str | None) -> None:
    parts_of_url = urlsplit(url or "https://none")
    if parts_of_url.scheme not in ("http", "https") or not parts_of_url.hostname:
        raise TwilioError(400, 21609, f"The StatusCallback URL {url} is not a valid URL.")


def _is_number(number: str) -> bool:
    return _E164.fullmatch(number) is not None and phonenumbers.is_possible_number(phonenumbers.parse(number))


def new_message(account: str, params: Mapping[str, str], own_number: str, *, inbound: bool = False) -> Json:
    """The resource as the API shows it: just taken in, or just received."""
    sid, now = f"SM{uuid.uuid4().hex}", rfc_2822()
    return {
        "account_sid": account,
        "api_version": API_VERSION,
        "body": params["Body"],
        "date_created": now,
        "date_sent": now if inbound else None,
        "date_updated": now,
        "direction": "inbound" if inbound else "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": params.get("From") or own_number,
        "messaging_service_sid": params.get("MessagingServiceSid"),
        "num_media": "0",
        "num_segments": str(parts(params["Body"])),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "received" if inbound else "queued",
        "subresource_uris": {"media": f"/{API_VERSION}/Accounts/{account}/Messages/{sid}/Media.json"},
        "to": params["To"],
        "uri": f"/{API_VERSION}/Accounts/{account}/Messages/{sid}.json",
    }
