"""A mechanic's calendar as an iCalendar file to subscribe to (RFC 5545, RFC 7986): no METHOD, nobody invited."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from icalendar import vText
from icalendar.parser import Contentline

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.feeds import Entry, Feed
from pitstop.domain.identity import feed_uid, time_off_uid
from pitstop.gateways.wording import one_line
from pitstop.release import RELEASE

PRODUCT = "-//Pitstop//Mechanics//EN"
REFRESH = "PT15M"
_PLACES = {
    SessionKind.VIDEO: "Online, by video",
    SessionKind.CHAT: "Online, by chat",
    SessionKind.DIAGNOSTIC: "Online, as a remote diagnostic",
    SessionKind.IN_PERSON: "Workshop",
}


def feed_calendar(feed: Feed) -> str:
    """The same feed gives the same text. Times are in UTC: every calendar shows them in its reader's own zone.

    Texts that people typed cannot add a line or a property. The library's objects would take a second of CPU for some
    thousand entries, so that the lines are put together here; what is hard in them, escaping and folding, is its.
    """
    lines = (line for part in (_head(feed), *map(_entry, feed.entries)) for line in part)
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def feed_tag(feed: Feed) -> str:
    """An entity tag (RFC 9110, 8.8.3) of the text that `feed_calendar` would write, without writing it."""
    return f'"{hashlib.sha256(repr((RELEASE, feed)).encode()).hexdigest()[:32]}"'


def _head(feed: Feed) -> Iterator[str]:
    """Name and pace each twice: as the standard has it (RFC 7986), and as Google, Apple and Outlook read it."""
    name = f"Pitstop: {one_line(feed.mechanic_name)}"
    yield from ("BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODUCT}", "CALSCALE:GREGORIAN")
    yield from (_text("NAME", name), _text("X-WR-CALNAME", name))
    yield from (f"REFRESH-INTERVAL;VALUE=DURATION:{REFRESH}", f"X-PUBLISHED-TTL:{REFRESH}")


def _entry(entry: Entry) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield from _time_off(entry) if entry.kind is None else _session(entry, entry.kind)
    # Without a METHOD, DTSTAMP is the moment of the last change (RFC 5545, 3.8.7.2).
    changed = _instant(entry.changed_at)
    yield from (f"DTSTAMP:{changed}", f"LAST-MODIFIED:{changed}", f"SEQUENCE:{entry.sequence}")
    yield from (f"DTSTART:{_instant(entry.starts_at)}", f"DTEND:{_instant(entry.ends_at)}")
    yield from (f"STATUS:{'TENTATIVE' if entry.tentative else 'CONFIRMED'}", "TRANSP:OPAQUE", "END:VEVENT")


def _time_off(entry: Entry) -> Iterator[str]:
    yield from (f"UID:{time_off_uid(entry.id)}", "SUMMARY:Time off", "X-MICROSOFT-CDO-BUSYSTATUS:OOF")


def _session(entry: Entry, kind: SessionKind) -> Iterator[str]:
    service, customer = one_line(entry.service_name or ""), one_line(entry.customer or "")
    place = ", ".join(filter(None, map(one_line, (entry.place or "").splitlines())))
    yield f"UID:{feed_uid(entry.id)}"
    yield _text("SUMMARY", f"{service}: {customer}" if customer else service)
    yield _text("LOCATION", place or _PLACES[kind])
    unsaid = ": not confirmed by the workshop yet" if entry.tentative else ""
    yield _text("DESCRIPTION", f"Booking {entry.id}{unsaid}")
    yield f"X-MICROSOFT-CDO-BUSYSTATUS:{'TENTATIVE' if entry.tentative else 'BUSY'}"


def _text(name: str, value: str) -> str:
    """A content line, folded at 75 octets. `value` is on one line."""
    line: Any = Contentline(f"{name}:{vText(value).to_ical().decode()}")  # type: ignore[no-untyped-call]
    folded: bytes = line.to_ical()
    return folded.decode()


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
