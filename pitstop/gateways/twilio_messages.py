"""Text messages by Twilio, through its official client."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from pitstop.ports import TextNotAccepted
from pitstop.settings import Settings

# https://www.twilio.com/docs/api/errors: what Twilio says of this number or this text, and will say again.
_OPTED_OUT = 21610
_PERMANENT = frozenset({21211, 21214, 21217, 21407, 21408, 21602, 21604, _OPTED_OUT, 21612, 21614, 21617, 30450})
_UNNAMED = "Twilio"
# Twilio's dates have whole seconds, and its clock may be behind the database's.
_CLOCKS_APART = timedelta(seconds=5)
# How many of a number's latest messages are looked through. One customer gets a handful for a booking.
_LATEST = 100


class _Http(AsyncHttpClient):  # type: ignore[misc]
    """The official client's transport, over httpx.

    Its own asynchronous one knows no time limit, and writes telephone numbers to the log.
    """

    def __init__(self, http: httpx.AsyncClient, timeout: float) -> None:
        super().__init__(logging.getLogger("pitstop.twilio"), True, timeout)
        self._http = http

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the client's own signature
        allow_redirects: bool = False,
    ) -> Response:
        wanted = {name: value for name, value in (params or {}).items() if value is not None}
        answer = await self._http.request(
            method,
            uri,
            params=wanted,
            data=data,
            headers=headers,
            auth=auth,
            timeout=timeout or self.timeout,
            follow_redirects=allow_redirects,
        )
        return Response(answer.status_code, answer.text, answer.headers)


@asynccontextmanager
async def twilio_messages(settings: Settings) -> AsyncIterator["TwilioMessages | None"]:
    """For the life of a process; None where text messages are not set up."""
    if not settings.sends_texts:
        yield None
        return
    async with httpx.AsyncClient() as http:
        yield TwilioMessages(settings, http)


class TwilioMessages:
    """Implements the port `TextMessenger`.

    Twilio has no idempotency keys: whether a message was taken whose answer was lost can only be looked up, by number,
    text and time (Twilio shows no callback address again, which bears our key). So a message is claimed in the database
    before it is sent and marked after, and whoever claims it for another try asks `sent_since` first. What is left: a
    message that Twilio has taken and does not list yet is sent twice.
    """

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        token = settings.twilio_auth_token.get_secret_value() if settings.twilio_auth_token else ""
        transport = _Http(http, settings.twilio_timeout_seconds)
        # An empty environment: the client would take its edge and region from variables of its own.
        self._client = Client(settings.twilio_account_sid, token, http_client=transport, environment={"": ""})
        if settings.twilio_base_url is not None:
            self._client.api.base_url = str(settings.twilio_base_url).rstrip("/")
        sender = settings.twilio_from or ""
        self._sender = {"messaging_service_sid" if sender.startswith("MG") else "from_": sender}
        self._callback = f"{settings.public_url.rstrip('/')}/webhooks/twilio"

    async def send(self, to: str, body: str, key: str) -> str:
        callback = f"{self._callback}?notice={key}"
        try:
            message = await self._client.messages.create_async(
                to=to, body=body, status_callback=callback, **self._sender
            )
        except (TwilioException, httpx.HTTPError, ValueError) as error:
            raise _not_accepted(error) from error
        return str(message.sid)

    async def sent_since(self, to: str, body: str, since: datetime) -> list[str]:
        try:
            messages = await self._client.messages.list_async(to=to, limit=_LATEST)
        except (TwilioException, httpx.HTTPError, ValueError) as error:
            raise _not_accepted(error) from error
        earliest = since - _CLOCKS_APART
        return [
            str(message.sid)
            for message in reversed(messages)
            if message.body == body and message.date_created >= earliest and message.direction != "inbound"
        ]


def _not_accepted(error: Exception) -> TextNotAccepted:
    """Without Twilio's words, which may have the number in them: the code says it all."""
    if isinstance(error, TwilioRestException):
        said = f"{_UNNAMED} answered {error.status} (code {error.code})"
        return TextNotAccepted(said, permanent=error.code in _PERMANENT, opted_out=error.code == _OPTED_OUT)
    return TextNotAccepted(f"{_UNNAMED} could not be asked: {type(error).__name__}", permanent=False)
