"""Events and what is to be sent of them: written in the transaction of the call that caused them."""

import json
import sqlite3
import time

from pitstop.devstack.stripe_server.config import Endpoint
from pitstop.devstack.stripe_server.errors import Json
from pitstop.devstack.stripe_server.rules import Rules, covers
from pitstop.devstack.stripe_server.storage import Objects

Delivery = sqlite3.Row


class Outbox:
    """The deliveries. An event goes to each endpoint whose metadata it bears, else to the default one; the first
    webhook rule that it matches may drop, delay, multiply or hold it back."""

    def __init__(self, database: sqlite3.Connection, objects: Objects, rules: Rules, default: Endpoint) -> None:
        self._database, self._objects, self._rules, self._default = database, objects, rules, default

    def emit(self, event: Json) -> None:
        subject = event["data"]["object"]
        intent = subject["id"] if subject["object"] == "payment_intent" else subject.get("payment_intent")
        metadata = self._objects.metadata_of(intent or "") | subject["metadata"]
        self._objects.add_event(event, intent, metadata)
        endpoints = [rule["id"] for rule in self._rules.listing("endpoint") if covers(rule["metadata"], metadata)]
        if not endpoints and not self._default.wants(event["type"]):
            return
        mischief = self._mischief(event["type"], metadata)
        for endpoint in endpoints or [None]:
            self._plan(event["id"], endpoint, mischief)

    def _mischief(self, type_: str, metadata: Json) -> Json | None:
        for rule in self._rules.listing("webhook"):
            if rule["event_type"] in (None, type_) and covers(rule["metadata"], metadata):
                self._rules.use(rule["id"])
                return rule
        return None

    def _plan(self, event: str, endpoint: str | None, mischief: Json | None) -> None:
        rule = mischief or {"mode": None, "seconds": 0.0}
        if rule["mode"] == "drop":
            self._add(event, endpoint, state="dropped")
        elif rule["mode"] == "reorder":
            self._swap(event, endpoint, rule)
        else:
            for _ in range(rule["copies"] if rule["mode"] == "duplicate" else 1):
                self._add(event, endpoint, wait=rule["seconds"])

    def _swap(self, event: str, endpoint: str | None, rule: Json) -> None:
        """The first of two waits, at most `seconds`, for the second, which goes out before it."""
        query = "SELECT seq FROM deliveries WHERE held_by = ? AND endpoint IS ? AND state = 'pending'"
        held = self._database.execute(query, (rule["id"], endpoint)).fetchone()
        if held is None:
            self._add(event, endpoint, wait=rule["seconds"], held_by=rule["id"])
            return
        overtaker = self._add(event, endpoint)
        query = "UPDATE deliveries SET held_by = NULL, due = ?, behind = ? WHERE seq = ?"
        self._database.execute(query, (time.time(), overtaker, held["seq"]))

    def _add(
        self, event: str, endpoint: str | None, *, wait: float = 0, state: str = "pending", held_by: str | None = None
    ) -> int | None:
        return self._database.execute(
            "INSERT INTO deliveries (event, endpoint, state, created, due, held_by) VALUES (?, ?, ?, ?, ?, ?)",
            (event, endpoint, state, time.time(), time.time() + wait, held_by),
        ).lastrowid

    def due(self, now: float, limit: int) -> list[Delivery]:
        """Pending deliveries whose time has come by `now`, oldest first."""
        return self._database.execute(
            "SELECT * FROM deliveries AS d WHERE state = 'pending' AND due <= ? AND NOT EXISTS"
            " (SELECT 1 FROM deliveries AS ahead"
            "  WHERE ahead.seq = d.behind AND ahead.state = 'pending')"
            " ORDER BY due, seq LIMIT ?",
            (now, limit),
        ).fetchall()

    def next_due(self, now: float) -> float | None:
        """When the first one that is not due by `now` will be, in Unix seconds."""
        query = "SELECT min(due) AS due FROM deliveries WHERE state = 'pending' AND due > ?"
        row = self._database.execute(query, (now,)).fetchone()
        return None if row["due"] is None else float(row["due"])

    def attempted(self, delivery: Delivery, attempt: Json, state: str, due: float) -> None:
        """Records a try and what is to follow: `state` pending with the next `due`, or an end."""
        history = [*json.loads(delivery["history"]), attempt][-50:]
        failures = delivery["failures"] + (state != "delivered")
        self._database.execute(
            "UPDATE deliveries SET state = ?, due = ?, failures = ?, history = ? WHERE seq = ?",
            (state, due, failures, json.dumps(history), delivery["seq"]),
        )

    def sent_by_hand(self, event: str, endpoint: str | None, attempt: Json) -> None:
        state = "delivered" if attempt["status"] is not None and attempt["status"] < 300 else "failed"
        seq = self._add(event, endpoint, state=state)
        self._database.execute("UPDATE deliveries SET history = ? WHERE seq = ?", (json.dumps([attempt]), seq))

    def withdraw(self, endpoint: str) -> None:
        """An endpoint is gone: nothing more is sent to it."""
        query = "UPDATE deliveries SET state = 'dropped' WHERE endpoint = ? AND state = 'pending'"
        self._database.execute(query, (endpoint,))

    def listing(self, limit: int, intent: str | None = None, event: str | None = None) -> list[Json]:
        """The latest deliveries, oldest first, each with its event's type and payment."""
        rows = self._database.execute(
            "SELECT * FROM (SELECT d.*, o.type, o.payment_intent"
            " FROM deliveries AS d JOIN objects AS o ON o.id = d.event"
            " WHERE (? IS NULL OR o.payment_intent = ?) AND (? IS NULL OR d.event = ?) ORDER BY d.seq DESC LIMIT ?)"
            " ORDER BY seq",
            (intent, intent, event, event, limit),
        ).fetchall()
        return [dict(row) | {"history": json.loads(row["history"])} for row in rows]
