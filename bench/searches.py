"""What is asked in `availability`: each case as a request of the public API, and as the statement that it becomes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from bench.availability_api import PATH
from bench.lean import Connections
from bench.load import Call
from bench.population import Population
from pitstop.postgres import queries

_SQL = queries.load("catalogue")
SELECT_ONE, TWO_WEEKS = "SELECT 1", "one mechanic, two weeks"
_PAGE = 2000 + 1
_TORONTO = ("CA", "Toronto", "M5V 2T6")

Statement = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Search:
    """`call` makes the request once; `statement` is the SQL and its arguments."""

    name: str
    call: Callable[[Connections], Call]
    statement: Statement


def searches(population: Population) -> list[Search]:
    one, begins = population.service_of_one, population.begins
    crowds = [
        _search(f"any of {count}, two weeks", service, begins, 14) for count, service in population.services.items()
    ]
    return [
        Search(SELECT_ONE, lambda http: lambda: http.get(PATH), ("SELECT 1", [])),
        _search(TWO_WEEKS, one, begins, 14, population.quiet),
        _search("one with 200 bookings, two weeks", one, begins, 14, population.busy),
        _search("one with 200 bookings, 62 days", one, begins, 62, population.busy),
        *crowds,
        _check(one, population.quiet, begins + timedelta(days=7, hours=17, minutes=30)),
        *(_next(f"next of {count}", service) for count, service in population.services.items()),
    ]


def _search(name: str, service: UUID, begins: datetime, days: int, mechanic: UUID | None = None) -> Search:
    ends = begins + timedelta(days=days)
    query = {"service_id": service, "from": begins.isoformat(), "to": ends.isoformat()}
    target = "/v1/availability?" + urlencode(query | ({"mechanic_id": mechanic} if mechanic else {}))
    arguments = [service, mechanic, begins, ends, datetime.now(UTC), None, None, _PAGE]
    return Search(name, lambda http: lambda: http.get(target), (_SQL["free_time"], arguments))


def _check(service: UUID, mechanic: UUID, start: datetime) -> Search:
    """Of a slot that is free: the whole predicate is asked."""
    body = json.dumps({"mechanic_id": str(mechanic), "service_id": str(service), "start": start.isoformat()}).encode()
    statement = (_SQL["slot_refusal"], [mechanic, service, start, datetime.now(UTC)])
    return Search("check of one slot", lambda http: lambda: http.post("/v1/availability/check", body), statement)


def _next(name: str, service: UUID) -> Search:
    country, city, code = _TORONTO
    query = {"service_id": service, "country": country, "city": city, "postal_code": code}
    target, now = "/v1/availability/next?" + urlencode(query), datetime.now(UTC)
    statement = (_SQL["next_slot"], [service, None, *_TORONTO, now, now])
    return Search(name, lambda http: lambda: http.get(target), statement)
