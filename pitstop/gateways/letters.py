"""The mails to customers: texts from letter_texts/ in their language, in a frame of HTML and one of plain text."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from pitstop.domain.notices import BookingFacts, Notice, NoticeKind, waiver_url
from pitstop.gateways.calendar_links import NAMES, calendar_links
from pitstop.gateways.invite import Method, invite
from pitstop.gateways.letter_words import LetterWords, settled
from pitstop.gateways.wording import one_line
from pitstop.ports import CalendarPart, OutgoingMail
from pitstop.settings import Settings

TEMPLATES = Path(__file__).with_name("letter_templates")
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
        self._words = LetterWords(self._sender_name)
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

        One that goes to somebody else than the customer (`to_address` in its detail: a workshop) has the link that came
        with it, and never the customer's own. Raises `zoneinfo.ZoneInfoNotFoundError` for a zone that does not exist.
        """
        facts = _addressed(settled(notice.facts))
        words = self._filled(notice, facts)
        return OutgoingMail(
            message_id=self._message_id(notice),
            to_name=facts.customer_name,
            to_address=facts.customer_email,
            subject=words["subject"],
            text=self._templates.get_template("layout.txt").render(words),
            html=self._templates.get_template("layout.html").render(words),
            calendar=self._calendar(notice.kind, facts),
        )

    def _filled(self, notice: Notice, facts: BookingFacts) -> dict[str, Any]:
        filled = self._words.of(notice, facts)
        words = filled.words
        extra = [words["other_zone"]] if words["for_you"] else []
        return {
            **words,
            "subject": filled.text("subject"),
            "title": filled.text("title"),
            "lead": f"{words['hello']} {filled.text('lead')}",
            "paragraphs": extra + filled.paragraphs(),
            "action": filled.text("action"),
            "url": action_url(notice.kind, facts),
            "calendar_links": _calendar_links(notice.kind, facts),
            "width": max(len(label) for label, _ in words["rows"]) + len(words["colon"]) + 1,
        }

    def _calendar(self, kind: NoticeKind, facts: BookingFacts) -> CalendarPart | None:
        method = _INVITES.get(kind)
        if method is None or facts.untaken:
            return None
        names = {"organizer_address": self._sender_address, "organizer_name": self._sender_name}
        return invite(facts, method, now=self._clock(), **names)

    def _message_id(self, notice: Notice) -> str:
        """The notice's Message-ID (RFC 5322, 3.6.4): unique as the key is, and short enough never to be folded.

        Each sending that an operator has asked for has one of its own: mail servers and programs drop a second mail
        with an ID that they know, and whoever asks wants it to arrive. For that reason the tries of one sending share
        theirs.
        """
        sending = "" if notice.sending == 1 else f"#{notice.sending}"
        name = hashlib.sha256(f"{notice.key}{sending}".encode()).hexdigest()[:32]
        return f"<{name}@{self._sender_address.rpartition('@')[2]}>"


def action_url(kind: NoticeKind, facts: BookingFacts) -> str:
    """Where the notice leads: the link that came with it, else the customer's own for this booking."""
    url = facts.detail.get("url")
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        return url
    if kind is NoticeKind.WAIVER_REQUEST and facts.manage_url:
        return waiver_url(facts.manage_url)
    return (kind is NoticeKind.TAKEN and facts.join_url) or facts.manage_url


def _calendar_links(kind: NoticeKind, facts: BookingFacts) -> list[tuple[str, str]]:
    """Calendars on the web, which cannot open the invite: for the first one only, as no update finds what they copy."""
    if kind is not NoticeKind.CONFIRMATION:
        return []
    return [(NAMES[key], link) for key, link in calendar_links(facts).items()]


def _addressed(facts: BookingFacts) -> BookingFacts:
    address = facts.detail.get("to_address")
    if not isinstance(address, str):
        return facts
    name = facts.detail.get("to_name") or address
    return replace(facts, customer_name=str(name), customer_email=address, manage_url="", join_url="")
