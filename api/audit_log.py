"""Who did what: each request gets an id and an origin, and refused ones an entry in the audit log."""

import logging
import time
from collections import Counter
from dataclasses import replace
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.addresses import address_of
from api.composition import Rooms
from pitstop.domain.audit_log import Action, Entry, Outcome
from pitstop.domain.caller import NOBODY, Caller, Origin
from pitstop.gateways.pseudonyms import Pseudonyms
from pitstop.settings import Settings

_log = logging.getLogger("pitstop.audit")
_REFUSALS = (401, 403, 404)
_WINDOW_SECONDS = 60.0
_OF_ONE_CALLER, _OF_ALL = 10, 300
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Refusals:
    """Which refusals are worth an entry: some of each caller, some of all; the rest are counted in the next window.

    A scanner must not be able to fill the log: it cannot be emptied. Counted in each process by itself.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._of: Counter[str] = Counter()
        self._not_told = 0

    def admit(self, whose: str) -> int | None:
        """How many have not been told since the last entry, if this one is to be told; None if not."""
        if time.monotonic() - self._began > _WINDOW_SECONDS:
            self._began, self._of = time.monotonic(), Counter()
        if self._of.total() >= _OF_ALL or self._of[whose] >= _OF_ONE_CALLER:
            self._not_told += 1
            return None
        self._of[whose] += 1
        untold, self._not_told = self._not_told, 0
        return untold


class Audited:
    """ASGI middleware. The id goes out as `X-Request-ID`; with it an operator finds the entries of a request."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._pseudonyms = Pseudonyms(settings)
        self._refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = address_of(Request(scope), self._settings)
        origin = Origin(self._pseudonyms.of("audit-address", str(address)).hex(), uuid4().hex)
        scope.setdefault("state", {})["origin"] = origin
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = str(origin.request_id)
            await send(message)

        await self._app(scope, receive, sending)
        if status in _REFUSALS and "route" in scope:
            await self._note(scope, status, origin)

    async def _note(self, scope: Scope, status: int, origin: Origin) -> None:
        caller: Caller = scope["state"].get("caller", replace(NOBODY, origin=origin))
        untold = self._refusals.admit(caller.subject or str(origin.address))
        if untold is None:
            return
        rooms = cast(Rooms, scope["app"].state.rooms)
        try:
            await rooms.audit.note(caller, _refused(scope, status, untold))
        except _AWAY as error:
            # The answer has gone out: that the log is away changes nothing for whoever was refused.
            _log.warning("a refusal (%d) is not in the audit log: %s", status, type(error).__name__)


def _refused(scope: Scope, status: int, untold: int) -> Entry:
    detail: dict[str, Any] = {"status": status, "method": scope["method"], "route": scope["route"].path}
    if untold:
        detail["not_told_before"] = untold
    return Entry(Action.REQUEST, "request", _named(scope), Outcome.REFUSED, detail)


def _named(scope: Scope) -> str | None:
    """The id in the path, if it is one: what else somebody writes there does not get in."""
    for value in scope.get("path_params", {}).values():
        try:
            return str(UUID(str(value)))
        except ValueError:
            continue
    return None
