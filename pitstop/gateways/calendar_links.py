"""Links by which a customer puts a session into a calendar on the web, where the invite cannot be opened.

What they put there is a copy: no update of the invite finds it. None of the four is documented by who runs it but
Google's; parameters after https://github.com/InteractionDesignFoundation/add-event-to-calendar-docs and its issue 48.
"""

from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from pitstop.domain.notices import BookingFacts
from pitstop.gateways.invite import description, location, summary
from pitstop.gateways.wording import tidied

NAMES = {"google": "Google", "outlook": "Outlook", "office365": "Office 365", "yahoo": "Yahoo"}
_GOOGLE = "https://calendar.google.com/calendar/render"
_OUTLOOK = "https://outlook.live.com/calendar/0/deeplink/compose"
_OFFICE_365 = "https://outlook.office.com/calendar/deeplink/compose"
_YAHOO = "https://calendar.yahoo.com/"


def calendar_links(facts: BookingFacts) -> dict[str, str]:
    """By the calendar's name: `google`, `outlook`, `office365`, `yahoo`.

    Times are in UTC, which each shows in its reader's own zone: right also where clocks change. All but letters, digits
    and `-._~` is percent-encoded, spaces as %20, since Outlook shows a plus as it is.
    """
    facts = tidied(facts)
    microsoft = {
        "path": "/calendar/action/compose",
        "rru": "addevent",
        "subject": summary(facts),
        "startdt": _extended(facts.start),
        "enddt": _extended(facts.end),
        "location": location(facts, "REQUEST"),
        "body": description(facts, "REQUEST"),
    }
    return {
        "google": _link(_GOOGLE, _google(facts)),
        "outlook": _link(_OUTLOOK, microsoft),
        "office365": _link(_OFFICE_365, microsoft),
        "yahoo": _link(_YAHOO, _yahoo(facts)),
    }


def _google(facts: BookingFacts) -> dict[str, str]:
    return {
        "action": "TEMPLATE",
        "text": summary(facts),
        "dates": f"{_basic(facts.start)}/{_basic(facts.end)}",
        "details": description(facts, "REQUEST"),
        "location": location(facts, "REQUEST"),
    }


def _yahoo(facts: BookingFacts) -> dict[str, str]:
    return {
        "v": "60",
        "title": summary(facts),
        "st": _basic(facts.start),
        "et": _basic(facts.end),
        "desc": description(facts, "REQUEST"),
        "in_loc": location(facts, "REQUEST"),
    }


def _link(base: str, parameters: dict[str, str]) -> str:
    return f"{base}?{urlencode(parameters, quote_via=quote, safe='')}"


def _basic(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _extended(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
