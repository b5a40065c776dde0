"""One entry for a booking's whole life: whatever order its mails arrive in, calendars end in the state of the last."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.domain.notices import BookingFacts
from pitstop.gateways.invite import Method, invite
from tests.gateways.samples import NOW, VIDEO, video
from tests.invites.calendar_client import CalendarClient
from tests.invites.reader import Component, read

SLOTS = st.integers(0, 200_000).map(lambda n: datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=15 * n))
ZONES = st.sampled_from(["America/Toronto", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
MECHANICS = st.sampled_from(["Björn Åkesson", "Zoé; Bélanger, \\n", "منى"])


def written(facts: BookingFacts, method: Method, version: int) -> str:
    moment = NOW + timedelta(seconds=version)
    address = {"organizer_address": "bookings@pitstop.example", "organizer_name": "Pitstop"}
    return invite(facts, method, now=moment, **address).content


@st.composite
def lives(draw: st.DrawFn) -> list[str]:
    """The invites of a booking: confirmed, then moved and handed over some times, then perhaps cancelled."""
    facts = video(customer_timezone=draw(ZONES))
    messages = [written(facts, "REQUEST", 0)]
    for sequence, start in enumerate(draw(st.lists(SLOTS, max_size=5)), 1):
        facts = replace(facts, start=start, end=start + timedelta(hours=1), mechanic_name=draw(MECHANICS))
        facts = replace(facts, invite_sequence=sequence)
        messages.append(written(facts, "REQUEST", sequence))
    if draw(st.booleans()):
        last = facts.invite_sequence + 1
        messages.append(written(replace(facts, invite_sequence=last), "CANCEL", last))
    return messages


def event(message: str) -> Component:
    [found] = read(message).of("VEVENT")
    return found


@settings(deadline=None)
@given(lives())
def test_one_uid_and_a_sequence_that_counts_the_changes(messages: list[str]) -> None:
    events = [event(message) for message in messages]
    assert {each["UID"].value for each in events} == {VIDEO.invite_uid}
    assert {each["ORGANIZER"].value for each in events} == {"mailto:bookings@pitstop.example"}
    assert [int(each["SEQUENCE"].value) for each in events] == list(range(len(messages)))
    stamps = [each["DTSTAMP"].value for each in events]
    assert stamps == sorted(stamps)


@settings(deadline=None)
@given(lives(), st.data())
def test_in_any_order_calendars_end_in_the_last_state(messages: list[str], data: st.DataObject) -> None:
    in_order = CalendarClient(VIDEO.customer_email)
    for message in messages:
        in_order.take(message)
    assert len(in_order.shown) == ("METHOD:REQUEST" in messages[-1])
    again = data.draw(st.lists(st.sampled_from(messages), max_size=3))
    out_of_order = CalendarClient(VIDEO.customer_email)
    for message in data.draw(st.permutations(messages + again)):
        out_of_order.take(message)
    assert out_of_order.known == in_order.known


def test_an_attempt_that_is_repeated_changes_nothing_but_its_stamp() -> None:
    client = CalendarClient(VIDEO.customer_email)
    for version in (0, 5, 3):
        client.take(written(VIDEO, "REQUEST", version))
    [entry] = client.shown
    assert (entry.sequence, entry.stamp) == (0, "20261124T093005Z")


def test_without_a_higher_sequence_a_move_that_overtakes_would_be_lost() -> None:
    """The control: the model does tell orders apart."""
    moved = video(start=VIDEO.start + timedelta(days=1), end=VIDEO.end + timedelta(days=1))
    first, second = written(VIDEO, "REQUEST", 1), written(moved, "REQUEST", 0)
    ends = []
    for messages in ([first, second], [second, first]):
        client = CalendarClient(VIDEO.customer_email)
        for message in messages:
            client.take(message)
        ends.append(client.shown[0].start)
    assert ends == ["20261201T140000 America/Toronto"] * 2, "the move went unseen"


def test_another_organizer_changes_nothing() -> None:
    client = CalendarClient(VIDEO.customer_email)
    client.take(written(VIDEO, "REQUEST", 0))
    forged = written(video(invite_sequence=9), "CANCEL", 9).replace("bookings@pitstop", "rival@pitstop")
    client.take(forged)
    assert len(client.shown) == 1
