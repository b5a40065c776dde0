"""Faults on request: what goes wrong around a call, before or after it acts."""

import asyncio
from collections.abc import Awaitable, Callable

from pitstop.devstack.stripe_server.errors import Answer, Json, internal_error, rate_limited
from pitstop.devstack.stripe_server.rules import Rules, covers
from pitstop.devstack.stripe_server.storage import Objects

Wait = Callable[[float], Awaitable[None]]


class Faults:
    """The first fault that matches a call, in the order they were asked for, is used up by one."""

    def __init__(self, rules: Rules, objects: Objects) -> None:
        self._rules, self._objects = rules, objects

    def take(self, operation: str, identifier: str, params: Json) -> Json | None:
        faults = self._rules.listing("fault")
        if not faults:
            return None
        intent, metadata = self._subject(identifier, params)
        for fault in faults:
            if fault["match"] not in ("any", operation) or fault["payment_intent"] not in (None, intent):
                continue
            if covers(fault["metadata"], metadata):
                self._rules.use(fault["id"])
                return fault
        return None

    def _subject(self, identifier: str, params: Json) -> tuple[str | None, Json]:
        """The payment that a call is about, and its metadata with those of the call and of the object in its path."""
        given = params.get("metadata")
        intent = params.get("payment_intent") or self._intent_of(identifier or str(params.get("charge", "")))
        known = self._objects.metadata_of(str(intent)) | self._objects.metadata_of(identifier)
        return intent, known | (given if isinstance(given, dict) else {})

    def _intent_of(self, identifier: str) -> str | None:
        if identifier.startswith("pi_"):
            return identifier
        found = self._objects.get("charge", identifier) or self._objects.get("refund", identifier)
        return str(found["payment_intent"]) if found else None


async def before(fault: Json | None) -> Answer | None:
    """An answer in place of acting, or None to go on. A delayed call acts even if its client has left meanwhile."""
    kind = fault and fault["kind"]
    if fault is not None and kind == "delay":
        await asyncio.sleep(fault["seconds"])
    if kind == "error_500":
        return internal_error().answer
    if kind == "error_429":
        return rate_limited().answer
    return None


async def after(fault: Json | None, answer: Answer, wait: Wait) -> Answer:
    """The call has acted and its answer is kept for its key; what the client gets of it."""
    kind = fault and fault["kind"]
    if fault is not None and kind == "timeout_after":
        await wait(fault["seconds"])
    return internal_error().answer if kind == "error_after" else answer
