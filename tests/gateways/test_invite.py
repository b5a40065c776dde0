"""The calendar entries, read back by the library and by eye (folding, line ends)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from pitstop.domain.notices import BookingFacts
from pitstop.gateways.invite import Method, invite
from pitstop.gateways.wording import one_line
from tests.gateways.samples import CONTROLS, NOW, VIDEO, in_person, video


def written(facts: BookingFacts = VIDEO, method: Method = "REQUEST") -> str:
    part = invite(facts, method, now=NOW, organizer_address="bookings@pitstop.example", organizer_name="Pitstop")
    assert part.method == method
    return part.content


def read(content: str) -> tuple[Calendar, Any]:
    """The calendar and its one event, whose properties have too many types to name."""
    calendar = Calendar.from_ical(content)
    assert isinstance(calendar, Calendar)
    (event,) = calendar.walk("VEVENT")
    return calendar, event


def test_a_request_has_all_that_itip_asks_of_it() -> None:
    calendar, event = read(written())
    assert (calendar["METHOD"], calendar["VERSION"]) == ("REQUEST", "2.0")
    assert calendar["PRODID"]
    assert (event["UID"], event["SEQUENCE"], event["STATUS"]) == (VIDEO.invite_uid, 0, "CONFIRMED")
    assert event["DTSTAMP"].dt == NOW
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (VIDEO.start, VIDEO.end)
    assert event["DTSTART"].params["TZID"] == event["DTEND"].params["TZID"] == "America/Toronto"
    assert event["SUMMARY"] == "Engine noise check with Björn Åkesson"
    assert event["LOCATION"] == "Online"
    assert event["TRANSP"] == "OPAQUE"
    assert VIDEO.manage_url in event["DESCRIPTION"]
    assert event["URL"] == VIDEO.manage_url


def test_organizer_and_attendee_are_sender_and_customer() -> None:
    _, event = read(written())
    organizer, attendee = event["ORGANIZER"], event["ATTENDEE"]
    assert (organizer, organizer.params["CN"]) == ("mailto:bookings@pitstop.example", "Pitstop")
    assert attendee == "mailto:zoe@example.com"
    assert dict(attendee.params) == {
        "CN": "Zoë Łukasiewicz",
        "CUTYPE": "INDIVIDUAL",
        "ROLE": "REQ-PARTICIPANT",
        "PARTSTAT": "ACCEPTED",
        "RSVP": "FALSE",
    }


def test_a_request_rings_an_hour_before() -> None:
    _, event = read(written())
    (alarm,) = event.walk("VALARM")
    assert (alarm["ACTION"], alarm["TRIGGER"].dt) == ("DISPLAY", timedelta(hours=-1))


def test_a_cancel_is_of_the_same_entry() -> None:
    calendar, event = read(written(video(invite_sequence=3), "CANCEL"))
    assert calendar["METHOD"] == "CANCEL"
    assert (event["UID"], event["SEQUENCE"], event["STATUS"]) == (VIDEO.invite_uid, 3, "CANCELLED")
    assert event["TRANSP"] == "TRANSPARENT"
    assert not event.walk("VALARM")
    assert event["ORGANIZER"]
    assert event["ATTENDEE"]


@pytest.mark.parametrize("unanswered", ["awaiting", "proposed"])
def test_what_the_workshop_has_not_confirmed_is_tentative(unanswered: str) -> None:
    calendar, event = read(written(in_person(unanswered=unanswered)))
    assert (calendar["METHOD"], event["STATUS"], event["TRANSP"]) == ("REQUEST", "TENTATIVE", "OPAQUE")
    assert event["X-MICROSOFT-CDO-BUSYSTATUS"] == "TENTATIVE"
    assert event["DESCRIPTION"].startswith("The workshop has not confirmed it yet.\n")
    _, ended = read(written(in_person(unanswered=unanswered), "CANCEL"))
    assert (ended["STATUS"], ended["TRANSP"]) == ("CANCELLED", "TRANSPARENT")


def test_in_person_the_entry_is_in_the_venues_zone_at_its_address() -> None:
    _, event = read(written(in_person()))
    assert event["DTSTART"].params["TZID"] == "America/Vancouver"
    assert event["LOCATION"] == "12 Main St, Vancouver, BC; V5K 0A1"


@pytest.mark.parametrize("zone", ["America/Toronto", "Asia/Kathmandu", "Europe/Dublin", "Africa/Casablanca"])
def test_the_zone_travels_with_the_entry_and_reads_the_same(zone: str) -> None:
    content = written(video(customer_timezone=zone))
    calendar, event = read(content)
    assert calendar.get_missing_tzids() == set()
    (timezone,) = calendar.timezones
    assert timezone.tz_name == zone
    assert event["DTSTART"].dt.utcoffset() == timezone.to_tz().utcoffset(event["DTSTART"].dt.replace(tzinfo=None))
    assert len(content) < 4000


@pytest.mark.parametrize("zone", ["America/Toronto", "Europe/Dublin", "Australia/Lord_Howe", "America/Santiago"])
@pytest.mark.parametrize("season", [datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 10, 20, tzinfo=UTC)])
def test_the_zones_clock_changes_are_where_the_tz_database_has_them(zone: str, season: datetime) -> None:
    """An onset is in the local time of before (RFC 5545, 3.6.5): so read, it is the instant of the change."""
    calendar, _ = read(written(video(customer_timezone=zone, start=season, end=season + timedelta(hours=1))))
    timezone: Any = calendar.timezones[0]
    changes = [o for o in (*timezone.standard, *timezone.daylight) if o.TZOFFSETFROM != o.TZOFFSETTO]
    assert changes
    for change in changes:
        assert "RDATE" not in change
        onset = change.DTSTART.replace(tzinfo=UTC) - change.TZOFFSETFROM
        before, after = (moment.astimezone(ZoneInfo(zone)) for moment in (onset - timedelta(seconds=1), onset))
        assert (before.utcoffset(), after.utcoffset()) == (change.TZOFFSETFROM, change.TZOFFSETTO)


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "GMT"])
def test_universal_time_needs_no_zone(zone: str) -> None:
    content = written(video(customer_timezone=zone))
    assert "DTSTART:20261201T190000Z" in content
    assert "VTIMEZONE" not in content


@pytest.mark.parametrize(
    ("start", "lines"),
    [
        # 00:30 EDT to 01:30 EDT: before the hour that is repeated
        (datetime(2026, 11, 1, 4, 30, tzinfo=UTC), ["DTSTART;TZID=America/Toronto:20261101T003000"]),
        # 01:30 EDT to 01:30 EST: the end is in its second pass, which TZID cannot say
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), ["DTSTART:20261101T053000Z", "DTEND:20261101T063000Z"]),
        # 02:00 EST on: after it
        (datetime(2026, 11, 1, 7, 0, tzinfo=UTC), ["DTSTART;TZID=America/Toronto:20261101T020000"]),
        # 01:30 EST to 03:30 EDT in spring: the hour left out lies between
        (datetime(2027, 3, 14, 6, 30, tzinfo=UTC), ["DTEND;TZID=America/Toronto:20270314T033000"]),
    ],
)
def test_on_the_day_of_a_clock_change_the_instants_are_right(start: datetime, lines: list[str]) -> None:
    content = written(video(start=start, end=start + timedelta(hours=1)))
    _, event = read(content)
    assert set(lines) <= set(content.split("\r\n"))
    # compared in UTC: between zones, a time in the repeated hour equals none (PEP 495)
    instants = [event[name].dt.astimezone(UTC) for name in ("DTSTART", "DTEND")]
    assert instants == [start, start + timedelta(hours=1)]


def test_around_new_year_the_zone_covers_the_entry() -> None:
    start = datetime(2027, 1, 1, 4, 30, tzinfo=UTC)
    calendar, event = read(written(video(start=start, end=start + timedelta(hours=1))))
    assert event["DTSTART"].dt.year == 2026
    assert event["DTEND"].dt.year == 2027
    assert calendar.get_missing_tzids() == set()


def test_long_names_in_other_scripts_fold_at_75_octets_and_come_back_whole() -> None:
    name = "渡辺ジョーンズ・ダニエル太郎 👩\u200d🔧 Žofie " * 12
    content = written(video(customer_name=name, mechanic_name=name))
    lines = content.encode().split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert b"\n" not in content.encode().replace(b"\r\n", b"")
    for line in lines:
        line.decode()  # folded between characters, not inside one
    _, event = read(content)
    assert event["ATTENDEE"].params["CN"] == name.strip()
    assert event["SUMMARY"] == f"Engine noise check with {name.strip()}"


INJECTION = f'x";ROLE=CHAIR:mailto:rival@example.com{CONTROLS}ATTENDEE:mailto:rival@example.com\r\nEND:VEVENT\\n;,^n'


def test_typed_text_adds_no_line_and_no_parameter() -> None:
    facts = in_person(
        customer_name=INJECTION,
        mechanic_name=INJECTION,
        service_name=INJECTION,
        plan_name=INJECTION,
        venue_address=INJECTION,
        customer_email="zoe@example.com\r\nATTENDEE:mailto:rival@example.com",
        manage_url="https://pitstop.example/\r\nATTENDEE:mailto:rival@example.com",
        invite_uid="uid\r\nATTENDEE:mailto:rival@example.com",
    )
    _, event = read(written(facts))
    assert not isinstance(event["ATTENDEE"], list)
    assert event["ATTENDEE"].params["CN"] == one_line(INJECTION), "quotes and carets too"
    assert event["ATTENDEE"].params["ROLE"] == "REQ-PARTICIPANT"
    assert event["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"
    assert event.property_items()[0] == ("BEGIN", b"VEVENT")
    assert "END:VEVENT" in event["LOCATION"]


@given(st.text(max_size=200))
def test_any_text_comes_back_as_one_line(text: str) -> None:
    _, event = read(written(video(customer_name=text, service_name=text)))
    assert event["SUMMARY"] == f"{one_line(text)} with Björn Åkesson"
    assert event["ATTENDEE"].params["ROLE"] == "REQ-PARTICIPANT"
