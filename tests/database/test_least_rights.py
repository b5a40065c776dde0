"""The roles that serve requests have the rights that their queries use, and no others; PUBLIC has none."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.database.users import run_by

Pool = Any
# What the worker may do, by table: whole-table rights, and columns for those that are given by column.
WORKER: dict[str, dict[str, str]] = {
    "bookings": {
        "SELECT": "",
        "DELETE": "",
        # What the waitlist offers.
        "INSERT": "amount buffer_after_minutes buffer_before_minutes city country created_by created_by_role currency "
        "customer_email customer_id customer_name customer_phone ends_at id intake language mechanic_id plan_id policy "
        "postal_code preferred_mechanic_id reminder_offsets request_fingerprint service_id sms_consent starts_at "
        "timezone waitlist_entry_id",
        "UPDATE": "amount buffer_after_minutes buffer_before_minutes city confirms_within_minutes "
        "customer_email customer_moves customer_name customer_phone ends_at erased_at "
        "hold_expires_at intake invite_sequence kept_amount mechanic_id moves offers_end_at "
        "offers_reach offers_widen_at plan_id policy postal_code refund_percent_at_most reminder_offsets "
        "request_fingerprint service_id sms_consent starts_at status workshop_answer_by workshop_id "
        "workshop_status",
    },
    "booking_events": {
        "SELECT": "at booking_id detail event",
        "INSERT": "at booking_id detail event",
        "UPDATE": "detail",
    },
    "sessions": {
        "SELECT": "",
        "INSERT": "booking_id city country currency customer_id intake kind mechanic_id plan_id postal_code "
        "preferred_mechanic_id price_paid scheduled_for scheduled_for_original slot_reservation_id status",
        "UPDATE": "absent city ended_at intake kind mechanic_id plan_id postal_code price_paid scheduled_for "
        "slot_reservation_id started_at status",
    },
    "slot_reservations": {
        "SELECT": "",
        "DELETE": "",
        "INSERT": "bay_id blocked booking_id ends_at expires_at id mechanic_id proposal_id session_id starts_at status "
        "supplement_id",
        "UPDATE": "bay_id blocked ends_at mechanic_id session_id starts_at status",
    },
    "session_offers": {
        "SELECT": "",
        "INSERT": "booking_id distance mechanic_id offered_at",
        "UPDATE": "outcome",
    },
    "payments": {
        "SELECT": "",
        "INSERT": "amount booking_id client_secret currency payment_intent_id status supplement_id",
        "UPDATE": "client_secret erased_at failure_code paid_at status updated_at",
    },
    "refunds": {
        "SELECT": "",
        "INSERT": "amount booking_id idempotency_key payment_intent_id reason requested_at",
        "UPDATE": "refunded_at stripe_refund_id tried_at",
    },
    "webhook_inbox": {"SELECT": "", "UPDATE": "applied_at outcome payload"},
    "notifications": {
        "SELECT": "",
        "INSERT": "about booking_id channel detail due_at key kind move status",
        "UPDATE": "about attempts claimed_at detail message_sid sent_at status tried_at",
    },
    "booking_changes": {"SELECT": "", "DELETE": "", "UPDATE": "decided_at detail heard_at outcome reason"},
    "check_ins": {"SELECT": "", "INSERT": "", "DELETE": ""},
    "booking_flags": {
        "SELECT": "",
        "INSERT": "booking_id kind mechanic_id raised_by reason since",
        "UPDATE": "is_news noted_at resolution resolved_at",
    },
    "proposals": {
        "SELECT": "",
        "INSERT": "booking_id expires_at id options proposed_at proposed_by",
        "UPDATE": "closed_at status",
    },
    "supplements": {
        "SELECT": "",
        "INSERT": "amount asked_at asked_by_role booking_id currency ends_at expires_at id lapses_at mechanic_id "
        "percent_at_most plan_id policy price service_id starts_at",
        "UPDATE": "closed_at status",
    },
    "waitlist_entries": {
        "SELECT": "",
        "UPDATE": "city customer_email customer_name customer_phone erased_at intake looked_at missed offers place "
        "postal_code request_fingerprint sms_consent status updated_at",
    },
    "freed_slots": {"SELECT": "", "DELETE": ""},
    "booking_policies": {"SELECT": ""},
    "audit_log": {
        "SELECT": "",
        "INSERT": "action actor actor_role address detail object_id object_kind outcome request_id",
    },
    "audit_seals": {"SELECT": "", "INSERT": ""},
    "referrals": {"SELECT": "", "UPDATE": "note"},
    "erasures": {"SELECT": "", "INSERT": "", "UPDATE": ""},
    "text_opt_outs": {"SELECT": "", "INSERT": ""},
    "waiver_documents": {"SELECT": ""},
    "waiver_signatures": {"SELECT": "", "UPDATE": "address erased_at salt signed_name user_agent"},
    "hold_origins": {"SELECT": "", "DELETE": ""},
    "rate_limits": {"SELECT": "", "DELETE": "", "UPDATE": "full_at"},
    **{table: {"SELECT": ""} for table in ("mechanics", "services", "plans", "mechanic_services")},
    **{table: {"SELECT": ""} for table in ("availability_rules", "status_transitions", "date_exceptions")},
    **{table: {"SELECT": ""} for table in ("workshops", "bays", "booking_policies")},
    "holiday_calendars": {"SELECT": "", "INSERT": "", "UPDATE": "refreshed_on through"},
    "public_holidays": {"SELECT": "", "INSERT": "", "DELETE": ""},
}
# Used by functions and triggers, which no plan of a query shows.
BEHIND_FUNCTIONS = {
    *("mechanic_services", "availability_rules", "date_exceptions", "workshops", "bays"),
    *("status_transitions", "audit_log", "audit_seals", "waiver_documents", "waitlist_entries"),
}
_RIGHTS = """
SELECT table_name, privilege_type, NULL AS column_name FROM information_schema.table_privileges
WHERE grantee = $1 AND table_schema = 'public'
UNION ALL
SELECT c.relname, CASE acl.privilege_type WHEN 'r' THEN 'SELECT' ELSE acl.privilege_type END, a.attname
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid AND c.relnamespace = 'public'::regnamespace
CROSS JOIN LATERAL aclexplode(a.attacl) AS acl
WHERE acl.grantee = $1::regrole
"""


async def _rights(database: Pool, role: str) -> dict[str, dict[str, str]]:
    rights: dict[str, dict[str, list[str]]] = {}
    for table, right, column in await database.fetch(_RIGHTS, role):
        rights.setdefault(table, {}).setdefault(right, []).extend([column] if column else [])
    return {table: {right: " ".join(sorted(names)) for right, names in own.items()} for table, own in rights.items()}


async def test_the_worker_has_these_rights(database: Pool) -> None:
    assert await _rights(database, "pitstop_worker") == WORKER


def _single_rights() -> list[tuple[str, str]]:
    """Each right by itself, as GRANT and REVOKE write it, with its table."""
    return [
        (table, f"{right} ({column})" if column else right)
        for table, rights in WORKER.items()
        for right, columns in rights.items()
        for column in columns.split() or [""]
    ]


@asynccontextmanager
async def _without(rows: Any, table: str, right: str) -> AsyncIterator[None]:
    savepoint = rows.transaction()
    await savepoint.start()
    await rows.execute(f"REVOKE {right} ON {table} FROM pitstop_worker")
    await rows.execute("SET LOCAL ROLE pitstop_worker")
    try:
        yield
    finally:
        await savepoint.rollback()


async def _is_refused(rows: Any, sql: str) -> bool:
    savepoint = rows.transaction()
    await savepoint.start()
    try:
        await rows.execute(f"EXPLAIN (GENERIC_PLAN) {sql}")
    except asyncpg.InsufficientPrivilegeError:
        return True
    finally:
        await savepoint.rollback()
    return False


async def test_each_right_of_the_worker_is_used(rows: Any) -> None:
    """Without it, one of the queries that the worker runs is refused."""
    queries = list(run_by("worker"))
    unused = []
    for table, right in _single_rights():
        if table in BEHIND_FUNCTIONS:
            continue
        users = [sql for _, sql in queries if re.search(rf"\b{table}\b", sql)]
        async with _without(rows, table, right):
            if not any([await _is_refused(rows, sql) for sql in users]):
                unused.append((table, right))
    assert unused == []


async def test_a_right_too_many_would_show(rows: Any) -> None:
    await rows.execute("GRANT UPDATE (currency) ON bookings TO pitstop_worker")
    async with _without(rows, "bookings", "UPDATE (currency)"):
        assert not any([await _is_refused(rows, sql) for _, sql in run_by("worker")])


async def test_public_has_no_rights(database: Pool) -> None:
    """A login of somebody else's on the same server cannot even connect."""
    name = await database.fetchval("SELECT current_database()")
    for right in ("CONNECT", "TEMPORARY", "CREATE"):
        assert not await database.fetchval("SELECT has_database_privilege('public', $1, $2)", name, right), right
    for right in ("USAGE", "CREATE"):
        assert not await database.fetchval("SELECT has_schema_privilege('public', 'public', $1)", right), right
    granted = await database.fetch(
        "SELECT relname FROM pg_class, aclexplode(relacl) AS acl"
        " WHERE relnamespace = 'public'::regnamespace AND acl.grantee = 0"
    )
    assert granted == []


@pytest.mark.parametrize("role", ["pitstop_api", "pitstop_worker"])
async def test_what_no_role_that_serves_has(database: Pool, role: str) -> None:
    name = await database.fetchval("SELECT current_database()")
    for right in ("TEMPORARY", "CREATE"):
        assert not await database.fetchval("SELECT has_database_privilege($1, $2, $3)", role, name, right), right
    assert not await database.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", role)
    assert await database.fetchval("SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole", role) == 0
    owned = "SELECT count(*) FROM pg_shdepend WHERE refobjid = $1::regrole AND deptype = 'o'"
    assert await database.fetchval(owned, role) == 0, "it owns nothing"
    sequences = await database.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND CASE relkind WHEN 'S' THEN has_sequence_privilege($1, oid, 'USAGE, SELECT, UPDATE') ELSE FALSE END",
        role,
    )
    assert sequences == []
    dangerous = await database.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND has_table_privilege($1, oid, 'TRUNCATE, REFERENCES, TRIGGER, MAINTAIN')",
        role,
    )
    assert dangerous == []


async def test_functions_with_their_owners_rights(database: Pool) -> None:
    """Their search path is fixed, temporary objects last; row security binds their owner; PUBLIC may not call them."""
    functions = await database.fetch(
        "SELECT p.oid::regprocedure::text AS name, pg_get_userbyid(proowner) AS owner, proconfig,"
        " has_function_privilege('public', p.oid, 'EXECUTE') AS public"
        " FROM pg_proc AS p WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        # Nobody can call a trigger's.
        " AND prorettype <> 'trigger'::regtype"
    )
    assert len(functions) >= 4
    for function in functions:
        assert function["owner"] == "pitstop_owner", function["name"]
        assert any(re.fullmatch("search_path=.*, ?pg_temp", each) for each in function["proconfig"] or [])
        assert not function["public"], function["name"]


async def test_views_have_their_callers_rights(database: Pool) -> None:
    """One that is added must not show what its owner sees; a materialized one has no row security at all."""
    views = await database.fetch(
        "SELECT relname, relkind, reloptions FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')"
    )
    wrong = [
        v["relname"] for v in views if v["relkind"] == b"m" or "security_invoker=true" not in (v["reloptions"] or [])
    ]
    assert wrong == []
