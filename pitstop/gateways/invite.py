"""The calendar entry of a booking as an iTIP message (RFC 5546): REQUEST puts or moves it, CANCEL takes it away."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event, TimezoneDaylight, TimezoneStandard, vCalAddress, vText, vUri

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.notices import BookingFacts, Language
from pitstop.gateways.phrasing import PHRASINGS
from pitstop.gateways.wording import one_line, shown_zone, tidied
from pitstop.ports import CalendarPart

Method = Literal["REQUEST", "CANCEL"]

PRODUCT = "-//Pitstop//Bookings//EN"
ALARM_BEFORE = timedelta(hours=1)
A_DAY = timedelta(days=1)
# RFC 7986, 6.3.
_FEATURES = {
    SessionKind.VIDEO: ["AUDIO", "VIDEO"],
    SessionKind.CHAT: ["CHAT"],
    SessionKind.DIAGNOSTIC: ["AUDIO", "SCREEN", "VIDEO"],
}


@dataclass(frozen=True, slots=True)
class _Words:
    """What an entry says in the customer's language."""

    summary: str
    mechanic: str
    price: str
    booking: str
    cancelled: str
    join: str
    online: str
    workshop: str
    tentative: str


_WORDS = {
    Language.EN: _Words(
        summary="{service} with {mechanic}",
        mechanic="Mechanic",
        price="Price",
        booking="Your booking",
        cancelled="This booking is cancelled.",
        join="Join the session",
        online="Online",
        workshop="Workshop",
        tentative="The workshop has not confirmed it yet.",
    ),
    Language.FR: _Words(
        summary="{service} avec {mechanic}",
        mechanic="Mécanicien",
        price="Prix",
        booking="Votre réservation",
        cancelled="Cette réservation est annulée.",
        join="Se joindre à la séance",
        online="En ligne",
        workshop="Atelier",
        tentative="L'atelier ne l'a pas encore confirmée.",
    ),
}


def invite(
    facts: BookingFacts, method: Method, *, now: datetime, organizer_address: str, organizer_name: str
) -> CalendarPart:
    """The entry's present state, as the customer's calendar should take it.

    `now` is the DTSTAMP: the moment at which this version was written, aware; of two with the same SEQUENCE calendars
    keep the later one (RFC 5546, 2.1.5). UID and SEQUENCE are the facts'. Lines end in CRLF and are folded at 75 octets
    (RFC 5545, 3.1). Texts that people typed cannot add a line or a parameter. Raises `zoneinfo.ZoneInfoNotFoundError`
    for a zone that does not exist.
    """
    facts = tidied(facts)
    event = _event(facts, method, now)
    event.add("organizer", _address(organizer_address, organizer_name))
    event.add("attendee", _attendee(facts))
    if method == "REQUEST":
        if facts.join_url:
            event.add("conference", _conference(facts))
        event.add_component(_alarm(facts))
    return CalendarPart(method=method, content=_calendar(event, method, *_times(facts)).to_ical().decode())


def _calendar(event: Event, method: Method, start: datetime, end: datetime) -> Calendar:
    """The event and the VTIMEZONE that its times refer to."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method)
    calendar.add_component(event)
    calendar.add_missing_timezones(first_date=_before_last_change(start), last_date=(end + A_DAY).date())
    for component in calendar.walk():
        if isinstance(component, TimezoneStandard | TimezoneDaylight):
            _correct_onset(component)
    return calendar


def _before_last_change(start: datetime) -> date:
    """A day on which the offset of `start` was not yet in force; the day before, if it has been for a year.

    An observance with nothing before it is no change, and readers such as ical4j 4.4 pass over it: the one that the
    entry's times are in must begin within the VTIMEZONE.
    """
    days = (start - n * A_DAY for n in range(1, 367))
    other = next((day for day in days if day.utcoffset() != start.utcoffset()), start)
    return (other - A_DAY).date()


def _correct_onset(observance: TimezoneStandard | TimezoneDaylight) -> None:
    """An onset is in the local time before it, TZOFFSETFROM's (RFC 5545, 3.6.5): 02:00 where clocks jump to 03:00.

    icalendar 7.3 writes 03:00, and so puts that onset an hour too late; backward changes it writes rightly.
    """
    jump = observance.TZOFFSETTO - observance.TZOFFSETFROM
    if jump > timedelta():
        observance.DTSTART -= jump


def _event(facts: BookingFacts, method: Method, now: datetime) -> Event:
    start, end = _times(facts)
    event = Event()
    event.add("uid", vText(facts.invite_uid))
    event.add("sequence", facts.invite_sequence)
    event.add("dtstamp", now.astimezone(UTC))
    event.add("dtstart", start)
    event.add("dtend", end)
    event.add("summary", summary(facts))
    event.add("description", description(facts, method))
    event.add("location", location(facts, method))
    if facts.manage_url:
        event.add("url", _uri(facts.manage_url))
    firm = "TENTATIVE" if facts.is_tentative else "CONFIRMED"
    event.add("status", firm if method == "REQUEST" else "CANCELLED")
    event.add("transp", "OPAQUE" if method == "REQUEST" else "TRANSPARENT")
    # Outlook goes by its own words for the same ([MS-OXCICAL]), and offers to propose another time to an
    # organizer who reads no answers unless it is told not to.
    busy = "TENTATIVE" if facts.is_tentative else "BUSY"
    event.add("x-microsoft-cdo-busystatus", busy if method == "REQUEST" else "FREE")
    event.add("x-microsoft-disallow-counter", "TRUE")
    return event


def _times(facts: BookingFacts) -> tuple[datetime, datetime]:
    """Start and end in the shown zone; in UTC if one falls in the second pass of an hour that the clocks repeat.

    A local time that occurs twice means its first occurrence (RFC 5545, 3.3.5): the second cannot be written with TZID.
    """
    zone = ZoneInfo(shown_zone(facts))
    start, end = facts.start.astimezone(zone), facts.end.astimezone(zone)
    if start.fold or end.fold:
        return facts.start.astimezone(UTC), facts.end.astimezone(UTC)
    return start, end


def _attendee(facts: BookingFacts) -> vCalAddress:
    """The customer, who has accepted by booking: no answer is asked for, since nobody reads answers to the sender."""
    attendee = _address(facts.customer_email, facts.customer_name)
    attendee.params.update(CUTYPE="INDIVIDUAL", ROLE="REQ-PARTICIPANT", PARTSTAT="ACCEPTED", RSVP="FALSE")
    return attendee


def _address(address: str, name: str) -> vCalAddress:
    """A mailto URI (RFC 6068) with its CN, in which the library writes a double quote as ^' (RFC 6868)."""
    value = vCalAddress("mailto:" + quote(address, safe="@!$&'*+-/=._~"))
    value.params["CN"] = one_line(name)
    return value


def _alarm(facts: BookingFacts) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", summary(facts))
    alarm.add("trigger", -ALARM_BEFORE)
    return alarm


def _conference(facts: BookingFacts) -> vUri:
    """The standard's own property for it (RFC 7986, 5.11)."""
    conference = vUri(_uri(facts.join_url))
    conference.params.update({"VALUE": "URI", "FEATURE": _FEATURES[facts.kind], "LABEL": _WORDS[facts.language].join})
    return conference


def location(facts: BookingFacts, method: Method) -> str:
    """Online the link to join: Google, Apple and Outlook make it one to follow, and pass over CONFERENCE."""
    words = _WORDS[facts.language]
    if facts.kind is SessionKind.IN_PERSON:
        return facts.venue_address or words.workshop
    return _uri(facts.join_url) if facts.join_url and method == "REQUEST" else words.online


def summary(facts: BookingFacts) -> str:
    return _WORDS[facts.language].summary.format(service=facts.service_name, mechanic=facts.mechanic_name)


def description(facts: BookingFacts, method: Method) -> str:
    words, phrasing = _WORDS[facts.language], PHRASINGS[facts.language]
    if method == "CANCEL":
        return f"{words.cancelled}\n{_uri(facts.manage_url)}".strip()
    lines = (
        *((words.tentative,) if facts.is_tentative else ()),
        f"{facts.service_name}, {facts.plan_name}",
        f"{words.mechanic}{phrasing.colon} {facts.mechanic_name}",
        f"{words.price}{phrasing.colon} {phrasing.money(facts.amount, facts.currency)}",
    )
    own = (f"{words.booking}{phrasing.colon} {_uri(facts.manage_url)}",) if facts.manage_url else ()
    return "\n".join(lines + own)


def _uri(uri: str) -> str:
    """The URI with whatever may not stand in one percent-encoded (RFC 3986, 2.1); existing escapes stay."""
    return quote(uri, safe=":/?#[]@!$&'()*+,;=%-._~")
