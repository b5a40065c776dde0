"""A mechanic's calendar as an iCalendar file to subscribe to (RFC 5545, RFC 7986): no METHOD, nobody invited."""

import hashlib
from dataclasses import astuple
from datetime import UTC, timedelta

from icalendar import Calendar, Event, vDuration, vText

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.feeds import Entry, Feed
from pitstop.domain.identity import feed_uid, time_off_uid
from pitstop.gateways.wording import one_line
from pitstop.release import RELEASE

PRODUCT = "-//Pitstop//Mechanics//EN"
REFRESH = timedelta(minutes=15)
_PLACES = {
    SessionKind.VIDEO: "Online, by video",
    SessionKind.CHAT: "Online, by chat",
    SessionKind.DIAGNOSTIC: "Online, as a remote diagnostic",
    SessionKind.IN_PERSON: "Workshop",
}


def feed_calendar(feed: Feed) -> str:
    """The same feed gives the same text. Times are in UTC: every calendar shows them in its reader's own zone.

    Texts that people typed cannot add a line or a property.
    """
    calendar, name = Calendar(), f"Pitstop: {one_line(feed.mechanic_name)}"
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    # Each twice: as the standard has it (RFC 7986), and as Google, Apple and Outlook read it.
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", vDuration(REFRESH), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", vDuration(REFRESH))
    for entry in feed.entries:
        calendar.add_component(_event(entry))
    written: bytes = calendar.to_ical()
    return written.decode()


def feed_tag(feed: Feed) -> str:
    """An entity tag (RFC 9110, 8.8.3) of the text that `feed_calendar` would write, without writing it."""
    shown = repr((RELEASE, feed.mechanic_name, [astuple(entry) for entry in feed.entries]))
    return f'"{hashlib.sha256(shown.encode()).hexdigest()[:32]}"'


def _event(entry: Entry) -> Event:
    event = Event()
    event.add("sequence", entry.sequence)
    # Without a METHOD it is the moment of the last change (RFC 5545, 3.8.7.2).
    event.add("dtstamp", entry.changed_at.astimezone(UTC))
    event.add("last-modified", entry.changed_at.astimezone(UTC))
    event.add("dtstart", entry.starts_at.astimezone(UTC))
    event.add("dtend", entry.ends_at.astimezone(UTC))
    event.add("status", "CONFIRMED")
    event.add("transp", "OPAQUE")
    if entry.kind is None:
        event.add("uid", vText(time_off_uid(entry.id)))
        event.add("summary", "Time off")
        event.add("x-microsoft-cdo-busystatus", "OOF")
    else:
        _add_session(event, entry, entry.kind)
    return event


def _add_session(event: Event, entry: Entry, kind: SessionKind) -> None:
    service, customer = one_line(entry.service_name or ""), one_line(entry.customer or "")
    event.add("uid", vText(feed_uid(entry.id)))
    event.add("summary", f"{service}: {customer}" if customer else service)
    event.add("description", f"Booking {entry.id}")
    place = ", ".join(filter(None, map(one_line, (entry.place or "").splitlines())))
    event.add("location", place or _PLACES[kind])
    event.add("x-microsoft-cdo-busystatus", "BUSY")
