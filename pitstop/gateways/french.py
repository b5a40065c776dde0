"""How facts read in French, as in Canada: dates, times, spans and amounts of money."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, get_timezone_name
from babel.numbers import format_currency

from pitstop.domain.notices import BookingFacts
from pitstop.gateways.wording import decimals, offset_or_name, shown_zone

LOCALE = Locale("fr", "CA")
_NARROW = " "


def money(amount: int, currency: str) -> str:
    """`89,00 $` for Canadian dollars, `89,00 $ US` for others. The spaces are ones that do not break."""
    places = decimals(currency)
    pattern = LOCALE.currency_formats["standard"].pattern.replace("0.00", "0." + "0" * places if places else "0")
    number = Decimal(amount).scaleb(-places)
    return str(format_currency(number, currency.upper(), format=pattern, locale=LOCALE, currency_digits=False))


def session_time(facts: BookingFacts, zone: str) -> str:
    """When the session is, in `zone`: `mardi 1 décembre 2026, de 14 h à 15 h 30 HNE (America/Toronto)`.

    Across a clock change both times carry their abbreviation, across midnight their day.
    """
    start, end = (moment.astimezone(ZoneInfo(zone)) for moment in (facts.start, facts.end))
    first = clock(start) if abbreviation(start) == abbreviation(end) else f"{clock(start)} {abbreviation(start)}"
    last = f"{clock(end)} {abbreviation(end)} ({zone})"
    if start.date() == end.date():
        return f"{_day(start)}, de {first} à {last}"
    return f"{_day(start)}, {first}, au {_day(end)}, {last}"


def moment_in(moment: datetime, zone: str) -> str:
    """An instant in `zone`: `1 décembre 2026 à 14 h HNE`."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{format_date(local, 'd MMMM y', locale=LOCALE)} à {clock(local)} {abbreviation(local)}"


def short_moment_in(moment: datetime, zone: str) -> str:
    """An instant in `zone` for a text message, in letters that cost no more: `1-12 14:00 HNE`."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local:%d/%m %H:%M} {abbreviation(local)}"


def start_time(facts: BookingFacts) -> str:
    return moment_in(facts.start, shown_zone(facts))


def span(length: timedelta) -> str:
    """`24 heures`, `90 minutes`, `1 heure`: in the largest unit that divides it."""
    seconds = round(length.total_seconds())
    units = (("heure", 3600), ("minute", 60), ("seconde", 1))
    unit, size = next((u, s) for u, s in units if seconds % s == 0)
    count = seconds // size
    return f"{count} {unit}" if count < 2 else f"{count} {unit}s"


def clock(moment: datetime) -> str:
    """`14 h`, `8 h 05`."""
    return f"{moment.hour} h" if not moment.minute else f"{moment.hour} h {moment.minute:02d}"


def abbreviation(moment: datetime) -> str:
    """The zone's, as it is said in French (`HNE`); the offset where there is none."""
    name = str(get_timezone_name(moment, width="short", locale=LOCALE))
    return name if name.isalpha() else offset_or_name(moment)


def _day(moment: date) -> str:
    return str(format_date(moment, "EEEE d MMMM y", locale=LOCALE))
