"""A booking in its customer's words, for the pages on which it is managed and paid: as the mails say it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.page_words import WORDS, PageWords
from api.sheets import Sheet
from pitstop.domain.booking import BookingStatus
from pitstop.domain.notices import BookingFacts, NoticeKind
from pitstop.gateways.calendar_links import NAMES, calendar_links
from pitstop.gateways.wording import one_line, shown_zone, tidied

# Entries about what somebody has changed, with a reason if one was given.
_WITH_REASON = (
    *("rescheduled", "cancelled", "handed_over", "no_show", "proposed", "workshop_proposed", "workshop_declined"),
    "supplement_requested",
)
_TOLD = ("mail_sent", "mail_not_sent", "text_sent", "text_not_sent")
# A status is coloured by its class in the style sheet.
_WAITING = (BookingStatus.HOLDING, BookingStatus.AWAITING_PAYMENT, BookingStatus.PENDING)
_GOOD = (BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class State:
    """A status in words."""

    title: str
    tone: str
    text: str


def words_of(sheet: Sheet) -> PageWords:
    return WORDS[sheet.facts.language]


def manage_words(sheet: Sheet, now: datetime) -> dict[str, Any]:
    words, facts = words_of(sheet), tidied(sheet.facts)
    phrasing, zone = words.phrasing, facts.customer_timezone
    # A no to the workshop's proposal ends the booking.
    ends = facts.unanswered == "proposed"
    return {
        "words": words,
        "facts": facts,
        "heading": words.say("manage", "heading", service=facts.service_name, mechanic=_mechanic(facts)),
        "state": _state(sheet, words),
        "when": None if facts.untaken else phrasing.session_time(facts, zone),
        "when_there": _when_there(facts, words),
        "where": facts.venue_address or words.say("places", facts.kind),
        "amount": phrasing.money(facts.amount, facts.currency),
        "calendars": _calendars(sheet),
        "money": _money(sheet, words),
        "proposed": words.say("manage", "proposed_by_workshop" if ends else "proposed"),
        "none": words.say("manage", "none_of_workshop" if ends else "none"),
        "options": [_option(each, facts, words) for each in sheet.options or ()],
        "supplement": _supplement(sheet.supplement, facts, words) if sheet.supplement else None,
        "timeline": [_entry(event, facts, words) for event in sheet.timeline],
        "waiting_room": _waiting_room(sheet, facts, words, now),
        "can_join": sheet.can_be_joined(now),
    }


def pay_words(sheet: Sheet) -> dict[str, Any]:
    """What is to be paid for, how much, and until when: the booking itself, or the difference of a dearer plan."""
    words, facts, until = words_of(sheet), tidied(sheet.facts), sheet.hold_expires_at
    amount = facts.amount
    if sheet.status is not BookingStatus.AWAITING_PAYMENT and sheet.supplement is not None:
        facts, amount = _aimed_at(sheet.supplement, facts), sheet.supplement["amount"]
        until = datetime.fromisoformat(sheet.supplement["until"])
    when = None if facts.untaken else words.phrasing.session_time(facts, facts.customer_timezone)
    money = words.phrasing.money(amount, facts.currency)
    return {
        "words": words,
        "heading": words.say("pay", "heading", amount=money),
        "what": words.say("pay", "what", service=facts.service_name, mechanic=_mechanic(facts), when=when),
        "until": words.say("pay", "until", until=_moment(until, facts, words)) if until else None,
        "button": words.say("pay", "button", amount=money),
    }


def _mechanic(facts: BookingFacts) -> str | None:
    return None if facts.untaken else facts.mechanic_name


def _moment(at: datetime, facts: BookingFacts, words: PageWords) -> str:
    return words.phrasing.moment(at, facts.customer_timezone)


def _state(sheet: Sheet, words: PageWords) -> State:
    status, facts = sheet.status, tidied(sheet.facts)
    if facts.unanswered is not None:
        by = _moment(facts.answer_by, facts, words) if facts.answer_by else None
        said = {name: words.say("unanswered", facts.unanswered, name, until=by) for name in ("title", "text")}
        return State(said["title"], "waiting", said["text"])
    if facts.mechanic_away:
        return State(words.say("away", "title"), "waiting", words.say("away", "text", mechanic=facts.mechanic_name))
    group = "untaken" if facts.untaken and words.has("untaken", status) else "status"
    until = _moment(sheet.hold_expires_at, facts, words) if sheet.hold_expires_at else ""
    tone = "waiting" if status in _WAITING else "good" if status in _GOOD else "over"
    return State(words.say(group, status, "title"), tone, words.say(group, status, "text", until=until))


def _when_there(facts: BookingFacts, words: PageWords) -> str | None:
    """The time at the workshop, where that is in another zone than the customer."""
    zone = shown_zone(facts)
    if facts.untaken or zone == facts.customer_timezone:
        return None
    return words.say("manage", "other_zone", when=words.phrasing.session_time(facts, zone))


def _option(option: dict[str, Any], facts: BookingFacts, words: PageWords) -> dict[str, str]:
    """A proposed time, as the customer reads it, and as the form sends it back."""
    start = datetime.fromisoformat(option["start"])
    there = replace(facts, start=start, end=start + (facts.end - facts.start))
    when = words.phrasing.session_time(there, facts.customer_timezone)
    mechanic = one_line(option["mechanic"] or "")
    other = None if mechanic == facts.mechanic_name else mechanic
    said = words.say("manage", "take", when=when, mechanic=other)
    return {"start": option["start"], "mechanic_id": option["mechanic_id"], "words": said}


def _supplement(asked: dict[str, Any], facts: BookingFacts, words: PageWords) -> dict[str, Any] | None:
    """What is to be paid for a move, or has become of that; a booking that was changed otherwise tells by itself."""
    there = _aimed_at(asked, facts)
    when = words.phrasing.session_time(there, facts.customer_timezone)
    named = {"service": there.service_name, "plan": there.plan_name, "mechanic": there.mechanic_name}
    what = words.say("supplements", "what", when=when, **named)
    until = _moment(datetime.fromisoformat(asked["until"]), facts, words)
    amount = words.phrasing.money(asked["amount"], facts.currency)
    text = words.say("supplements", asked["status"], what=what, amount=amount, until=until)
    return {"text": text, "amount": amount} if text else None


def _aimed_at(asked: dict[str, Any], facts: BookingFacts) -> BookingFacts:
    """The booking as it would be."""
    start, end = (datetime.fromisoformat(asked[name]) for name in ("start", "end"))
    names: dict[str, Any] = {f"{name}_name": one_line(asked[name]) for name in ("service", "plan", "mechanic")}
    return replace(facts, start=start, end=end, **names)


def _money(sheet: Sheet, words: PageWords) -> list[tuple[str, str]]:
    """What has come and what goes back, once the price does not say it all: each named."""
    facts, waits = sheet.facts, sheet.amount_awaiting_refund
    if not (facts.amount_refunded or waits) and facts.amount_paid in (0, facts.amount):
        return []
    amounts = {"paid": facts.amount_paid, "on_its_way": waits, "refunded": facts.amount_refunded}
    return [
        (words["manage"][name], words.phrasing.money(amount, facts.currency))
        for name, amount in amounts.items()
        if amount
    ]


def _waiting_room(sheet: Sheet, facts: BookingFacts, words: PageWords, now: datetime) -> str | None:
    """Where the customer of an online session stands at its door; None while there is no session to come to."""
    opens = sheet.waiting_room_opens_at
    if opens is None:
        return None
    if sheet.checked_in_at is not None:
        here = "running" if sheet.status is BookingStatus.IN_PROGRESS else "here"
        since = _moment(sheet.checked_in_at, facts, words)
        return words.say("waiting_room", here, since=since, mechanic=facts.mechanic_name)
    if now >= facts.end:
        return words.say("waiting_room", "over")
    name = "open" if now >= opens else "closed"
    return words.say("waiting_room", name, opens=_moment(opens, facts, words), mechanic=facts.mechanic_name)


def _calendars(sheet: Sheet) -> list[tuple[str, str]]:
    """Name and link of each calendar on the web, while the session is to be put into one: not one that began at once,
    of which no mail has brought an entry either."""
    if not sheet.in_calendars or sheet.immediate:
        return []
    return [(NAMES[key], link) for key, link in calendar_links(sheet.facts).items()]


def _entry(event: dict[str, Any], facts: BookingFacts, words: PageWords) -> dict[str, Any]:
    """`why`: in the words of whoever has changed the booking; other entries have a code there."""
    why = one_line(event["detail"].get("reason") or "") if event["event"] in _WITH_REASON else ""
    said = {"words": _event(event, facts, words), "why": why}
    return {"at": event["at"], "when": _moment(event["at"], facts, words), **said}


def _event(event: dict[str, Any], facts: BookingFacts, words: PageWords) -> str:
    name, detail = event["event"], event["detail"]
    if name in _TOLD and detail.get("kind") == NoticeKind.WORKSHOP_REQUEST:
        return words.say("events", f"workshop_{name}")
    if name in _TOLD:
        return words.say("events", name, what=words.say("mails", detail.get("kind") or ""))
    if name == "refund_issued":
        return words.say("events", name, amount=words.phrasing.money(detail["amount"], facts.currency))
    moved = detail.get("from") != detail.get("to")
    return words.say("events", name, asked=detail.get("workshop_asked"), silent=detail.get("silent"), moved=moved)
