"""`/v1`: takes a call through authentication, idempotency, faults and its operation.

The effect, the events it causes and the answer kept for its Idempotency-Key are one transaction. As Stripe documents
("Idempotent requests"), answers given once an operation has begun are kept, also refusals; those given before (401,
409, 429, malformed parameters, and the 500 of a fault that hits before acting) are not.
"""

import asyncio
import json
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pitstop.devstack.sqlite_file import transaction
from pitstop.devstack.stripe_server import faults, operations, reading
from pitstop.devstack.stripe_server.access import is_browser, refuse_browser
from pitstop.devstack.stripe_server.call import Call
from pitstop.devstack.stripe_server.config import API_VERSION, Config
from pitstop.devstack.stripe_server.dispatch import Dispatcher
from pitstop.devstack.stripe_server.errors import Answer, Json, StripeError, unknown_url
from pitstop.devstack.stripe_server.faults import Faults
from pitstop.devstack.stripe_server.forms import parse_form
from pitstop.devstack.stripe_server.objects import new_id
from pitstop.devstack.stripe_server.operations import Operation
from pitstop.devstack.stripe_server.outbox import Outbox
from pitstop.devstack.stripe_server.storage import Calls, Objects


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A call as it came in. `key` is its Idempotency-Key, for calls that write; `credential` an API key given as the
    parameter `key`, which is not among `raw`."""

    request: Request
    request_id: str
    raw: Json
    key: str | None
    credential: str | None

    @property
    def text(self) -> str:
        """What must be the same when its key comes again."""
        return f"{self.request.method} {self.request.url.path} {json.dumps(self.raw, sort_keys=True)}"

    async def keep_waiting(self, seconds: float) -> None:
        """Waits, but no longer than the client does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (await self.request.receive())["type"] != "http.disconnect":
                    pass


@dataclass(slots=True)
class _Outcome:
    """What became of a call. `original` is the id of the request that an answer was first given to."""

    answer: Answer
    original: str | None = None
    fault: str | None = None


class Api:
    """The `/v1` endpoint."""

    def __init__(
        self, config: Config, database: sqlite3.Connection, calls: Calls, stock: Objects, outbox: Outbox, faulty: Faults
    ) -> None:
        self._config, self._database, self._calls = config, database, calls
        self._objects, self._outbox, self._faults = stock, outbox, faulty
        self._in_progress: set[str] = set()

    async def __call__(self, request: Request, dispatcher: Dispatcher) -> Response:
        arrival = await _arrival(request)
        found = operations.find(request.method, request.url.path)
        name = found[0].name if found else None
        self._calls.received(arrival.request_id, request.method, request.url.path, name, arrival.key, arrival.raw)
        try:
            outcome = await self._serve(arrival, found)
        except StripeError as error:
            outcome = _Outcome(error.answer)
        dispatcher.wake()
        replayed = outcome.original is not None
        self._calls.answered(arrival.request_id, outcome.answer.status, replayed=replayed, fault=outcome.fault)
        return _response(arrival, outcome)

    async def _serve(self, arrival: _Arrival, found: tuple[Operation, str] | None) -> _Outcome:
        request = arrival.request
        browser = is_browser(self._config, request.headers.get("authorization"), arrival.credential)
        if found is None:
            raise unknown_url(request.method, request.url.path)
        operation, identifier = found
        if browser and not operation.browser:
            raise refuse_browser()
        call = Call(
            objects=self._objects,
            outbox=self._outbox,
            params=arrival.raw,
            identifier=identifier,
            request_id=arrival.request_id,
            idempotency_key=arrival.key,
            browser=browser,
            server_url=str(request.base_url).rstrip("/"),
        )
        return await self._around(arrival, operation, call)

    async def _around(self, arrival: _Arrival, operation: Operation, call: Call) -> _Outcome:
        """The call with what a fault adds to it. Its key is taken from the start until it has acted."""
        self._take_key(arrival.key)
        try:
            fault = self._faults.take(operation.name, call.identifier, arrival.raw)
            kind = str(fault["kind"]) if fault else None
            instead = await faults.before(fault)
            outcome = _Outcome(instead, fault=kind) if instead else self._once(arrival, operation, call)
        finally:
            self._in_progress.discard(arrival.key or "")
        if instead is None:
            outcome.fault = kind
            outcome.answer = await faults.after(fault, outcome.answer, arrival.keep_waiting)
        return outcome

    def _take_key(self, key: str | None) -> None:
        if key is None:
            return
        if len(key) > 255:
            raise StripeError(400, "Idempotency keys are up to 255 characters long.", type_="idempotency_error")
        if key in self._in_progress:
            message = f"There is currently another in-progress request using this Idempotent Key: {key}."
            raise StripeError(409, message, type_="idempotency_error", code="idempotency_key_in_use")
        self._in_progress.add(key)

    def _once(self, arrival: _Arrival, operation: Operation, call: Call) -> _Outcome:
        """The first call of a key acts, later ones get its answer."""
        kept = self._calls.remembered(arrival.key) if arrival.key else None
        if kept is None:
            return _Outcome(self._act(arrival, operation, call))
        if kept["request"] != arrival.text:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try"
                f" using a key other than '{arrival.key}' if you meant to execute a different request."
            )
            raise StripeError(400, message, type_="idempotency_error")
        return _Outcome(Answer(kept["status"], json.loads(kept["body"])), original=kept["request_id"])

    def _act(self, arrival: _Arrival, operation: Operation, call: Call) -> Answer:
        call = replace(call, params=operation.takes.read(arrival.raw))
        with transaction(self._database):
            try:
                answer = operation.perform(call)
            except StripeError as error:
                answer = error.answer
            if answer.status == 200:
                answer = Answer(200, reading.expand(self._objects, answer.body, call.params.get("expand", [])))
            if call.browser:
                answer = Answer(answer.status, reading.for_browser(answer.body))
            if arrival.key:
                self._calls.remember(arrival.key, arrival.text, arrival.request_id, answer)
        return answer


async def _arrival(request: Request) -> _Arrival:
    body = (await request.body()).decode(errors="replace")
    pairs = parse_qsl(request.url.query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True)
    try:
        raw = parse_form(pairs)
    except StripeError:
        raw = {name: value for name, value in pairs if "[" not in name}
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    credential = raw.pop("key", None)
    return _Arrival(request, new_id("req", 14), raw, key or None, credential if isinstance(credential, str) else None)


def _response(arrival: _Arrival, outcome: _Outcome) -> Response:
    headers = {"Request-Id": arrival.request_id, "Stripe-Version": API_VERSION} | outcome.answer.headers
    if arrival.key is not None:
        headers["Idempotency-Key"] = arrival.key
        headers["Original-Request"] = outcome.original or arrival.request_id
    if outcome.original is not None:
        headers["Idempotent-Replayed"] = "true"
    return JSONResponse(outcome.answer.body, outcome.answer.status, headers)
