"""The mails to customers: each kind of notice is a pair of templates, HTML and plain text, over a common layout."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.notices import BookingFacts, Notice, NoticeKind
from pitstop.gateways.calendar_links import NAMES, calendar_links
from pitstop.gateways.invite import Method, invite
from pitstop.gateways.wording import money, one_line, session_time, shown_zone, span, start_time, tidied
from pitstop.ports import CalendarPart, OutgoingMail
from pitstop.settings import Settings

TEMPLATES = Path(__file__).with_name("letter_templates")

_SUBJECTS = {
    NoticeKind.CONFIRMATION: "Confirmed: {session}",
    NoticeKind.REMINDER: "Reminder: {session}",
    NoticeKind.CANCELLATION: "Cancelled: {session}",
    NoticeKind.REFUND: "Refund of {refunded}: {session}",
    NoticeKind.RESCHEDULED: "Moved: {session}",
    NoticeKind.NO_SHOW: "Missed: {session}",
    NoticeKind.HANDED_OVER: "New mechanic: {session}",
    NoticeKind.AT_RISK: "At risk: {session}",
    NoticeKind.WORKSHOP_REQUEST: "Please confirm: {session}",
    NoticeKind.WORKSHOP_ASKED: "Paid, the workshop is asked: {session}",
    NoticeKind.WORKSHOP_PROPOSAL: "The workshop proposes another time: {session}",
    NoticeKind.WORKSHOP_DECLINED: "The workshop cannot take you: {session}",
    NoticeKind.REFERRAL: "Recommended: an appointment after {session}",
    NoticeKind.PROPOSAL: "Proposed: another time for {session}",
}
# A reminder leaves the calendar entry as it is; a refund may be for a booking that never had one.
_INVITES: dict[NoticeKind, Method] = {
    NoticeKind.CONFIRMATION: "REQUEST",
    NoticeKind.RESCHEDULED: "REQUEST",
    NoticeKind.HANDED_OVER: "REQUEST",
    NoticeKind.CANCELLATION: "CANCEL",
    NoticeKind.WORKSHOP_DECLINED: "CANCEL",
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LetterWriter:
    """The port `MailWriter`. The same notice gives the same mail, except for the DTSTAMP of its invite (`clock`)."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = _utc_now) -> None:
        self._sender_name = one_line(settings.mail_from_name)
        self._sender_address = settings.mail_from
        self._clock = clock
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def write(self, notice: Notice) -> OutgoingMail:
        """The mail for a notice. Texts that people typed are on one line each, escaped in HTML.

        Raises `zoneinfo.ZoneInfoNotFoundError` for a zone that does not exist.
        """
        facts = tidied(notice.facts)
        words = self._words(notice, facts)
        return OutgoingMail(
            message_id=self._message_id(notice.key),
            to_name=facts.customer_name,
            to_address=facts.customer_email,
            subject=words["subject"] or "",
            text=self._render(notice.kind, "txt", facts, words),
            html=self._render(notice.kind, "html", facts, words),
            calendar=self._calendar(notice.kind, facts),
        )

    def _render(self, kind: NoticeKind, form: str, facts: BookingFacts, words: dict[str, Any]) -> str:
        return self._templates.get_template(f"{kind}.{form}").render(words, facts=facts)

    def _words(self, notice: Notice, facts: BookingFacts) -> dict[str, Any]:
        refunded = money(facts.amount_refunded, facts.currency)
        session = f"{facts.service_name} with {facts.mechanic_name}, {start_time(facts)}"
        return {
            "subject": _SUBJECTS[notice.kind].format(session=session, refunded=refunded),
            "sender": self._sender_name,
            "when": session_time(facts, shown_zone(facts)),
            "when_for_customer": _when_for_customer(facts),
            "where": _where(facts),
            "amount": money(facts.amount, facts.currency),
            "refunded": refunded,
            "calendar_links": [(NAMES[key], link) for key, link in calendar_links(facts).items()],
            "ahead": span(notice.reminder_offset) if notice.reminder_offset else None,
        }

    def _calendar(self, kind: NoticeKind, facts: BookingFacts) -> CalendarPart | None:
        method = _INVITES.get(kind)
        if method is None:
            return None
        names = {"organizer_address": self._sender_address, "organizer_name": self._sender_name}
        return invite(facts, method, now=self._clock(), **names)

    def _message_id(self, key: str) -> str:
        """The key's Message-ID (RFC 5322, 3.6.4): unique as the key is, and short enough never to be folded."""
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return f"<{name}@{self._sender_address.rpartition('@')[2]}>"


def _when_for_customer(facts: BookingFacts) -> str | None:
    """The time in the customer's own zone, where that is not the shown one."""
    if facts.customer_timezone == shown_zone(facts):
        return None
    return session_time(facts, facts.customer_timezone)


def _where(facts: BookingFacts) -> str:
    match facts.kind:
        case SessionKind.VIDEO:
            return "Online, by video"
        case SessionKind.CHAT:
            return "Online, by chat"
        case SessionKind.DIAGNOSTIC:
            return "Online, as a remote diagnostic"
        case SessionKind.IN_PERSON:
            return facts.venue_address or "At the workshop"
