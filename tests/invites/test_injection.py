"""Whatever people are called: the calendar has exactly the properties that it should, with exactly these values."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.feeds import Entry, Feed
from pitstop.domain.notices import BookingFacts, join_url
from pitstop.gateways.calendar_links import NAMES, calendar_links
from pitstop.gateways.feed import feed_calendar
from pitstop.gateways.invite import Method
from pitstop.gateways.wording import one_line
from tests.gateways.samples import IN_PERSON, NOW, VIDEO
from tests.gateways.test_invite import INJECTION, written
from tests.invites.reader import Component, read

_MARKS = [
    "\r\n",
    "\n",
    "\r",
    "\t",
    "\\",
    "\\n",
    ";",
    ",",
    ":",
    '"',
    "^n",
    "^^",
    "^'",
    "\u2028",
    "\x85",
    "\x00",
    "\u202e",
]
_WORDS = [
    "END:VEVENT",
    "BEGIN:VEVENT",
    "ATTENDEE:mailto:rival@example.com",
    "ROLE=CHAIR",
    "👩\u200d🔧",
    "שלום",
    "é" * 40,
]
_PIECES = st.sampled_from([*_MARKS, *_WORDS])
NAMES_OF_PEOPLE = st.text(max_size=60) | st.lists(_PIECES | st.text(max_size=8), max_size=12).map("".join)
LINK = "https://pitstop.example/manage/abc?token=x.y-z"

_COMMON = ["ATTENDEE", "DESCRIPTION", "DTEND", "DTSTAMP", "DTSTART", "LOCATION", "ORGANIZER", "SEQUENCE", "STATUS"]
_COMMON += ["SUMMARY", "TRANSP", "UID", "URL", "X-MICROSOFT-CDO-BUSYSTATUS", "X-MICROSOFT-DISALLOW-COUNTER"]
_SESSION = ["DESCRIPTION", "DTEND", "DTSTAMP", "DTSTART", "LAST-MODIFIED", "LOCATION", "SEQUENCE", "STATUS", "SUMMARY"]
_SESSION += ["TRANSP", "UID", "X-MICROSOFT-CDO-BUSYSTATUS"]
_HEAD = ["CALSCALE", "NAME", "PRODID", "REFRESH-INTERVAL", "VERSION", "X-PUBLISHED-TTL", "X-WR-CALNAME"]


def facts_of(kind: SessionKind, names: list[str]) -> BookingFacts:
    service, plan, mechanic, customer, address = names
    return replace(
        IN_PERSON if kind is SessionKind.IN_PERSON else VIDEO,
        kind=kind,
        service_name=service,
        plan_name=plan,
        mechanic_name=mechanic,
        customer_name=customer,
        venue_address=address,
        manage_url=LINK,
        join_url=join_url(LINK, kind),
    )


def one_event(calendar: Component) -> Component:
    assert Counter(part.name for part in calendar.parts) == Counter(VEVENT=1, VTIMEZONE=1)
    [event] = calendar.of("VEVENT")
    return event


def lines_of(address: str) -> str:
    return ", ".join(filter(None, map(one_line, address.splitlines())))


ANY_NAMES = st.lists(NAMES_OF_PEOPLE, min_size=5, max_size=5)
KINDS = st.sampled_from(SessionKind)


@settings(deadline=None)
@given(names=ANY_NAMES, kind=KINDS)
@example(names=[INJECTION] * 5, kind=SessionKind.IN_PERSON)
@example(names=[INJECTION] * 5, kind=SessionKind.CHAT)
def test_an_invite_has_what_it_should_and_nothing_else(names: list[str], kind: SessionKind) -> None:
    facts = facts_of(kind, names)
    event = one_event(read(written(facts)))
    service, plan, mechanic, customer, _ = map(one_line, names)
    assert event.names == sorted(_COMMON + ([] if kind is SessionKind.IN_PERSON else ["CONFERENCE"]))
    assert event["SUMMARY"].text == f"{service} with {mechanic}"
    assert event["DESCRIPTION"].text.split("\n")[:2] == [f"{service}, {plan}", f"Mechanic: {mechanic}"]
    attendee = event["ATTENDEE"]
    assert attendee.value == f"mailto:{VIDEO.customer_email}"
    assert attendee.parameters["CN"] == [as_parameter(customer)]
    assert attendee.parameters.keys() == {"CN", "CUTYPE", "PARTSTAT", "ROLE", "RSVP"}
    assert attendee.parameters["ROLE"] == ["REQ-PARTICIPANT"]
    [alarm] = event.parts
    assert (alarm.name, alarm.names) == ("VALARM", ["ACTION", "DESCRIPTION", "TRIGGER"])
    assert alarm["DESCRIPTION"].text == f"{service} with {mechanic}"


def as_parameter(name: str) -> str:
    """As it is written: a quotation mark cannot stand in a parameter (RFC 6868)."""
    return name.replace("^", "^^").replace('"', "^'")


@settings(deadline=None)
@given(address=NAMES_OF_PEOPLE)
def test_in_person_the_place_is_the_address(address: str) -> None:
    event = one_event(read(written(replace(IN_PERSON, venue_address=address))))
    assert event["LOCATION"].text == (lines_of(address) or "Workshop")


@pytest.mark.parametrize("kind", [kind for kind in SessionKind if kind is not SessionKind.IN_PERSON])
@pytest.mark.parametrize("method", ["REQUEST", "CANCEL"])
def test_online_the_place_is_the_link_until_it_is_cancelled(kind: SessionKind, method: Method) -> None:
    event = one_event(read(written(facts_of(kind, ["a"] * 5), method)))
    link = "https://pitstop.example/manage/abc/join?token=x.y-z"
    if method == "CANCEL":
        assert event["LOCATION"].text == "Online"
        assert "CONFERENCE" not in event.names
        return
    assert event["LOCATION"].text == event["CONFERENCE"].value == link
    assert event["CONFERENCE"].parameters["VALUE"] == ["URI"]
    assert event["CONFERENCE"].parameters["LABEL"] == ["Join the session"]


def test_in_person_there_is_nothing_to_join() -> None:
    assert join_url(LINK, SessionKind.IN_PERSON) == join_url("", SessionKind.VIDEO) == ""


def an_entry(kind: SessionKind | None, service: str, customer: str | None, place: str | None) -> Entry:
    times = (VIDEO.start, VIDEO.end)
    return Entry(UUID(int=7), service if kind else None, kind, place, customer, *times, 3, NOW)


@settings(deadline=None)
@given(mechanic=NAMES_OF_PEOPLE, service=NAMES_OF_PEOPLE, customer=NAMES_OF_PEOPLE, place=NAMES_OF_PEOPLE)
@example(mechanic=INJECTION, service=INJECTION, customer=INJECTION, place=INJECTION)
def test_a_feed_has_what_it_should_and_nothing_else(mechanic: str, service: str, customer: str, place: str) -> None:
    entries = [an_entry(SessionKind.IN_PERSON, service, customer, place), an_entry(None, "", None, None)]
    calendar = read(feed_calendar(Feed(mechanic, entries)))
    assert calendar.names == _HEAD
    assert calendar["NAME"].text == calendar["X-WR-CALNAME"].text == f"Pitstop: {one_line(mechanic)}"
    session, away = calendar.parts
    assert session.names == _SESSION
    assert session.parts == away.parts == []
    assert away.names == [name for name in _SESSION if name not in ("DESCRIPTION", "LOCATION")]
    named, called = one_line(service), one_line(customer)
    assert session["SUMMARY"].text == (f"{named}: {called}" if called else named)
    assert session["LOCATION"].text == (lines_of(place) or "Workshop")
    assert session["UID"].value == "00000000-0000-0000-0000-000000000007.session@pitstop"
    assert away["SUMMARY"].text == "Time off"
    assert (session["DTSTART"].value, session["DTEND"].value) == ("20261201T190000Z", "20261201T200000Z")
    assert (session["SEQUENCE"].value, session["DTSTAMP"].value) == ("3", "20261124T093000Z")


@settings(deadline=None)
@given(names=ANY_NAMES, kind=KINDS)
@example(names=["a&b=c#d+e%20f?g", "\u202e", "ü", '"><script>', "x"], kind=SessionKind.VIDEO)
def test_a_link_has_the_parameters_that_it_should_and_no_others(names: list[str], kind: SessionKind) -> None:
    links = calendar_links(facts_of(kind, names))
    service, _, mechanic, *_ = map(one_line, names)
    assert links.keys() == NAMES.keys()
    titles = {"google": "text", "outlook": "subject", "office365": "subject", "yahoo": "title"}
    places = {"google": "location", "outlook": "location", "office365": "location", "yahoo": "in_loc"}
    for name, link in links.items():
        split = urlsplit(link)
        assert (split.scheme, split.fragment) == ("https", "")
        assert link.isascii()
        assert not set(link) & set(" +\"'<>\\\r\n")
        query = parse_qsl(split.query, keep_blank_values=True, strict_parsing=True)
        assert len(query) == len(dict(query)) == 5 + (name in ("outlook", "office365")) * 2 + (name == "yahoo")
        assert dict(query)[titles[name]] == f"{service} with {mechanic}"
        where = dict(query)[places[name]]
        assert where == (join_url(LINK, kind) or lines_of(names[4]) or "Workshop")


@pytest.mark.parametrize("zone", ["America/Toronto", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("hours", range(-2, 3))
def test_links_say_the_instants_in_every_zone_also_when_clocks_change(zone: str, hours: int) -> None:
    change = VIDEO.start.replace(month=11, day=1, hour=6)
    start = change + timedelta(hours=hours)
    facts = replace(VIDEO, start=start, end=start + timedelta(minutes=90), customer_timezone=zone)
    basic = [f"{moment:%Y%m%dT%H%M%SZ}" for moment in (facts.start, facts.end)]
    queries = {name: dict(parse_qsl(urlsplit(link).query)) for name, link in calendar_links(facts).items()}
    assert queries["google"]["dates"].split("/") == [queries["yahoo"]["st"], queries["yahoo"]["et"]] == basic
    for name in ("outlook", "office365"):
        said = [queries[name][key].replace("-", "").replace(":", "") for key in ("startdt", "enddt")]
        assert said == basic


def test_the_reader_finds_what_was_put_in() -> None:
    """The control: a name that is written as it came adds a property, and the reader sees it."""
    calendar = written(replace(VIDEO, service_name="Brakes"))
    forged = calendar.replace("SUMMARY:Brakes", "SUMMARY:Brakes\r\nATTENDEE:mailto:rival@example.com\r\nX-A:")
    assert one_event(read(forged)).names.count("ATTENDEE") == 2
    with pytest.raises(AssertionError, match="not escaped"):
        _ = one_event(read(calendar.replace("SUMMARY:Brakes", "SUMMARY:Brakes; more")))["SUMMARY"].text
