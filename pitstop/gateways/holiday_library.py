"""Public holidays, as the `holidays` library computes them."""

from collections.abc import Iterable
from datetime import date
from functools import cache

import holidays

from pitstop.domain.rules import UnknownRegion

_CODE_LENGTHS = range(1, 4)


class HolidayLibrary:
    """Implements the port `HolidayCalendar`. Days that are moved to a working day are there as well."""

    def days(self, region: str, years: Iterable[int]) -> dict[date, str]:
        country, _, part = region.partition("-")
        parts = _parts().get(country)
        if parts is None or (part and part not in parts):
            raise UnknownRegion(region, tuple(f"{country}-{each}" for each in parts or ()))
        return dict(holidays.country_holidays(country, subdiv=part or None, years=years).items())


@cache
def _parts() -> dict[str, tuple[str, ...]]:
    """The countries by their codes in ISO 3166-1, each with its parts that have a code in ISO 3166-2."""
    listed = holidays.list_supported_countries(include_aliases=False)
    return {country: tuple(sorted(filter(_is_code, parts))) for country, parts in listed.items()}


def _is_code(part: str) -> bool:
    return len(part) in _CODE_LENGTHS and part.isascii() and part.isalnum() and part.upper() == part
