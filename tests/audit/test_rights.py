"""The audit's role reads ids, amounts, states and times, and writes its own two tables."""

import asyncpg
import pytest

from tests.audit.conftest import States
from tests.audit.house import House

FORBIDDEN = {
    "name": "SELECT customer_name FROM bookings",
    "address": "SELECT customer_email FROM bookings",
    "phone": "SELECT customer_phone FROM bookings",
    "intake": "SELECT intake FROM bookings",
    "intake-of-session": "SELECT intake FROM sessions",
    "secret": "SELECT client_secret FROM payments",
    "payload": "SELECT payload FROM webhook_inbox",
    "everything": "SELECT * FROM bookings",
    "time-off": "SELECT * FROM time_off",
    "update": "UPDATE bookings SET status = 'cancelled'",
    "pay": "UPDATE payments SET paid_at = now()",
    "refund": "DELETE FROM refunds",
    "release": "UPDATE slot_reservations SET status = 'cancelled'",
    "mail": "UPDATE notifications SET status = 'sent'",
    "event": "INSERT INTO booking_events (booking_id, at, event) SELECT id, now(), 'x' FROM bookings",
    "inbox": "UPDATE webhook_inbox SET applied_at = now()",
    "rules": "DELETE FROM status_transitions",
    "unsay": "UPDATE audit_findings SET found = 'nothing'",
    "whitewash": "UPDATE audit_runs SET clean = TRUE",
    "worker": "SET ROLE pitstop_worker",
    "owner": "SET ROLE pitstop_owner",
    "guard": "ALTER TABLE bookings DISABLE ROW LEVEL SECURITY",
}


@pytest.mark.parametrize("what", FORBIDDEN)
async def test_what_the_audit_may_not_do(house: House, states: States, what: str) -> None:
    connection = await asyncpg.connect(house.settings.audit_database_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(FORBIDDEN[what])
    finally:
        await connection.close()


async def test_its_snapshot_can_write_nothing(house: House) -> None:
    """Not even what its role may: one consistent view, and read only."""
    async with house.records.snapshot() as snapshot:
        connection = snapshot._connection
        assert await connection.fetchval("SHOW transaction_isolation") == "repeatable read"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("DELETE FROM audit_runs")
