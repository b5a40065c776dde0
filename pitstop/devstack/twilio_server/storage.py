"""Messages, what is to happen to them, and what was asked, in SQLite: it survives the death of the process (WAL).

One connection, used from the event loop's thread only; a transaction is synchronous, so calls take turns.
"""

import json
import sqlite3
import time
from pathlib import Path

from pitstop.devstack.twilio_server.errors import Json

SCHEMA = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")


class Messages:
    """The messages, each a JSON document as the API shows it."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, message: Json, status_callback: str | None) -> None:
        self._database.execute(
            "INSERT INTO messages (sid, recipient, sender, status_callback, body) VALUES (?, ?, ?, ?, ?)",
            (message["sid"], message["to"], message["from"], status_callback, json.dumps(message)),
        )

    def change(self, sid: str, **fields: object) -> Json:
        """Sets these fields and answers the whole."""
        message = self.get(sid) | fields
        self._database.execute("UPDATE messages SET body = ? WHERE sid = ?", (json.dumps(message), sid))
        return message

    def get(self, sid: str) -> Json:
        """KeyError when there is none."""
        row = self._database.execute("SELECT body FROM messages WHERE sid = ?", (sid,)).fetchone()
        if row is None:
            raise KeyError(sid)
        return dict(json.loads(row["body"]))

    def status_callback(self, sid: str) -> str | None:
        row = self._database.execute("SELECT status_callback FROM messages WHERE sid = ?", (sid,)).fetchone()
        return None if row is None else row["status_callback"]

    def listing(self, recipient: str | None, sender: str | None, limit: int, offset: int = 0) -> list[Json]:
        """Newest first."""
        query = (
            "SELECT body FROM messages WHERE (?1 IS NULL OR recipient = ?1) AND (?2 IS NULL OR sender = ?2)"
            " ORDER BY seq DESC LIMIT ?3 OFFSET ?4"
        )
        return [json.loads(row["body"]) for row in self._database.execute(query, (recipient, sender, limit, offset))]


class OptOuts:
    """The numbers that have replied STOP."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, number: str) -> None:
        self._database.execute("INSERT OR IGNORE INTO opt_outs (number) VALUES (?)", (number,))

    def remove(self, number: str) -> None:
        self._database.execute("DELETE FROM opt_outs WHERE number = ?", (number,))

    def __contains__(self, number: str) -> bool:
        return self._database.execute("SELECT 1 FROM opt_outs WHERE number = ?", (number,)).fetchone() is not None

    def listing(self) -> list[str]:
        return [row["number"] for row in self._database.execute("SELECT number FROM opt_outs ORDER BY number")]


class Calls:
    """The calls of the API, as they came."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def received(self, method: str, path: str, params: Json) -> int:
        query = "INSERT INTO calls (at, method, path, params) VALUES (?, ?, ?, ?)"
        seq = self._database.execute(query, (time.time(), method, path, json.dumps(params))).lastrowid
        return seq or 0

    def answered(self, seq: int, status: int, fault: str | None) -> None:
        self._database.execute("UPDATE calls SET status = ?, fault = ? WHERE seq = ?", (status, fault, seq))

    def listing(self, recipient: str | None, limit: int) -> list[Json]:
        """The latest, oldest first."""
        query = (
            "SELECT * FROM (SELECT * FROM calls WHERE ?1 IS NULL OR json_extract(params, '$.To') = ?1"
            " ORDER BY seq DESC LIMIT ?2) ORDER BY seq"
        )
        rows = self._database.execute(query, (recipient, limit)).fetchall()
        return [dict(row) | {"params": json.loads(row["params"])} for row in rows]


class Rules:
    """Rules by kind (`fault`, `callback`, `outcome`), oldest first, for one number or for all. `times`: they end."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, what: str, rule: Json) -> None:
        query = "INSERT INTO rules (what, recipient, remaining, body) VALUES (?, ?, ?, ?)"
        self._database.execute(query, (what, rule.get("to"), rule.get("times"), json.dumps(rule)))

    def take(self, what: str, recipient: str | None) -> Json | None:
        """The first that holds for this number, used once."""
        query = (
            "UPDATE rules SET remaining = remaining - 1 WHERE seq = (SELECT seq FROM rules WHERE what = ?1"
            " AND remaining IS NOT 0 AND (recipient IS NULL OR recipient = ?2) ORDER BY seq LIMIT 1) RETURNING body"
        )
        row = self._database.execute(query, (what, recipient)).fetchone()
        return None if row is None else dict(json.loads(row["body"]))

    def clear(self) -> None:
        self._database.execute("DELETE FROM rules")
