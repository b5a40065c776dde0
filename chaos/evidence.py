"""What is there when a run is over, read straight from PostgreSQL, Temporal and the servers of Stripe, mail and Twilio.

Nothing of the product's own reading is used: what is checked with this does not share its mistakes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from temporalio.client import Client

from pitstop.devstack.stackfile import Stack

Row = dict[str, Any]
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the checks look at. `workflows`: each booking's runs, as `id: [status, …]`."""

    bookings: list[Row] = field(default_factory=list)
    reservations: list[Row] = field(default_factory=list)
    overlaps: list[Row] = field(default_factory=list)
    without_bay: list[Row] = field(default_factory=list)
    sessions: list[Row] = field(default_factory=list)
    payments: list[Row] = field(default_factory=list)
    supplements: list[Row] = field(default_factory=list)
    refunds: list[Row] = field(default_factory=list)
    notices: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    changes: list[Row] = field(default_factory=list)
    offers: list[Row] = field(default_factory=list)
    signatures: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)
    texts: list[Row] = field(default_factory=list)
    text_calls: list[Row] = field(default_factory=list)
    text_news: list[Row] = field(default_factory=list)
    unapplied: list[Row] = field(default_factory=list)
    erasures: list[Row] = field(default_factory=list)
    intents: list[Row] = field(default_factory=list)
    stripe_refunds: list[Row] = field(default_factory=list)
    mails: list[Row] = field(default_factory=list)
    workflows: dict[str, list[str]] = field(default_factory=dict)

    def of(self, services: Collection[UUID], mechanics: Collection[UUID]) -> "Evidence":
        """The part that concerns these services and their mechanics, where others have bookings on the same stack."""
        bookings = [row for row in self.bookings if row["service_id"] in services]
        ids = {row["id"] for row in bookings}
        addresses = {row["customer_email"] for row in bookings}
        # That of a request which was taken back names no booking that is there, and an immediate session's no mechanic.
        intents = [
            row
            for row in self.intents
            if row["metadata"].get("mechanic_id") in set(map(str, mechanics))
            or row["metadata"].get("booking_id") in set(map(str, ids))
        ]
        paid = {row["id"] for row in intents}
        numbers = {row["customer_phone"] for row in bookings}
        texts = [row for row in self.texts if row["to"] in numbers or row["from"] in numbers]
        messages = {row["sid"] for row in texts}

        def about(rows: list[Row]) -> list[Row]:
            return [row for row in rows if row["booking_id"] in ids]

        return Evidence(
            bookings=bookings,
            reservations=about(self.reservations),
            overlaps=about(self.overlaps),
            without_bay=about(self.without_bay),
            sessions=about(self.sessions),
            payments=about(self.payments),
            supplements=about(self.supplements),
            refunds=about(self.refunds),
            notices=about(self.notices),
            events=about(self.events),
            changes=about(self.changes),
            offers=about(self.offers),
            signatures=about(self.signatures),
            texts=texts,
            text_calls=[row for row in self.text_calls if row["params"].get("To") in numbers],
            text_news=[row for row in self.text_news if row["message"] in messages],
            entries=[row for row in self.entries if row["service_id"] in services],
            unapplied=about(self.unapplied),
            erasures=[row for row in self.erasures if row["customer_id"] in {each["customer_id"] for each in bookings}],
            intents=intents,
            stripe_refunds=[row for row in self.stripe_refunds if row["payment_intent"] in paid],
            mails=[mail for mail in self.mails if mail["to"] in addresses],
            workflows={id: runs for id, runs in self.workflows.items() if id.removeprefix("booking/") in map(str, ids)},
        )

    def own_payments(self) -> dict[UUID, str]:
        """The PaymentIntent of each booking itself; differences that were paid later have others."""
        return {row["booking_id"]: row["payment_intent_id"] for row in self.payments if row["supplement_id"] is None}

    def refunds_of(self, intent: Row) -> list[Row]:
        """As Stripe has them."""
        return [refund for refund in self.stripe_refunds if refund["payment_intent"] == intent["id"]]


_QUERIES = {
    "bookings": "SELECT *, now() AS read_at FROM bookings",
    "reservations": "SELECT *, now() AS read_at FROM slot_reservations",
    "overlaps": """
        SELECT a.id, a.booking_id, b.booking_id AS other, a.blocked, b.blocked AS other_blocked
        FROM slot_reservations AS a
        JOIN slot_reservations AS b
            ON (a.mechanic_id = b.mechanic_id OR a.bay_id = b.bay_id) AND a.id < b.id AND a.blocked && b.blocked
        WHERE a.status IN ('reserved', 'confirmed') AND (a.status = 'confirmed' OR a.expires_at > now())
            AND b.status IN ('reserved', 'confirmed') AND (b.status = 'confirmed' OR b.expires_at > now())
            -- A time that a workshop proposes, or that is to be paid for, may touch the one that was booked.
            AND (
                a.booking_id <> b.booking_id
                OR COALESCE(a.proposal_id, b.proposal_id, a.supplement_id, b.supplement_id) IS NULL
            )
    """,
    "without_bay": """
        SELECT r.booking_id FROM slot_reservations AS r
        JOIN bookings AS b ON b.id = r.booking_id
        JOIN services AS s ON s.id = b.service_id AND s.kind = 'in_person'
        WHERE r.status IN ('reserved', 'confirmed') AND r.bay_id IS NULL
    """,
    "sessions": "SELECT * FROM sessions",
    "payments": "SELECT * FROM payments",
    "supplements": "SELECT * FROM supplements",
    "refunds": "SELECT * FROM refunds",
    "notices": "SELECT * FROM notifications",
    "events": "SELECT * FROM booking_events ORDER BY id",
    "changes": "SELECT * FROM booking_changes",
    "offers": "SELECT * FROM session_offers",
    "entries": "SELECT * FROM waitlist_entries",
    "signatures": "SELECT booking_id, accepted_at FROM waiver_signatures",
    "unapplied": "SELECT event_id, type, booking_id FROM webhook_inbox WHERE applied_at IS NULL",
    "erasures": "SELECT * FROM erasures",
}

# What still has to happen: nothing of it when all is at rest. A reminder that is due later is not.
_RESTLESS = """
SELECT 'booking ' || id || ' is ' || status FROM bookings
WHERE status IN ('holding', 'awaiting_payment', 'pending', 'in_progress')
    OR (status = 'confirmed' AND ends_at < now())
UNION ALL
SELECT 'a hold of ' || booking_id || ' has not ended' FROM slot_reservations WHERE status = 'reserved'
UNION ALL
SELECT 'a refund of ' || booking_id || ' is owed' FROM refunds WHERE refunded_at IS NULL
UNION ALL
SELECT 'the difference of ' || u.booking_id || ' is ' || u.status || ' and not settled'
FROM supplements AS u LEFT JOIN payments AS p ON p.supplement_id = u.id
WHERE u.status = 'open' OR (p.paid_at IS NULL AND p.status <> 'canceled')
UNION ALL
SELECT 'the mail ' || key || ' is ' || status FROM notifications
WHERE status = 'sending' OR (status = 'pending' AND (due_at IS NULL OR due_at < now()))
UNION ALL
-- Reminders and the end of a session that begins soon are waited for.
SELECT 'the session of ' || id || ' begins soon' FROM bookings
WHERE status = 'confirmed' AND starts_at < now() + interval '1 hour'
UNION ALL
SELECT 'the word on ' || id || ' is waited for' FROM bookings
WHERE status = 'confirmed' AND workshop_status IN ('awaiting', 'proposed')
UNION ALL
SELECT 'the time that has come free of ' || mechanic_id || ' is not looked at' FROM freed_slots
UNION ALL
SELECT 'the event ' || event_id || ' is not applied' FROM webhook_inbox WHERE applied_at IS NULL
UNION ALL
SELECT 'the erasure of ' || customer_id || ' is under way' FROM erasures WHERE completed_at IS NULL
"""


async def wait_for_rest(stack: Stack, temporal: Client, seconds: float) -> list[str]:
    """Returns when nothing is under way any more; in the end with what still is."""
    until = time.monotonic() + seconds
    while restless := await _restless(stack, temporal):
        if time.monotonic() > until:
            return restless
        await asyncio.sleep(1)
    return []


async def _restless(stack: Stack, temporal: Client) -> list[str]:
    connection = await asyncpg.connect(stack.database_url)
    try:
        found = [str(row[0]) for row in await connection.fetch(_RESTLESS)]
        standing = await connection.fetchval("SELECT count(*) FROM bookings WHERE status = 'confirmed'")
    finally:
        await connection.close()
    running = await temporal.count_workflows("WorkflowType = 'Booking' AND ExecutionStatus = 'Running'")
    if running.count != standing:
        found.append(f"{running.count} runs for {standing} bookings that stand")
    return found


async def gather(stack: Stack, http: httpx.AsyncClient, temporal: Client) -> Evidence:
    # Before the database, which then knows at least as much of them.
    texts = {name: await _told(stack, http, what) for name, what in _OF_TWILIO.items()}
    connection = await asyncpg.connect(stack.database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = {name: [dict(row) for row in await connection.fetch(sql)] for name, sql in _QUERIES.items()}
    finally:
        await connection.close()
    return Evidence(
        **rows,
        intents=[intent async for intent in _listed(stack, http, "payment_intents")],
        stripe_refunds=[refund async for refund in _listed(stack, http, "refunds")],
        mails=(await http.get(f"{stack.mail_url}/api/messages", timeout=60)).raise_for_status().json(),
        **texts,
        workflows=await _workflows(temporal),
    )


async def _listed(stack: Stack, http: httpx.AsyncClient, kind: str) -> AsyncIterator[Row]:
    """All pages of a Stripe list."""
    url, headers = f"{stack.stripe_api_url}/v1/{kind}", {"Authorization": f"Bearer {stack.stripe_secret_key}"}
    after: dict[str, str] = {}
    while True:
        answer = await http.get(url, params={"limit": str(_PAGE)} | after, headers=headers, timeout=30)
        page = answer.raise_for_status().json()
        for each in page["data"]:
            yield each
        if not page["has_more"]:
            return
        after = {"starting_after": page["data"][-1]["id"]}


_OF_TWILIO = {"text_news": "callbacks", "text_calls": "calls", "texts": "messages"}


async def _told(stack: Stack, http: httpx.AsyncClient, what: str) -> list[Row]:
    """What the Twilio server was asked, what it took, and whom it has told."""
    answer = await http.get(f"{stack.twilio_api_url}/_control/{what}", params={"limit": 100_000}, timeout=60)
    rows: list[Row] = answer.raise_for_status().json()
    return rows


async def _workflows(temporal: Client) -> dict[str, list[str]]:
    runs: dict[str, list[str]] = {}
    async for run in temporal.list_workflows("WorkflowType = 'Booking'"):
        runs.setdefault(run.id, []).append(run.status.name if run.status else "")
    return runs
