"""Bookings and notices for the tests of mails and invites."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.notices import BookingFacts, Notice, NoticeKind
from pitstop.ports import OutgoingMail

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)

# Spelled with escapes, as the editor of these lines would not show them.
CONTROLS = "\r\n\x00\x1b[31m\x85\u2028\u2029\u202e"

VIDEO = BookingFacts(
    booking_id=UUID("0193c1a0-0000-7000-8000-000000000001"),
    kind=SessionKind.VIDEO,
    service_name="Engine noise check",
    plan_name="Standard, 60 minutes",
    mechanic_name="Björn Åkesson",
    customer_name="Zoë Łukasiewicz",
    customer_email="zoe@example.com",
    start=datetime(2026, 12, 1, 19, 0, tzinfo=UTC),
    end=datetime(2026, 12, 1, 20, 0, tzinfo=UTC),
    customer_timezone="America/Toronto",
    venue_timezone="Europe/Stockholm",
    venue_address=None,
    amount=8900,
    amount_paid=8900,
    amount_refunded=0,
    currency="cad",
    manage_url="https://pitstop.example/manage/abc?token=x.y-z&lang=en",
    invite_uid="0193c1a0-0000-7000-8000-000000000001@pitstop.example",
    invite_sequence=0,
)

IN_PERSON = replace(
    VIDEO,
    kind=SessionKind.IN_PERSON,
    venue_timezone="America/Vancouver",
    venue_address="12 Main St\nVancouver, BC; V5K 0A1",
)


def video(**changes: Any) -> BookingFacts:
    return replace(VIDEO, **changes)


def in_person(**changes: Any) -> BookingFacts:
    return replace(IN_PERSON, **changes)


def notice(kind: NoticeKind, facts: BookingFacts = VIDEO, reminder_offset: timedelta | None = None) -> Notice:
    return Notice(key=f"{facts.booking_id}/{kind}", kind=kind, facts=facts, reminder_offset=reminder_offset)


def mail(**changes: Any) -> OutgoingMail:
    """A mail without an invite."""
    plain = OutgoingMail(
        message_id="<0123456789abcdef@pitstop.example>",
        to_name="Zoë",
        to_address="zoe@example.com",
        subject="Confirmed",
        text="Hello.\n",
        html="<p>Hello.</p>\n",
    )
    return replace(plain, **changes)
