"""The rules of the control interface, kept in the database: faults, webhook mischief, further endpoints."""

import json
import sqlite3

from pitstop.devstack.stripe_server.errors import Json
from pitstop.devstack.stripe_server.objects import new_id


class Rules:
    """Rules by kind (`fault`, `webhook`, `endpoint`), oldest first. One with `times` ends after so many uses."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, what: str, body: Json) -> Json:
        rule = {"id": new_id(what, 16)} | body
        self._database.execute(
            "INSERT INTO rules (id, what, remaining, body) VALUES (?, ?, ?, ?)",
            (rule["id"], what, body.get("times"), json.dumps(rule)),
        )
        return rule | {"remaining": body.get("times")}

    def listing(self, what: str) -> list[Json]:
        query = "SELECT body, remaining FROM rules WHERE what = ? AND remaining IS NOT 0 ORDER BY seq"
        rows = self._database.execute(query, (what,)).fetchall()
        return [json.loads(row["body"]) | {"remaining": row["remaining"]} for row in rows]

    def get(self, identifier: str) -> Json | None:
        row = self._database.execute("SELECT body FROM rules WHERE id = ?", (identifier,)).fetchone()
        return None if row is None else dict(json.loads(row["body"]))

    def use(self, identifier: str) -> None:
        self._database.execute("UPDATE rules SET remaining = remaining - 1 WHERE id = ?", (identifier,))

    def remove(self, what: str, identifier: str | None = None) -> int:
        """Removes one, or all of the kind; answers how many there were."""
        query = "DELETE FROM rules WHERE what = ? AND (? IS NULL OR id = ?)"
        return self._database.execute(query, (what, identifier, identifier)).rowcount


def covers(wanted: Json | None, metadata: Json) -> bool:
    """Whether each wanted pair is there."""
    return all(metadata.get(key) == value for key, value in (wanted or {}).items())
