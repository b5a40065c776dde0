"""Feeds and links to join as another implementation reads them: ical4j, with every text as it was meant."""

import base64
import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.feeds import Entry, Feed
from pitstop.domain.identity import feed_uid
from pitstop.domain.notices import join_url
from pitstop.gateways.feed import feed_calendar
from pitstop.gateways.wording import one_line
from tests.gateways.samples import IN_PERSON, NOW, VIDEO
from tests.gateways.test_invite import INJECTION, written
from tests.gateways.test_invite_ical4j import HERE, class_path, pytestmark

__all__ = ["class_path", "pytestmark"]
NAMES = [
    "Zoé",
    "渡辺ジョーンズ・ダニエル太郎 👩\u200d🔧 " * 8,
    "שלום עולם, \u05de\u05d9",
    "محمد \u202eabc",
    'a "b" c',
    "a;b,c:d\\e\\n\\;",
    "^n^^^'",
    "\\" * 90,
    "," * 90,
    "x\r\nEND:VEVENT\r\nBEGIN:VEVENT",
    INJECTION,
    "é" * 200,
    " ",
]
Read = tuple[str, str, str]


def read(class_path: str, *files: Path) -> dict[str, Read]:
    """By UID: the instants, SUMMARY and LOCATION."""
    command = ["java", "-cp", class_path, str(HERE / "ReadTexts.java"), *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    rows = [line.split(" ") for line in run.stdout.splitlines()]
    return {row[1]: (f"{row[2]} {row[3]}", _decoded(row[4]), _decoded(row[5])) for row in rows}


def _decoded(text: str) -> str:
    return base64.b64decode(text[1:]).decode()


def test_a_feed_reads_as_it_was_meant(class_path: str, tmp_path: Path) -> None:
    times = (VIDEO.start, VIDEO.end)
    ids = [UUID(int=n) for n in range(len(NAMES))]
    entries = [
        Entry(id, name, SessionKind.IN_PERSON, name, name, *times, 2, NOW) for id, name in zip(ids, NAMES, strict=True)
    ]
    away = Entry(UUID(int=99), None, None, None, None, *times, 0, NOW)
    file = tmp_path / "feed.ics"
    file.write_text(feed_calendar(Feed(INJECTION, [*entries, away])), newline="")
    said = "2026-12-01T19:00:00Z 2026-12-01T20:00:00Z"
    expected = {
        feed_uid(id): (said, f"{one_line(name)}: {one_line(name)}".removesuffix(": "), _place(name) or "Workshop")
        for id, name in zip(ids, NAMES, strict=True)
    }
    expected[f"{UUID(int=99)}.time-off@pitstop"] = (said, "Time off", "")
    expected[feed_uid(UUID(int=len(NAMES) - 1))] = (said, "", "Workshop")
    assert read(class_path, file) == expected


def _place(name: str) -> str:
    return ", ".join(filter(None, map(one_line, name.splitlines())))


def test_invites_read_as_they_were_meant(class_path: str, tmp_path: Path) -> None:
    link = join_url(VIDEO.manage_url, SessionKind.VIDEO)
    online = replace(VIDEO, join_url=link)
    files, expected = [], {}
    for n, name in enumerate(NAMES):
        for facts, place in ((online, link), (replace(IN_PERSON, venue_address=name), _place(name) or "Workshop")):
            uid = f"{facts.kind}-{n}@pitstop"
            file = tmp_path / f"{facts.kind}-{n}.ics"
            named = replace(facts, invite_uid=uid, service_name=name, customer_name=name)
            file.write_text(written(named), newline="")
            files.append(file)
            expected[uid] = (
                "2026-12-01T19:00:00Z 2026-12-01T20:00:00Z",
                f"{one_line(name)} with Björn Åkesson".strip(),  # ical4j drops the blank before it
                place,
            )
    assert read(class_path, *files) == expected
