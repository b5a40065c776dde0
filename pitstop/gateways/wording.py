"""How facts read in mails and calendar entries: one-line texts, amounts of money, times with their zone."""

import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.notices import BookingFacts

# https://docs.stripe.com/currencies#zero-decimal and #three-decimal. UGX and ISK have no cents, but their amounts are
# hundredths all the same ("to charge 5 UGX, provide an amount value of 500"), so that they are not in the first set.
_ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
_THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
_SYMBOLS = {"cad": "CA$", "usd": "US$", "aud": "A$", "nzd": "NZ$", "eur": "€", "gbp": "£", "jpy": "¥"}
_TO = "\u2013"  # en dash

# Directional formatting characters: they make a name turn the text around it (Unicode TR 36, 2.5).
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str) -> str:
    """The text on one line: whatever could end or start a line, control a terminal or turn text around is a space.

    The result can be put in a mail header, a subject or an iCalendar value. Runs of spaces become one.
    """
    return " ".join("".join(" " if _unprintable(c) else c for c in text).split())


def _unprintable(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _TURNING


def tidied(facts: BookingFacts, detail: Mapping[str, Any] | None = None) -> BookingFacts:
    """The same facts with every text that a person typed on one line. An address keeps its lines as a comma each.

    `detail`, if given, takes the place of the one that is there.
    """
    address = facts.venue_address
    return replace(
        facts,
        service_name=one_line(facts.service_name),
        plan_name=one_line(facts.plan_name),
        mechanic_name=one_line(facts.mechanic_name),
        customer_name=one_line(facts.customer_name),
        detail=facts.detail if detail is None else detail,
        venue_address=None if address is None else ", ".join(filter(None, map(one_line, address.splitlines()))),
    )


def decimals(currency: str) -> int:
    """How many of Stripe's minor units' digits come after the point."""
    return 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2


def money(amount: int, currency: str) -> str:
    """An amount in Stripe's minor units as people write it: `CA$89.00`, or `89.00 NOK` where no sign is unambiguous."""
    places = decimals(currency)
    number = f"{Decimal(amount).scaleb(-places):,.{places}f}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number} {currency.upper()}"


def shown_zone(facts: BookingFacts) -> str:
    """The IANA name of the zone in which the session's times are shown: in person the venue's, else the customer's."""
    return facts.venue_timezone if facts.kind is SessionKind.IN_PERSON else facts.customer_timezone


def session_time(facts: BookingFacts, zone: str) -> str:
    """When the session is, in `zone`: `Tuesday, 1 December 2026, 14:00-15:00 EST (America/Toronto)`.

    The dash is an en dash. Across a clock change both times carry their abbreviation, across midnight their day.
    """
    start, end = (moment.astimezone(ZoneInfo(zone)) for moment in (facts.start, facts.end))
    first = f"{_day(start)}, {start:%H:%M}"
    if offset_or_name(start) != offset_or_name(end):
        first += f" {offset_or_name(start)}"
    last = f"{end:%H:%M}" if start.date() == end.date() else f"{_day(end)}, {end:%H:%M}"
    return f"{first}{_TO}{last} {offset_or_name(end)} ({zone})"


def start_time(facts: BookingFacts) -> str:
    """When the session starts, short enough for a subject: `Tue 1 Dec 2026, 14:00 EST`."""
    return moment_in(facts.start, shown_zone(facts))


def moment_in(moment: datetime, zone: str) -> str:
    """An instant in `zone`: `Tue 1 Dec 2026, 14:00 EST`."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %Y}, {local:%H:%M} {offset_or_name(local)}"


def short_moment_in(moment: datetime, zone: str) -> str:
    """An instant in `zone` for a text message: `Tue 1 Dec 14:00 EST`."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %H:%M} {offset_or_name(local)}"


def span(length: timedelta) -> str:
    """A length of time in the largest unit that divides it: `24 hours`, `90 minutes`, `1 hour`, `20 seconds`."""
    seconds = round(length.total_seconds())
    unit, size = next((u, s) for u, s in (("hour", 3600), ("minute", 60), ("second", 1)) if seconds % s == 0)
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _day(moment: datetime) -> str:
    return f"{moment:%A}, {moment.day} {moment:%B %Y}"


def offset_or_name(moment: datetime) -> str:
    """The zone's abbreviation at that moment; many zones have only an offset there (`+0545`): `UTC+05:45`."""
    name = moment.tzname() or ""
    return name if name.isalpha() else f"UTC{moment.isoformat()[-6:]}"
