"""Amounts, times and one-line texts as customers read them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.gateways.wording import money, one_line, session_time, span, start_time
from tests.gateways.samples import CONTROLS, VIDEO, in_person, video

EN_DASH = "\u2013"


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (8900, "cad", "CA$89.00"),
        (5, "cad", "CA$0.05"),
        (0, "eur", "€0.00"),
        (123456789, "usd", "US$1,234,567.89"),
        (8900, "nok", "89.00 NOK"),
        (500, "jpy", "¥500"),
        (12000, "krw", "12,000 KRW"),
        (5120, "kwd", "5.120 KWD"),
        (500, "ugx", "5.00 UGX"),
    ],
)
def test_money_is_written_from_stripes_minor_units(amount: int, currency: str, text: str) -> None:
    assert money(amount, currency) == text


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("America/Toronto", "Tuesday, 1 December 2026, 14:00-15:00 EST (America/Toronto)"),
        ("Asia/Kathmandu", "Wednesday, 2 December 2026, 00:45-01:45 UTC+05:45 (Asia/Kathmandu)"),
        ("America/Sao_Paulo", "Tuesday, 1 December 2026, 16:00-17:00 UTC-03:00 (America/Sao_Paulo)"),
        ("Europe/Moscow", "Tuesday, 1 December 2026, 22:00-23:00 MSK (Europe/Moscow)"),
        (
            "Asia/Karachi",
            "Wednesday, 2 December 2026, 00:00-01:00 PKT (Asia/Karachi)",
        ),
        (
            "Asia/Yerevan",
            "Tuesday, 1 December 2026, 23:00-Wednesday, 2 December 2026, 00:00 UTC+04:00 (Asia/Yerevan)",
        ),
        ("UTC", "Tuesday, 1 December 2026, 19:00-20:00 UTC (UTC)"),
    ],
)
def test_a_time_names_its_zone(zone: str, text: str) -> None:
    assert session_time(VIDEO, zone).replace(EN_DASH, "-") == text


def test_a_time_across_a_clock_change_has_both_abbreviations() -> None:
    facts = video(start=datetime(2026, 11, 1, 5, 30, tzinfo=UTC), end=datetime(2026, 11, 1, 6, 30, tzinfo=UTC))
    text = session_time(facts, "America/Toronto").replace(EN_DASH, "-")
    assert text == "Sunday, 1 November 2026, 01:30 EDT-01:30 EST (America/Toronto)"


def test_in_person_the_start_is_the_venues() -> None:
    assert start_time(VIDEO) == "Tue 1 Dec 2026, 14:00 EST"
    assert start_time(in_person()) == "Tue 1 Dec 2026, 12:00 MST"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(86400, "24 hours"), (3600, "1 hour"), (5400, "90 minutes"), (60, "1 minute"), (20, "20 seconds")],
)
def test_a_span_is_in_its_largest_whole_unit(seconds: int, text: str) -> None:
    assert span(timedelta(seconds=seconds)) == text


def test_one_line_takes_out_what_ends_a_line_or_turns_text() -> None:
    assert one_line(f"  Ann{CONTROLS}Lee\ud800 ") == "Ann [31m Lee"


def test_one_line_keeps_joined_emoji_and_other_scripts() -> None:
    assert one_line("👩\u200d🔧 علی 小林") == "👩\u200d🔧 علی 小林"


@given(st.text())
def test_one_line_is_one_encodable_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.encode().decode() == line == one_line(line)
