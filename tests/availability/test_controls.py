"""The comparison with the reference can fail: for each guard, a product without it is told from the real one.

The functions are replaced inside a transaction that is rolled back. A guard is taken away by what its functions read
(no time off, no buffers, everything a video call): it does not matter how they are written; the rest stays as it is.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from tests.availability import product, reference
from tests.availability.conftest import Desk
from tests.availability.rounds import in_rounds, known_to_both
from tests.availability.worlds import Question

# As hours were made into instants before: both ends by AT TIME ZONE, which moves a time that does not exist and picks
# one of two. Right on all days but those of a change.
_NAIVE_HOURS = """
CREATE OR REPLACE FUNCTION open_hours(candidates uuid[], span tstzrange)
RETURNS TABLE (mechanic_id uuid, hours tstzmultirange) LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT r.mechanic_id, range_agg(tstzrange(opens, closes)) FILTER (WHERE opens < closes)
    FROM mechanics AS m
    CROSS JOIN LATERAL generate_series(
        date_trunc('day', lower(span) AT TIME ZONE m.timezone) - interval '1 day', upper(span) AT TIME ZONE m.timezone,
        interval '1 day'
    ) AS local_day
    CROSS JOIN LATERAL (
        SELECT m.id AS mechanic_id, w.start_time, w.end_time
        FROM availability_rules AS w
        WHERE w.mechanic_id = m.id AND w.weekday = EXTRACT(isodow FROM local_day) - 1
            AND NOT EXISTS (SELECT FROM date_exceptions AS e WHERE e.mechanic_id = m.id AND e.day = local_day::date)
            AND NOT EXISTS (
                SELECT FROM public_holidays AS h WHERE h.region = m.holiday_region AND h.day = local_day::date
            )
        UNION ALL
        SELECT m.id, spans.opens, spans.closes
        FROM date_exceptions AS e
        CROSS JOIN LATERAL unnest(e.opens, e.closes) AS spans (opens, closes)
        WHERE e.mechanic_id = m.id AND e.day = local_day::date
    ) AS r
    CROSS JOIN LATERAL (
        SELECT
            (local_day + r.start_time) AT TIME ZONE m.timezone AS opens,
            CASE
                WHEN r.end_time > r.start_time THEN local_day + r.end_time
                WHEN EXISTS (
                    SELECT FROM date_exceptions AS e WHERE e.mechanic_id = m.id AND e.day = local_day::date + 1
                ) OR EXISTS (
                    SELECT FROM public_holidays AS h WHERE h.region = m.holiday_region AND h.day = local_day::date + 1
                ) THEN local_day + interval '1 day'
                ELSE local_day + r.end_time + interval '1 day'
            END AT TIME ZONE m.timezone AS closes
    ) AS hours
    WHERE m.id = ANY(candidates)
    GROUP BY r.mechanic_id
$$
"""


def _reads(table: str, **changed: Any) -> tuple[str, str]:
    """The table, and what is read in its place: its rows with these columns changed."""
    return table, f"(SELECT (jsonb_populate_record(t, '{json.dumps(changed)}')).* FROM {table} AS t)"  # noqa: S608


CONTROLS = {
    "the service's buffers": _reads("services", buffer_before_minutes=0, buffer_after_minutes=0),
    "the mechanic's longer buffers": _reads("mechanic_services", buffer_before_minutes=0, buffer_after_minutes=0),
    "time off": ("time_off", "(SELECT * FROM time_off WHERE FALSE)"),
    "date exceptions": ("date_exceptions", "(SELECT * FROM date_exceptions WHERE FALSE)"),
    "public holidays": ("public_holidays", "(SELECT * FROM public_holidays WHERE FALSE)"),
    "the daily limit": _reads("mechanics", max_sessions_per_day=None),
    "bays": _reads("services", kind="video"),
    "bays out of use": _reads("bays", active=True),
    "notice": _reads("mechanics", minimum_notice_minutes=0),
    "the horizon": _reads("mechanics", horizon_days=365),
    "lapsed holds": ("slot_reservations", "(SELECT * FROM slot_reservations WHERE status <> 'reserved')"),
    "who is offline": _reads("mechanics", online=True),
}


async def _without(connection: Any, table: str, instead: str) -> None:
    """Every function that reads the table reads this instead."""
    reads = re.compile(rf"\b(FROM|JOIN)\s+{table}\b(?:\s+AS\s+(\w+))?", re.IGNORECASE)
    rows = await connection.fetch(
        "SELECT pg_get_functiondef(p.oid) AS source FROM pg_proc AS p"
        " WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype"
        " AND p.prosrc ~* $1 AND p.prosrc ~* 'slot_reservations|open_hours|availability_rules|bookable_starts'",
        rf"\y{table}\y",
    )
    changed = [
        reads.sub(lambda it: f"{it[1]} {instead} AS {it[2] or table}", row["source"])
        for row in rows
        if reads.search(row["source"])
    ]
    assert changed, f"no function reads {table}: this control controls nothing"
    for source in changed:
        await connection.execute(source)


async def _naive(connection: Any) -> None:
    await connection.execute(_NAIVE_HOURS)


@dataclass(slots=True)
class Case:
    question: Question
    expected: list[tuple[datetime, UUID]] | None = None


@pytest.fixture(scope="module")
def cases(desk: Desk) -> list[Case]:
    """Worlds as the comparison has them."""
    made: list[Case] = []

    def make(question: Question) -> None:
        known_to_both(desk, question)
        made.append(Case(question))

    in_rounds(make, 300, shrink=False)
    return made


async def _told_apart(connection: Any, cases: list[Case], without: Callable[[Any], Awaitable[None]]) -> bool:
    """Whether the search is seen to differ in one of them."""
    async with product.undone(connection):
        await without(connection)
        for case in cases:
            if await _differs(connection, case):
                return True
    return False


async def _differs(connection: Any, case: Case) -> bool:
    asked = case.question
    async with product.undone(connection):
        world = await product.write(connection, asked.world)
        if case.expected is None:
            case.expected = reference.bookable(world, asked.since, asked.until, asked.at)
        return await product.search(connection, world, asked.since, asked.until, asked.at) != case.expected


@pytest.mark.parametrize("guard", CONTROLS)
def test_a_product_without_the_guard_is_found_out(desk: Desk, cases: list[Case], guard: str) -> None:
    def without(connection: Any) -> Awaitable[None]:
        return _without(connection, *CONTROLS[guard])

    assert desk.run(_told_apart(desk.connection, cases, without))


def test_hours_made_by_at_time_zone_are_found_out(desk: Desk, cases: list[Case]) -> None:
    assert desk.run(_told_apart(desk.connection, cases, _naive))
