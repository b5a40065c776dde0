"""Where a customer is: what decides between mechanics who could all do it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """As much as is known. `country` is an ISO 3166 code of two letters."""

    country: str | None = None
    city: str | None = None
    postal_code: str | None = None
