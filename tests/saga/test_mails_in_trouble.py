"""A mail server that takes nothing. In real time: the engine skips none while an activity is being tried."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import httpx
from temporalio.client import Client

import worker as front_desk
from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop, open_shop


def _soon(seconds: float) -> datetime:
    """The next whole minute that is at least so far ahead."""
    ahead = datetime.now(UTC) + timedelta(seconds=seconds + 60)
    return ahead.replace(second=0, microsecond=0)


async def test_mails_that_do_not_get_through_hold_up_nothing(
    stack: Stack,
    temporal: Client,
    customer: Customer,
    shop: Shop,
    http: httpx.AsyncClient,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """The session is completed in time, and no reminder comes after its start.

    So is one that was booked for another day, whose confirmation was to be tried until then.
    """
    other = await open_shop(database)
    ids = [shop.service_id, other.service_id]
    await database.execute("UPDATE services SET duration_minutes = 1, step_minutes = 1 WHERE id = ANY($1)", ids)
    options = {"reminder_offsets_seconds": (10,), "closing_seconds": 0, "mail_activity_seconds": 5}
    changed = settings(stack, task_queue=f"mail-{uuid4()}", **options)
    async with front_desk.at_work(temporal, changed), serving(changed) as url:
        customer.api_url = url
        start = _soon(15)
        await http.post(
            f"{stack.mail_url}/api/faults", json={"kind": "reject_4xx", "to": customer.email, "times": 10_000}
        )
        booking = await customer.book(shop, start)
        await customer.pay(booking)
        await customer.sees(booking, "confirmed")
        moved = await customer.book(other, start + timedelta(days=20))
        await customer.pay(moved)
        await customer.sees(moved, "confirmed")
        answer = await customer.ask(moved, "reschedule", start=start.isoformat())
        assert answer.status_code == 200, answer.text
        await asyncio.sleep((start + timedelta(seconds=50) - datetime.now(UTC)).total_seconds())
        for each in (booking, moved):
            await customer.waits_for(each, lambda read: read["status"] == "completed", "the completion")
    assert await customer.mails() == []
    rows = await database.fetch("SELECT kind, status FROM notifications WHERE booking_id = $1", booking["id"])
    assert {row["kind"]: row["status"] for row in rows} == {"confirmation": "failed", "reminder": "skipped"}
