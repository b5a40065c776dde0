"""The texts of all notices in all languages (letter_texts/), filled in with the facts of a booking."""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from pitstop.domain.notices import BookingFacts, Language, Notice, NoticeKind
from pitstop.gateways.phrasing import PHRASINGS, Phrasing
from pitstop.gateways.wording import one_line, shown_zone, tidied

TEXTS = Path(__file__).with_name("letter_texts")
_SHORT_NAME = 30
# What a notice's `detail` may bring along: texts that people typed, and instants in ISO 8601.
_TYPED = ("reason", "offered_mechanic", "previous_mechanic", "absent", "silent")
_INSTANTS = ("offered_start", "previous_start", "until")
# Of the rows below the session's own, those that each kind has; one without a value is left out.
_MONEY_ROWS = ("paid", "refunded", "kept")
_ROWS: dict[NoticeKind, tuple[str, ...]] = {
    NoticeKind.CONFIRMATION: ("paid",),
    NoticeKind.CANCELLATION: ("reason", *_MONEY_ROWS),
    NoticeKind.REFUND: _MONEY_ROWS,
    NoticeKind.NO_SHOW: ("reason", *_MONEY_ROWS),
    NoticeKind.NOT_TAKEN: _MONEY_ROWS,
    NoticeKind.RESCHEDULED: ("previous_start", "reason"),
    NoticeKind.DIFFERENCE_RETURNED: ("returned",),
    NoticeKind.PROPOSAL: ("offered_start", "offered_mechanic", "reason", "until"),
    NoticeKind.HANDED_OVER: ("previous_mechanic", "reason"),
    NoticeKind.WAITLIST_OFFER: ("until",),
    NoticeKind.WORKSHOP_REQUEST: ("until",),
    NoticeKind.WORKSHOP_ASKED: ("paid", "until"),
    NoticeKind.WORKSHOP_PROPOSAL: ("offered_start", "reason", "until"),
    NoticeKind.WORKSHOP_DECLINED: ("reason", *_MONEY_ROWS),
}


def catalogue(language: Language) -> dict[str, dict[str, Any]]:
    """All entries of a language, by kind; and `labels`, `places` and `frame`."""
    return tomllib.loads((TEXTS / f"{language}.toml").read_text(encoding="utf-8"))


class FilledIn:
    """One notice's texts. What people typed is on one line each, and never a template."""

    def __init__(self, words: Mapping[str, Any], texts: Mapping[str, Any], templates: Environment) -> None:
        self.words = words
        self._texts = texts
        self._templates = templates

    def text(self, name: str) -> str:
        return self._fill(self._texts[name])

    def paragraphs(self) -> list[str]:
        return [text for text in map(self._fill, self._texts["paragraphs"]) if text]

    def _fill(self, text: str) -> str:
        template: Template = self._templates.from_string(text)
        return template.render(self.words).strip()


class LetterWords:
    """Fills in the catalogues. The templates are ours and few: each is compiled once."""

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._catalogues = {language: catalogue(language) for language in Language}
        self._templates = Environment(undefined=StrictUndefined, cache_size=1000, autoescape=False)  # noqa: S701 - plain text

    def of(self, notice: Notice, facts: BookingFacts, *, short: bool = False) -> FilledIn:
        """`short`: for a text message, with names that are cut and times that take less room."""
        texts, phrasing = self._catalogues[facts.language], PHRASINGS[facts.language]
        words = _words(notice, facts, texts, phrasing, short=short) | {"sender": self._sender}
        frame = FilledIn(words, texts["frame"], self._templates)
        words |= {name: frame.text(name) for name in texts["frame"]}
        words["rows"] = list(_rows(notice.kind, words, texts["labels"]))
        return FilledIn(words, texts[notice.kind], self._templates)


def settled(facts: BookingFacts) -> BookingFacts:
    """The facts with every text on one line, what a notice brings along too."""
    detail = {name: one_line(value) if isinstance(value, str) else value for name, value in facts.detail.items()}
    return tidied(facts, detail)


def _words(
    notice: Notice, facts: BookingFacts, texts: Mapping[str, Any], phrasing: Phrasing, *, short: bool
) -> dict[str, Any]:
    zone = shown_zone(facts)
    service, mechanic = (_cut(name) if short else name for name in (facts.service_name, facts.mechanic_name))
    start = phrasing.short_moment(facts.start, zone) if short else phrasing.start_time(facts)
    own = facts.customer_timezone
    return {
        "tag": phrasing.tag,
        "colon": phrasing.colon,
        "booking_id": facts.booking_id,
        "customer": facts.customer_name,
        "mechanic": None if facts.untaken else mechanic,
        "service": f"{facts.service_name}, {facts.plan_name}",
        "session": service
        if facts.untaken
        else phrasing.joined.format(service=service, mechanic=mechanic, start=start),
        "when": None if facts.untaken else phrasing.session_time(facts, zone),
        "for_you": phrasing.session_time(facts, own) if own != zone and not facts.untaken else None,
        "where": facts.venue_address or texts["places"][facts.kind],
        "amount": phrasing.money(facts.amount, facts.currency),
        "refunded": phrasing.money(facts.amount_refunded, facts.currency),
        "kept": phrasing.money(facts.amount_kept, facts.currency),
        "returned": phrasing.money(facts.detail.get("returned", 0), facts.currency),
        "added": phrasing.money(facts.detail.get("added", 0), facts.currency),
        "returned_some": facts.detail.get("returned", 0) > 0,
        "added_some": facts.detail.get("added", 0) > 0,
        "difference": phrasing.money(facts.detail.get("difference", 0), facts.currency),
        "refunded_some": facts.amount_refunded > 0,
        "kept_some": facts.amount_kept > 0,
        "tentative": facts.is_tentative,
        "ahead": phrasing.span(notice.reminder_offset) if notice.reminder_offset else None,
        **{name: facts.detail.get(name) for name in _TYPED},
        **_instants(facts, phrasing, zone),
    }


def _instants(facts: BookingFacts, phrasing: Phrasing, zone: str) -> dict[str, str | None]:
    """In the zone that the session's own time is shown in; each also short."""
    moments = {name: facts.detail.get(name) for name in _INSTANTS}
    moments["previous_start"] = facts.previous_start or moments["previous_start"]
    moments["answer_by"] = facts.answer_by if facts.unanswered == "awaiting" else None
    said: dict[str, str | None] = {}
    for name, value in moments.items():
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        said[name] = phrasing.moment(moment, zone) if moment else None
        said[f"{name.removesuffix('_start')}_short"] = phrasing.short_moment(moment, zone) if moment else None
    return said


def _rows(kind: NoticeKind, words: Mapping[str, Any], labels: Mapping[str, str]) -> list[tuple[str, str]]:
    values = dict(words) | {"paid": words["amount"], "kept": words["kept"] if words["kept_some"] else None}
    wanted = ("when", "for_you", "where", "service", "mechanic", *_ROWS.get(kind, ()))
    return [(labels[name], values[name]) for name in wanted if values[name] is not None]


def _cut(name: str) -> str:
    return name if len(name) <= _SHORT_NAME else name[: _SHORT_NAME - 1].rstrip() + "."
