"""What becomes of a message, and who is told: steps that come due, and the callbacks about them."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from pitstop.devstack.sqlite_file import transaction
from pitstop.devstack.stripe_server.sender import NotSent, post
from pitstop.devstack.twilio_server.config import API_VERSION, Config
from pitstop.devstack.twilio_server.errors import Json
from pitstop.devstack.twilio_server.messages import rfc_2822
from pitstop.devstack.twilio_server.signing import signature
from pitstop.devstack.twilio_server.storage import Messages

_IDLE_SECONDS = 0.5
_AT_ONCE = 20


class Deliveries:
    """Plans a message's way to its end, and takes it there while `run` is running."""

    def __init__(self, config: Config, database: sqlite3.Connection, messages: Messages) -> None:
        self._config, self._database, self._messages = config, database, messages
        self._news = asyncio.Event()

    def plan(self, sid: str, end: tuple[str, int | None], mischief: Json | None) -> None:
        """`queued`, `sent` and the end, a step each. `mischief` drops, delays, multiplies or reverses what is told."""
        statuses = [("queued", None), ("sent", None), *([] if end[0] == "sent" else [end])]
        mode, seconds = (mischief or {}).get("mode"), (mischief or {}).get("seconds") or 0.0
        copies = {"drop": 0, "duplicate": (mischief or {}).get("copies", 2)}.get(mode or "", 1)
        step, now, count = self._config.step, time.time(), len(statuses)
        for place, (status, code) in enumerate(statuses):
            wait = seconds if mode in ("delay", "duplicate") else 0.0
            if mode == "reverse":
                # Each waits so long that the last comes first.
                wait = step * (2 * (count - 1 - place)) + step
            self._database.execute(
                "INSERT INTO steps (message, status, code, due, copies, wait) VALUES (?, ?, ?, ?, ?, ?)",
                (sid, status, code, now + step * place, copies, wait),
            )
        self._news.set()

    def tell(self, sid: str, url: str, params: Mapping[str, str], due: float | None = None) -> None:
        """Puts a POST to a webhook on the way."""
        self._database.execute(
            "INSERT INTO callbacks (message, url, params, due) VALUES (?, ?, ?, ?)",
            (sid, url, json.dumps(dict(params)), due or time.time()),
        )
        self._news.set()

    def tell_again(self, seq: int) -> bool:
        """Sends a callback that was sent before once more. False when there is none."""
        query = (
            "INSERT INTO callbacks (message, url, params, due)"
            " SELECT message, url, params, ? FROM callbacks WHERE seq = ?"
        )
        again = self._database.execute(query, (time.time(), seq)).rowcount
        self._news.set()
        return again == 1

    def listing(self, recipient: str | None, limit: int) -> list[Json]:
        """The latest callbacks, oldest first."""
        query = (
            "SELECT * FROM (SELECT c.* FROM callbacks AS c JOIN messages AS m ON m.sid = c.message"
            " WHERE ?1 IS NULL OR m.recipient = ?1 OR m.sender = ?1 ORDER BY c.seq DESC LIMIT ?2) ORDER BY seq"
        )
        rows = self._database.execute(query, (recipient, limit)).fetchall()
        return [
            dict(row) | {"params": json.loads(row["params"]), "history": json.loads(row["history"])} for row in rows
        ]

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._news.clear()
            with transaction(self._database):
                self._take_steps()
            await self._send_what_is_due()
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _take_steps(self) -> None:
        query = "SELECT * FROM steps WHERE done = 0 AND due <= ? ORDER BY due, seq"
        for step in self._database.execute(query, (time.time(),)).fetchall():
            self._database.execute("UPDATE steps SET done = 1 WHERE seq = ?", (step["seq"],))
            now = rfc_2822()
            sent = {"date_sent": now} if step["status"] == "sent" else {}
            message = self._messages.change(
                step["message"], status=step["status"], error_code=step["code"], date_updated=now, **sent
            )
            url = self._messages.status_callback(step["message"])
            for _ in range(step["copies"] if url else 0):
                self.tell(message["sid"], str(url), _told(message), time.time() + step["wait"])

    async def _send_what_is_due(self) -> None:
        query = "SELECT * FROM callbacks WHERE state = 'pending' AND due <= ? ORDER BY due, seq LIMIT ?"
        due = self._database.execute(query, (time.time(), _AT_ONCE)).fetchall()
        await asyncio.gather(*(self._send(callback) for callback in due))

    async def _send(self, callback: sqlite3.Row) -> None:
        attempt = await self._attempt(callback["url"], json.loads(callback["params"]))
        history = [*json.loads(callback["history"]), attempt]
        taken = attempt["status"] is not None and 200 <= attempt["status"] < 300
        state = "delivered" if taken else "failed" if len(history) >= self._config.tries else "pending"
        self._database.execute(
            "UPDATE callbacks SET state = ?, due = ?, history = ? WHERE seq = ?",
            (state, time.time() + self._config.retry, json.dumps(history), callback["seq"]),
        )

    async def _attempt(self, url: str, params: dict[str, str]) -> Json:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": signature(self._config.auth_token, url, params),
        }
        at = time.time()
        try:
            status = await post(url, urlencode(params).encode(), headers, self._config.callback_timeout)
        except NotSent as error:
            return {"at": at, "status": None, "error": str(error)}
        return {"at": at, "status": status, "error": None}

    def _until_next(self) -> float:
        query = (
            "SELECT min(due) AS due FROM (SELECT due FROM steps WHERE done = 0"
            " UNION ALL SELECT due FROM callbacks WHERE state = 'pending')"
        )
        due = self._database.execute(query).fetchone()["due"]
        return _IDLE_SECONDS if due is None else min(max(due - time.time(), 0.001), _IDLE_SECONDS)


def _told(message: Json) -> dict[str, str]:
    """The parameters of a status callback."""
    told = {
        "AccountSid": message["account_sid"],
        "ApiVersion": API_VERSION,
        "From": message["from"],
        "MessageSid": message["sid"],
        "MessageStatus": message["status"],
        "SmsSid": message["sid"],
        "SmsStatus": message["status"],
        "To": message["to"],
    }
    return told | ({"ErrorCode": str(message["error_code"])} if message["error_code"] else {})
