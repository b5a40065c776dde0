"""Sends the webhooks: signed as Stripe signs them (docs page "Webhooks", "Verify signatures manually"), until a 2xx."""

import asyncio
import hashlib
import hmac
import json
import sqlite3
import time
from contextlib import suppress

from pitstop.devstack.sqlite_file import transaction
from pitstop.devstack.stripe_server.config import Config, Endpoint
from pitstop.devstack.stripe_server.errors import Json
from pitstop.devstack.stripe_server.outbox import Delivery, Outbox
from pitstop.devstack.stripe_server.rules import Rules
from pitstop.devstack.stripe_server.sender import NotSent, post
from pitstop.devstack.stripe_server.storage import Objects

MOST_AT_ONCE = 64


def signature(secret: str, payload: bytes, at: int) -> str:
    """The header `Stripe-Signature`: HMAC-SHA256 over `{at}.{payload}`."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Dispatcher:
    """Runs beside the API. What is to be sent is in the database, so it goes on where a killed process stopped; an
    event whose 2xx was not recorded any more goes out again, as with Stripe."""

    def __init__(
        self, config: Config, database: sqlite3.Connection, stock: Objects, outbox: Outbox, rules: Rules
    ) -> None:
        self._config, self._database = config, database
        self._objects, self._outbox, self._rules = stock, outbox, rules
        self._woken = asyncio.Event()
        self._sending: dict[int, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """Something may be due."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._woken.clear()
                now = time.time()
                self._start_due(now)
                await self._sleep(now)
        finally:
            for task in self._sending.values():
                task.cancel()

    def _start_due(self, now: float) -> None:
        for delivery in self._outbox.due(now, MOST_AT_ONCE + len(self._sending)):
            if delivery["seq"] not in self._sending and len(self._sending) < MOST_AT_ONCE:
                task = asyncio.create_task(self._send(delivery))
                self._sending[delivery["seq"]] = task

    async def _sleep(self, now: float) -> None:
        """Until woken, or until the first delivery that was not due at `now` is."""
        due = self._outbox.next_due(now)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(due - time.time(), 0)):
                await self._woken.wait()

    async def _send(self, delivery: Delivery) -> None:
        try:
            attempt = await self.post(delivery["event"], delivery["endpoint"])
            state, due = self._verdict(delivery, attempt)
            with transaction(self._database):
                self._outbox.attempted(delivery, attempt, state, due)
        finally:
            del self._sending[delivery["seq"]]
            self.wake()

    def _verdict(self, delivery: Delivery, attempt: Json) -> tuple[str, float]:
        now = time.time()
        if attempt["status"] is not None and 200 <= attempt["status"] < 300:
            return "delivered", now
        if now - delivery["created"] > self._config.retries.give_up_after:
            return "failed", now
        return "pending", now + self._config.retries.delay(delivery["failures"] + 1)

    async def post(self, event: str, endpoint: str | None) -> Json:
        """Sends the event once. Answers `at`, `status` (None without an answer) and `error`."""
        payload = json.dumps(self._objects.get("event", event)).encode()
        target, at = self._target(endpoint), time.time()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(target.secret, payload, int(at)),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            status = await post(target.url, payload, headers, self._config.webhook_timeout)
        except NotSent as error:
            return {"at": at, "status": None, "error": str(error)}
        return {"at": at, "status": status, "error": None}

    def _target(self, endpoint: str | None) -> Endpoint:
        """A removed endpoint's deliveries are withdrawn; one in flight meanwhile falls to the default one."""
        rule = self._rules.get(endpoint) if endpoint else None
        return Endpoint(rule["url"], rule["secret"]) if rule else self._config.default_endpoint
