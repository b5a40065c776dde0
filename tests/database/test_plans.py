"""What is asked all the time reads no more rows than it brings back, however many bookings there are."""

import json
import re
from typing import Any

import pytest

from pitstop.postgres import queries
from tests.support.rows import Case, add_booking, add_reservation
from tests.support.shop import Shop, open_shop

_MANY = 500
_COPIES = """
INSERT INTO bookings (
    id, status, request_fingerprint, created_by, created_by_role, customer_id, customer_name, customer_email, country,
    city, postal_code, timezone, service_id, plan_id, mechanic_id, starts_at, ends_at, buffer_before_minutes,
    buffer_after_minutes, amount, currency
)
SELECT
    gen_random_uuid(), status, '', gen_random_uuid()::text, created_by_role, gen_random_uuid(), customer_name,
    customer_email, country, city, postal_code, timezone, service_id, plan_id, $3, starts_at, ends_at,
    buffer_before_minutes, buffer_after_minutes, amount, currency
FROM bookings CROSS JOIN generate_series(1, $2) WHERE id = $1
"""


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", []) for node in _nodes(below))]


async def _plan(connection: Any, sql: str, *arguments: Any, options: str = "") -> list[dict[str, Any]]:
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON{options}) {sql}", *arguments)
    return _nodes(json.loads(text)[0]["Plan"])


async def _read_in_vain(connection: Any, *whose: str | None, flagged: bool | None = None) -> int:
    """So many bookings does a list look at without showing them."""
    desk = queries.load("desk")
    await connection.execute(desk["plan_for_what_is_asked"])
    arguments = (None, None, None, None, None, None, 20, flagged, *whose)
    nodes = await _plan(connection, desk["list_bookings"], *arguments, options=", ANALYZE")
    return sum(node.get("Rows Removed by Filter", 0) for node in nodes if node.get("Relation Name") == "bookings")


@pytest.mark.parametrize("role", ["customer", "mechanic", "service"])
async def test_a_list_is_of_ones_own_bookings(rows: Any, database: Any, shop: Shop, role: str) -> None:
    """The control names nobody: then row-level security has every booking before it."""
    case = await add_booking(rows, shop, shop.start(), by="service" if role == "service" else "customer")
    await rows.execute(_COPIES, case.booking_id, _MANY, (await open_shop(database)).mechanic_id)
    await rows.execute("ANALYZE bookings")
    subject = {"customer": str(case.customer_id), "mechanic": str(shop.mechanic_id), "service": case.created_by}[role]
    await rows.execute("SET LOCAL ROLE pitstop_api")
    await rows.execute(queries.load("desk")["become"], role, subject)
    whose = [subject if role == each else None for each in ("customer", "mechanic", "service")]
    assert await _read_in_vain(rows, *whose) == 0
    assert await _read_in_vain(rows, None, None, None) >= _MANY


async def test_a_list_of_what_is_flagged_reads_nothing_else(rows: Any, database: Any, shop: Shop) -> None:
    # Those of other tests may be of bookings that have ended, which are looked at in vain.
    await rows.execute("DELETE FROM booking_flags")
    case = await add_booking(rows, shop, shop.start())
    await rows.execute(_COPIES, case.booking_id, _MANY, (await open_shop(database)).mechanic_id)
    await rows.execute(
        "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by)"
        " VALUES ($1, 'mechanic_away', $2, 'time_off', now(), 'mechanic')",
        case.booking_id,
        shop.mechanic_id,
    )
    await rows.execute("ANALYZE bookings, booking_flags")
    await rows.execute("SET LOCAL ROLE pitstop_api")
    await rows.execute(queries.load("desk")["become"], "operator", "somebody")
    assert await _read_in_vain(rows, None, None, None, flagged=True) == 0


async def _could_be_found_by(connection: Any, case: Case) -> set[str]:
    """Which indexes would bring a booking's reservations, if it had none of its own for that."""
    await connection.execute("DROP INDEX slot_reservations_of_booking, one_live_reservation_of_a_booking")
    await connection.execute("SET LOCAL enable_seqscan = off")
    live = "SELECT FROM slot_reservations WHERE booking_id = $1 AND status IN ('reserved', 'confirmed')"
    nodes = await _plan(connection, live, case.booking_id)
    return {node["Index Name"] for node in nodes if "booking_id" in node.get("Index Cond", "")}


async def test_what_guards_a_time_is_no_index_of_bookings(rows: Any, shop: Shop) -> None:
    """It would look as cheap as theirs, and every page of it would be read."""
    case = await add_booking(rows, shop, shop.start())
    await add_reservation(rows, case)
    assert await _could_be_found_by(rows, case) == set()


async def test_as_a_plain_column_it_would_be(rows: Any, shop: Shop) -> None:
    """The control: as the guard was before."""
    await rows.execute(
        "ALTER TABLE slot_reservations DROP CONSTRAINT one_booking_at_a_time, ADD CONSTRAINT one_booking_at_a_time"
        " EXCLUDE USING gist (mechanic_id WITH =, blocked WITH &&, booking_id WITH <>)"
        " WHERE (status IN ('reserved', 'confirmed'))"
    )
    case = await add_booking(rows, shop, shop.start())
    await add_reservation(rows, case)
    assert await _could_be_found_by(rows, case) == {"one_booking_at_a_time"}


async def test_the_audit_holds_a_page_of_bookings_against_what_is_near_it(rows: Any, shop: Shop) -> None:
    """By the index that guards the time; the control puts all live reservations aside first, for each page."""
    case = await add_booking(rows, shop, shop.start())
    await rows.execute("SET LOCAL enable_seqscan = off")
    overlaps = queries.load("audit")["overlaps"]
    assert "CTE Scan" not in {node["Node Type"] for node in await _plan(rows, overlaps, [case.booking_id])}
    aside = overlaps.replace("NOT MATERIALIZED", "")
    assert "CTE Scan" in {node["Node Type"] for node in await _plan(rows, aside, [case.booking_id])}


_OF_ALL = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'bookings'::regclass AND indpred IS NULL"


async def _reads_all(connection: Any, sql: str) -> bool:
    """Whether all bookings are looked at though there are indexes, as planned before any argument is known."""
    await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE asked AS {sql}")
    nulls = ", ".join("NULL" for _ in set(re.findall(r"\$\d+", sql)))
    nodes = await _plan(connection, f"EXECUTE asked ({nulls})")
    of_all = {row[0] for row in await connection.fetch(_OF_ALL)}
    return any(
        (node["Node Type"] == "Seq Scan" and node["Relation Name"] == "bookings")
        or (node.get("Index Name") in of_all and "Index Cond" not in node)
        for node in nodes
    )


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("saga", "stranded_bookings"),
        ("saga", "expire_lapsed_holds"),
        ("flags", "unheard"),
        ("flags", "flag_offline"),
    ],
)
async def test_the_sweep_looks_at_what_is_open(rows: Any, file: str, name: str) -> None:
    """Not at what has ended, of which there is ever more."""
    assert not await _reads_all(rows, queries.load(file)[name])


async def test_asked_at_one_go_it_would_look_at_all(rows: Any) -> None:
    """The control: as one condition over all bookings."""
    flagged, late = "SELECT booking_id FROM booking_flags WHERE is_news", "SELECT booking_id FROM notifications"
    sql = f"SELECT FROM bookings WHERE id IN ({flagged}) OR id IN ({late} WHERE due_at < $1)"
    assert await _reads_all(rows, sql)
