"""`/2010-04-01`: takes a call through authentication, faults and its operation."""

import asyncio
import base64
import binascii
import hmac
import re
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pitstop.devstack.sqlite_file import transaction
from pitstop.devstack.twilio_server.config import API_VERSION, Config
from pitstop.devstack.twilio_server.delivery import Deliveries
from pitstop.devstack.twilio_server.errors import (
    Json,
    TwilioError,
    internal,
    not_found,
    too_many,
    unauthenticated,
)
from pitstop.devstack.twilio_server.messages import OUTCOMES, check, new_message
from pitstop.devstack.twilio_server.storage import Calls, Messages, OptOuts, Rules

_PATH = re.compile(rf"/{API_VERSION}/Accounts/(AC[0-9a-f]{{32}})/Messages(?:/(SM[0-9a-f]{{32}}))?\.json")
_DEFAULT_PAGE, _LONGEST_PAGE = 50, 1000


@dataclass(frozen=True, slots=True)
class Parts:
    """What the doors of the server share."""

    config: Config
    database: sqlite3.Connection
    messages: Messages
    opt_outs: OptOuts
    calls: Calls
    rules: Rules
    deliveries: Deliveries


class Api:
    """The Messages resource."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __call__(self, request: Request) -> Response:
        params = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
        params |= dict(request.query_params)
        seq = self._parts.calls.received(request.method, request.url.path, params)
        fault: Json | None = None
        try:
            sid = self._resource(request)
            fault = self._parts.rules.take("fault", params.get("To")) if request.method == "POST" else None
            status, body = await self._around(request, sid, params, fault)
        except TwilioError as error:
            status, body = error.status, error.body
        self._parts.calls.answered(seq, status, fault["kind"] if fault else None)
        return JSONResponse(body, status)

    def _resource(self, request: Request) -> str | None:
        """The message's id in the path, if it names one."""
        config, path = self._parts.config, request.url.path
        found = _PATH.fullmatch(path)
        if not _is_authentic(config, request.headers.get("authorization", "")):
            raise unauthenticated()
        if found is None or found[1] != config.account_sid:
            raise not_found(path)
        return found[2]

    async def _around(
        self, request: Request, sid: str | None, params: dict[str, str], fault: Json | None
    ) -> tuple[int, Json]:
        """The operation with what a fault does before or after it."""
        kind, seconds = (fault["kind"], fault["seconds"]) if fault else (None, 0.0)
        if kind == "error_500":
            raise internal()
        if kind == "error_429":
            raise too_many()
        if kind == "delay":
            await _keep_waiting(request, seconds)
        outcome = self._operate(request, sid, params)
        if kind == "timeout_after":
            await _keep_waiting(request, seconds)
        if kind == "error_after":
            raise internal()
        return outcome

    def _operate(self, request: Request, sid: str | None, params: dict[str, str]) -> tuple[int, Json]:
        if request.method == "POST" and sid is None:
            return 201, self._send(params)
        if request.method == "GET" and sid is not None:
            with suppress(KeyError):
                return 200, self._parts.messages.get(sid)
            raise not_found(request.url.path)
        if request.method == "GET":
            return 200, self._page(request, params)
        raise TwilioError(405, 20004, "Method not allowed")

    def _send(self, params: dict[str, str]) -> Json:
        parts = self._parts
        check(params, parts.config.number, parts.opt_outs)
        message = new_message(parts.config.account_sid, params, parts.config.number)
        with transaction(parts.database):
            outcome = parts.rules.take("outcome", message["to"])
            end = (outcome["status"], outcome["code"]) if outcome else OUTCOMES.get(message["to"], ("delivered", None))
            parts.messages.add(message, params.get("StatusCallback"))
            parts.deliveries.plan(message["sid"], end, parts.rules.take("callback", message["to"]))
        return message

    def _page(self, request: Request, params: dict[str, str]) -> Json:
        """Newest first, a page at a time."""
        size = max(1, min(int(params.get("PageSize", _DEFAULT_PAGE)), _LONGEST_PAGE))
        page = max(0, int(params.get("Page", 0)))
        found = self._parts.messages.listing(params.get("To"), params.get("From"), size + 1, page * size)
        path = request.url.path
        following = str(request.url.include_query_params(Page=page + 1)) if len(found) > size else None
        base = str(request.base_url).rstrip("/")
        return {
            "messages": found[:size],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + len(found[:size]) - 1,
            "uri": path,
            "first_page_uri": path,
            "previous_page_uri": None,
            "next_page_uri": following.removeprefix(base) if following else None,
        }


async def _keep_waiting(request: Request, seconds: float) -> None:
    """Waits, but no longer than the client does."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass


def _is_authentic(config: Config, authorization: str) -> bool:
    """HTTP basic, with the account and its token."""
    scheme, _, value = authorization.partition(" ")
    try:
        given = base64.b64decode(value, validate=True) if scheme.lower() == "basic" else b""
    except binascii.Error:
        given = b""
    return hmac.compare_digest(given, f"{config.account_sid}:{config.auth_token}".encode())
