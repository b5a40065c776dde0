"""The objects, calls and idempotency records in SQLite. One connection, used from the event loop's thread only.

A transaction is synchronous, so calls take turns; what it wrote survives the death of the process (WAL).
"""

import json
import sqlite3
import time
from pathlib import Path

from pitstop.devstack.stripe_server.errors import Answer, Json

SCHEMA = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")


class Objects:
    """The API's objects, each a JSON document with the columns that lists filter by."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def save(self, body: Json) -> None:
        """Inserts or replaces the object by its id."""
        intent = body["id"] if body["object"] == "payment_intent" else body.get("payment_intent")
        self._write(body, intent, body.get("metadata", {}))

    def add_event(self, event: Json, intent: str | None, metadata: Json) -> None:
        self._write(event, intent, metadata)

    def _write(self, body: Json, intent: str | None, metadata: Json) -> None:
        self._database.execute(
            "INSERT INTO objects (id, kind, created, payment_intent, charge, type, metadata, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body, metadata = excluded.metadata",
            [
                *(body["id"], body["object"], body["created"], intent),
                *(body.get("charge"), body.get("type"), json.dumps(metadata), json.dumps(body)),
            ],
        )

    def get(self, kind: str, identifier: str) -> Json | None:
        query = "SELECT body FROM objects WHERE id = ? AND kind = ?"
        row = self._database.execute(query, (identifier, kind)).fetchone()
        return None if row is None else dict(json.loads(row["body"]))

    def metadata_of(self, identifier: str) -> Json:
        row = self._database.execute("SELECT metadata FROM objects WHERE id = ?", (identifier,)).fetchone()
        return {} if row is None else dict(json.loads(row["metadata"]))

    def page(
        self, kind: str, filters: dict[str, object], limit: int, cursor: tuple[str, str] | None = None
    ) -> list[Json]:
        """Up to `limit`, newest first. `filters`: `column operator` to value, columns and operators being ours.
        `cursor`: `starting_after` or `ending_before`, and an id; the nearest ones on that side."""
        conditions, values = ["kind = ?"], [kind, *filters.values()]
        conditions += [f"{condition} ?" for condition in filters]
        backwards = cursor is not None and cursor[0] == "ending_before"
        if cursor is not None:
            conditions.append(f"seq {'>' if backwards else '<'} (SELECT seq FROM objects WHERE id = ?)")  # noqa: S608 - our own words
            values.append(cursor[1])
        order = "ASC" if backwards else "DESC"
        query = f"SELECT body FROM objects WHERE {' AND '.join(conditions)} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - our own words
        rows = self._database.execute(query, [*values, limit]).fetchall()
        return [json.loads(row["body"]) for row in (reversed(rows) if backwards else rows)]


class Calls:
    """The calls received, and the answers that idempotency keys bring back."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def received(
        self, request_id: str, method: str, path: str, operation: str | None, key: str | None, params: Json
    ) -> None:
        self._database.execute(
            "INSERT INTO calls (at, request_id, method, path, operation, idempotency_key, params)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (time.time(), request_id, method, path, operation, key, json.dumps(params)),
        )

    def answered(self, request_id: str, status: int, *, replayed: bool, fault: str | None) -> None:
        query = "UPDATE calls SET status = ?, replayed = ?, fault = ? WHERE request_id = ?"
        self._database.execute(query, (status, replayed, fault, request_id))

    def listing(self, limit: int) -> list[Json]:
        """The latest, oldest first."""
        query = "SELECT * FROM (SELECT * FROM calls ORDER BY seq DESC LIMIT ?) ORDER BY seq"
        rows = self._database.execute(query, (limit,)).fetchall()
        return [dict(row) | {"params": json.loads(row["params"]), "replayed": bool(row["replayed"])} for row in rows]

    def remembered(self, key: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._database.execute("SELECT * FROM idempotency WHERE key = ?", (key,)).fetchone()
        return row

    def remember(self, key: str, request: str, request_id: str, answer: Answer) -> None:
        self._database.execute(
            "INSERT INTO idempotency (key, request, request_id, status, body) VALUES (?, ?, ?, ?, ?)",
            (key, request, request_id, answer.status, json.dumps(answer.body)),
        )
