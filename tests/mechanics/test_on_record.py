"""What a mechanic changes is in the audit log and counts as a write; what an operator reads is on record, too."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from pitstop.devstack.stackfile import Stack
from tests.mechanics.conftest import Desk, noon
from tests.support.processes import serving, settings
from tests.support.shop import Shop


async def test_the_audit_log_tells_of_each_change(desk: Desk, operator: Desk, database: Any, shop: Shop) -> None:
    await desk.set(max_sessions_per_day=2)
    away = await desk.away(noon(3), noon(3) + timedelta(hours=1), "Surgery of the knee")
    await desk.call("DELETE", f"/time-off/{away['id']}")
    await desk.go_online(False)
    await desk.call("GET", "/reservations")
    for path in ("/schedule", "/time-off", "/reservations"):
        assert (await operator.call("GET", path)).status_code == 200
    rows = await database.fetch(
        "SELECT actor_role, action, outcome, detail::text, request_id FROM audit_log WHERE object_id = $1 ORDER BY id",
        str(shop.mechanic_id),
    )
    assert [(row["actor_role"], row["action"]) for row in rows] == [
        ("mechanic", "schedule.set"),
        ("mechanic", "schedule.set"),
        ("mechanic", "time_off.add"),
        ("mechanic", "time_off.remove"),
        ("mechanic", "online.set"),
        ("operator", "rules.read"),
        ("operator", "rules.read"),
        ("operator", "reservation.list"),
    ]
    assert {row["outcome"] for row in rows} == {"done"}
    assert all(row["request_id"] for row in rows)
    assert away["id"] in rows[2]["detail"]
    assert "knee" not in str(rows)


async def test_changes_are_limited_as_writes_are(desk: Desk, stack: Stack) -> None:
    """Reading is not: a desk that has changed too much can still be looked at."""
    async with serving(settings(stack, rate_caller_writes=1, rate_caller_reads=100)) as url:
        limited = Desk(replace(desk.who, api_url=url), desk.mechanic_id)
        calls = [("PUT", "/online", {"online": True}), ("DELETE", f"/time-off/{uuid4()}", None)]
        statuses = [(await limited.call(*call)).status_code for call in calls * 8]
        assert statuses[-1] == 429
        assert set(statuses) <= {200, 404, 429}
        assert (await limited.call("GET", "/schedule")).status_code == 200
