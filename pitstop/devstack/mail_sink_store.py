"""The mails that the sink has taken in, in one SQLite file. The only SQL of the sink."""

import email
import json
import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

# autoincrement: an id is never given out twice, not even after the mails have been deleted.
SCHEMA = """
create table if not exists messages (
    id integer primary key autoincrement,
    recipient text not null,
    received_at text not null,
    parsed text not null,
    raw blob not null
);
create index if not exists messages_by_recipient on messages (lower(recipient), id);
"""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A mail as `GET /api/messages` shows it: one for each recipient of the envelope, which is `to`.

    `received_at` is RFC 3339 in UTC; `attempt` is the header X-Pitstop-Attempt; `headers` are decoded, of several with
    one name the last. `text`, `html` and `ics` are null where the mail has no such part.
    """

    id: int
    message_id: str | None
    attempt: int | None
    to: str
    subject: str
    text: str | None
    html: str | None
    ics: str | None
    received_at: str
    headers: dict[str, str]


class MailStore:
    """Mails in the order of their arrival. Each call is one short transaction on a local file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.executescript(SCHEMA)

    def add(self, recipients: list[str], raw: bytes) -> None:
        """Keeps the mail, once for each recipient; all or none. On return a killed process no longer loses it."""
        received_at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        parsed = json.dumps(_parse(raw))
        rows = [(recipient, received_at, parsed, raw) for recipient in recipients]
        self._database.execute("begin")
        self._database.executemany(
            "insert into messages (recipient, received_at, parsed, raw) values (?, ?, ?, ?)", rows
        )
        self._database.execute("commit")

    def messages(self, to: str | None = None) -> list[StoredMessage]:
        """All mails, or those to one address (in any case of letters), newest last."""
        query = "select id, recipient, received_at, parsed from messages"
        if to is None:
            rows = self._database.execute(f"{query} order by id")
        else:
            rows = self._database.execute(f"{query} where lower(recipient) = lower(?) order by id", (to,))
        return [_stored(*row) for row in rows]

    def message(self, id: int) -> StoredMessage | None:
        query = "select id, recipient, received_at, parsed from messages where id = ?"
        row = self._database.execute(query, (id,)).fetchone()
        return None if row is None else _stored(*row)

    def raw(self, id: int) -> bytes | None:
        """The mail as it came over the wire, without the envelope."""
        row: tuple[bytes] | None = self._database.execute("select raw from messages where id = ?", (id,)).fetchone()
        return None if row is None else row[0]

    def clear(self) -> None:
        self._database.execute("delete from messages")

    def close(self) -> None:
        self._database.close()


def as_json(message: StoredMessage) -> dict[str, object]:
    return asdict(message)


def _stored(id: int, recipient: str, received_at: str, parsed: str) -> StoredMessage:
    return StoredMessage(id=id, to=recipient, received_at=received_at, **json.loads(parsed))


def _parse(raw: bytes) -> dict[str, object]:
    message = email.message_from_bytes(raw, _class=EmailMessage, policy=default)
    headers = {name: _decoded(str(value)) for name, value in message.raw_items()}
    attempt = headers.get("X-Pitstop-Attempt", "")
    return {
        "message_id": headers.get("Message-ID"),
        "attempt": int(attempt) if attempt.isdecimal() else None,
        "subject": headers.get("Subject", ""),
        "text": _part(message, "text/plain"),
        "html": _part(message, "text/html"),
        "ics": _part(message, "text/calendar"),
        "headers": headers,
    }


def _decoded(raw: str) -> str:
    """A header's value in words. The older decoder: the newer one has spaces between encoded words (RFC 2047, 6.2)."""
    unfolded = "".join(raw.splitlines()).strip()
    return str(make_header(decode_header(unfolded.encode("ascii", "surrogateescape").decode("utf-8", "replace"))))


def _part(message: EmailMessage, content_type: str) -> str | None:
    """The first part of that type, decoded; line ends stay as they were sent."""
    for part in message.walk():
        if part.get_content_type() == content_type:
            payload = part.get_payload(decode=True)
            charset = part.get_content_charset("utf-8")
            return payload.decode(charset, errors="replace") if isinstance(payload, bytes) else None
    return None
