"""What the mails say, for each kind of notice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.notices import BookingFacts, NoticeKind, waiver_url
from pitstop.gateways.calendar_links import calendar_links
from pitstop.gateways.letters import LetterWriter
from pitstop.ports import OutgoingMail
from pitstop.settings import Settings
from tests.gateways.samples import CONTROLS, NOW, VIDEO, in_person, notice, video

EN_DASH = "\u2013"
WRITER = LetterWriter(Settings(), clock=lambda: NOW)

every_kind = pytest.mark.parametrize("kind", NoticeKind)


def write(kind: NoticeKind, facts: BookingFacts = VIDEO, reminder_offset: timedelta | None = None) -> OutgoingMail:
    return WRITER.write(notice(kind, facts, reminder_offset))


class _Reader(HTMLParser):
    """The words of a page, its tags and its links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.tags, self.links = "", set[str](), list[str | None]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words += data


def both(mail: OutgoingMail) -> tuple[str, str]:
    """The words of the text and of the HTML, with single spaces and hyphens."""
    text, html = (" ".join(part.split()) for part in (mail.text, _Reader(mail.html).words))
    return text.replace(EN_DASH, "-"), html.replace(EN_DASH, "-")


@every_kind
def test_each_mail_says_what_when_where_and_links_to_the_booking(kind: NoticeKind) -> None:
    mail = write(kind, video(amount_refunded=4450))
    for part in both(mail):
        assert "Tuesday, 1 December 2026, 14:00-15:00 EST (America/Toronto)" in part
        assert "Engine noise check, Standard, 60 minutes" in part
        assert "Björn Åkesson" in part
        assert "Zoë Łukasiewicz" in part
        assert "Online, by video" in part
    link = waiver_url(VIDEO.manage_url) if kind is NoticeKind.WAIVER_REQUEST else VIDEO.manage_url
    assert link in mail.text
    calendars = calendar_links(VIDEO).values() if kind is NoticeKind.CONFIRMATION else ()
    assert _Reader(mail.html).links == [*calendars, link]
    assert (mail.to_name, mail.to_address) == ("Zoë Łukasiewicz", "zoe@example.com")


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (NoticeKind.CONFIRMATION, "Confirmed: "),
        (NoticeKind.REMINDER, "Reminder: "),
        (NoticeKind.CANCELLATION, "Cancelled: "),
        (NoticeKind.REFUND, "Refund of CA$44.50: "),
    ],
)
def test_the_subject_says_which_mail_it_is(kind: NoticeKind, subject: str) -> None:
    session = "Engine noise check with Björn Åkesson, Tue 1 Dec 2026, 14:00 EST"
    assert write(kind, video(amount_refunded=4450)).subject == subject + session


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (NoticeKind.CONFIRMATION, "REQUEST"),
        (NoticeKind.CANCELLATION, "CANCEL"),
        (NoticeKind.REMINDER, None),
        (NoticeKind.REFUND, None),
    ],
)
def test_confirmation_and_cancellation_carry_the_calendar_entry(kind: NoticeKind, method: str | None) -> None:
    calendar = write(kind).calendar
    assert (calendar.method if calendar else None) == method
    assert ("invite.ics" in write(kind).text) == (method is not None)


@every_kind
def test_typed_markup_is_text(kind: NoticeKind) -> None:
    script = '<script>alert("1")</script>'
    facts = in_person(
        customer_name=script,
        mechanic_name=script,
        service_name=script,
        plan_name=script,
        venue_address=script,
        manage_url='https://pitstop.example/"><script>',
    )
    mail = write(kind, facts)
    page = _Reader(mail.html)
    assert "script" not in page.tags
    assert page.words.count(script) >= 6
    assert script in mail.text


@every_kind
def test_control_characters_go_nowhere(kind: NoticeKind) -> None:
    name = f"Ann{CONTROLS}Bcc: rival@example.com"
    facts = in_person(customer_name=name, mechanic_name=name, service_name=name, plan_name=name, venue_address=name)
    mail = write(kind, facts)
    for part in (mail.subject, mail.to_name, mail.text, mail.html):
        assert not set(part) & set(CONTROLS.replace("\n", "").replace("[31m", ""))
    assert len(mail.subject.splitlines()) == len(mail.to_name.splitlines()) == 1
    assert not any(line.startswith("Bcc:") for line in mail.text.splitlines())


@every_kind
def test_a_name_is_never_a_template(kind: NoticeKind) -> None:
    mail = write(kind, video(customer_name="{{ facts.amount }} {0} %s", mechanic_name="{refunded}"))
    assert "{{ facts.amount }} {0} %s" in mail.text
    assert "{refunded}" in mail.subject


def test_in_person_the_times_are_the_venues_and_the_customers_stand_beside_them() -> None:
    for part in both(write(NoticeKind.CONFIRMATION, in_person())):
        assert "Tuesday, 1 December 2026, 12:00-13:00 MST (America/Vancouver)" in part
        assert "Tuesday, 1 December 2026, 14:00-15:00 EST (America/Toronto)" in part
        assert "The workshop is in another time zone than you" in part
        assert "12 Main St, Vancouver, BC; V5K 0A1" in part


def test_in_person_in_the_customers_own_zone_there_is_one_time() -> None:
    for part in both(write(NoticeKind.CONFIRMATION, in_person(venue_timezone="America/Toronto"))):
        assert "For you" not in part
        assert "another time zone" not in part


@pytest.mark.parametrize("kind", [kind for kind in SessionKind if kind is not SessionKind.IN_PERSON])
def test_online_the_venues_zone_is_not_mentioned(kind: SessionKind) -> None:
    for part in both(write(NoticeKind.CONFIRMATION, video(kind=kind))):
        assert "Stockholm" not in part
        assert "Online" in part


def test_on_the_day_of_a_clock_change_the_times_are_told_apart() -> None:
    facts = video(start=datetime(2026, 11, 1, 5, 30, tzinfo=UTC), end=datetime(2026, 11, 1, 6, 30, tzinfo=UTC))
    for part in both(write(NoticeKind.REMINDER, facts)):
        assert "01:30 EDT-01:30 EST (America/Toronto)" in part


def test_a_zone_without_an_abbreviation_shows_its_offset() -> None:
    for part in both(write(NoticeKind.REMINDER, video(customer_timezone="Asia/Kathmandu"))):
        assert "Wednesday, 2 December 2026, 00:45-01:45 UTC+05:45 (Asia/Kathmandu)" in part


def test_a_reminder_says_how_long_ahead_it_comes() -> None:
    for part in both(write(NoticeKind.REMINDER, reminder_offset=timedelta(hours=24))):
        assert "this is your reminder, 24 hours ahead" in part


def test_a_cancellation_promises_money_only_when_there_is_some() -> None:
    for part in both(write(NoticeKind.CANCELLATION, video(amount_refunded=8900))):
        assert "CA$89.00 goes back to the way you paid" in part
    for part in both(write(NoticeKind.CANCELLATION, video(amount_refunded=0))):
        assert "Goes back" in part
        assert "goes back" not in part


def test_the_message_id_is_the_keys() -> None:
    first = notice(NoticeKind.REMINDER)
    other = replace(first, key=first.key + "/3600")
    assert WRITER.write(first).message_id == WRITER.write(first).message_id
    assert WRITER.write(first).message_id != WRITER.write(other).message_id
    assert WRITER.write(first).message_id.endswith("@pitstop.example>")


@every_kind
def test_the_same_notice_is_the_same_mail(kind: NoticeKind) -> None:
    assert WRITER.write(notice(kind)) == LetterWriter(Settings(), clock=lambda: NOW).write(notice(kind))
