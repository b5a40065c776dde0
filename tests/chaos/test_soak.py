"""The short form of `make chaos`: everything is broken once on a stack of its own, and nothing is lost or doubled.

Then the controls: what is planted there is found, and without the constraint a rush does book twice. No times are
looked at: however slow the machine, all comes to rest and everything is right.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from chaos import evidence, plan, soak
from chaos.checks import violations
from chaos.controls import CONTROLS
from chaos.evidence import Evidence
from chaos.promises import erased_is_gone
from chaos.stack import Broken, running_stack
from chaos.story import Story
from chaos.world import CALLER
from pitstop.domain.identity import booking_id

BOOKINGS = 40
SECONDS = 24.0
SEED = 2470
PLAN = plan.make(SEED, BOOKINGS, SECONDS, quick=True)


@pytest.fixture(scope="module")
def broken() -> Iterator[Broken]:
    with running_stack(soak.SHORT.settings()) as stack:
        yield stack


@pytest.fixture(scope="module")
async def results(broken: Broken) -> soak.Results:
    return await soak.run(broken, soak.Order(PLAN, SECONDS, soak.SHORT), lambda _: None)


@pytest.fixture(scope="module")
async def found(broken: Broken, results: soak.Results) -> Evidence:
    stack = broken.now
    temporal = await Client.connect(stack.temporal_address, namespace=stack.temporal_namespace)
    async with httpx.AsyncClient(trust_env=False) as http:
        return await evidence.gather(stack, http, temporal)


def test_nothing_is_lost_or_doubled(results: soak.Results) -> None:
    assert results.restless == []
    assert results.violations == []
    assert results.clean, results.audit
    struck = {name.split()[0] for name in results.faults}
    assert struck == {"kill", "SIGSTOP", "stripe", "webhooks", "mail", "texts", "text"}
    assert {"confirmed", "expired", "cancelled"} <= results.endings.keys()


def _cancelled_for_nothing(events: list[Any]) -> Any:
    """An operator has cancelled a booking that was paid and stands, and nothing went back."""
    cancelled = {event["booking_id"] for event in events if event["event"] == "cancelled"}
    paid = next(event for event in events if event["event"] == "confirmed" and event["booking_id"] not in cancelled)
    return {**paid, "event": "cancelled", "detail": '{"by": "operator"}'}


# What is planted, in which part of the evidence: rows to add made from the first one, and the invariant that it breaks.
PLANTED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("sessions", lambda rows: [], "I2"),
    ("bookings", lambda rows: [row | {"kept_amount": 1} for row in rows], "I2"),
    ("events", lambda rows: [*rows, _cancelled_for_nothing(rows)], "I9"),
    ("changes", lambda rows: [], "I7"),
    ("intents", lambda rows: [row | {"status": "canceled"} for row in rows], "I2"),
    ("stripe_refunds", lambda rows: [*rows, rows[0] | {"id": "re_by_hand"}], "I4"),
    ("reservations", lambda rows: [row | {"status": "confirmed"} for row in rows], "I3"),
    ("events", lambda rows: [*rows, *rows], "I4"),
    ("mails", lambda rows: [*rows, rows[0]], "I4"),
    (
        "mails",
        lambda rows: [row | {"ics": row["ics"] and row["ics"].replace("@pitstop", "@other")} for row in rows],
        "I7",
    ),
    ("mails", lambda rows: rows[:1], "I4"),
    ("notices", lambda rows: [row for row in rows if row["kind"] != "confirmation"], "I6"),
    ("bookings", lambda rows: [row | {"status": "holding"} for row in rows], "I5"),
    ("without_bay", lambda rows: [{"booking_id": uuid4()}], "I1"),
    ("workflows", lambda runs: {run: ["COMPLETED"] for run in runs}, "I5"),
    (
        "unapplied",
        lambda rows: [{"event_id": "evt_1", "type": "payment_intent.succeeded", "booking_id": uuid4()}],
        "I5",
    ),
]


@pytest.mark.parametrize(("part", "plant", "invariant"), PLANTED)
def test_what_is_planted_is_found(found: Evidence, part: str, plant: Callable[[Any], Any], invariant: str) -> None:
    planted = dataclasses.replace(found, **{part: plant(getattr(found, part))})
    stories = _erased(found)
    assert violations(found, stories, CALLER) == []
    assert invariant in {violation.invariant for violation in violations(planted, stories, CALLER)}


def _erased(found: Evidence) -> list[Story]:
    """What the customers remember of the bookings that were erased."""
    rows = {row["id"]: row for row in found.bookings if row["erased_at"]}
    stories = []
    for planned in PLAN.bookings:
        key = f"{SEED}-{planned.number}-{planned.rival}"
        row = rows.get(booking_id(CALLER, key))
        if row:
            opened = {"id": str(row["id"]), "payment": None, "amount": row["amount"]}
            opened["mechanic_id"] = str(row["mechanic_id"])
            told = {"start": row["starts_at"], "email": f"chaos-{key}@example.com", "opened": opened, "erased": True}
            stories.append(Story(plan=planned, key=key, **told))
    return stories


# What is left of somebody who was erased, in which part of the evidence.
LEFT: list[tuple[str, Callable[[Any], Any]]] = [
    ("bookings", lambda rows: [row | {"customer_name": "Camille Roy"} for row in rows]),
    ("bookings", lambda rows: [row | {"intake": '{"vehicle": "2019 Civic"}'} for row in rows]),
    ("bookings", lambda rows: [row | {"erased_at": row["created_at"]} for row in rows]),
    ("bookings", lambda rows: [row | {"erased_at": None} for row in rows]),
    ("intents", lambda rows: [row | {"receipt_email": "camille@example.com"} for row in rows]),
    ("erasures", lambda rows: [row | {"completed_at": None} for row in rows]),
]


@pytest.mark.parametrize(("part", "plant"), LEFT)
def test_what_is_left_of_somebody_erased_is_found(found: Evidence, part: str, plant: Callable[[Any], Any]) -> None:
    stories = _erased(found)
    assert stories
    planted = dataclasses.replace(found, **{part: plant(getattr(found, part))})
    assert list(erased_is_gone(found, stories, CALLER)) == []
    assert list(erased_is_gone(planted, stories, CALLER)) != []


async def test_without_the_constraint_a_rush_books_twice(broken: Broken, found: Evidence) -> None:
    """The control. As slow, and with the constraint: tests/saga/test_races.py."""
    rivals = tuple(
        plan.Booking(number=9000, rival=each, kind=plan.Kind.RIVALS, at=0, mechanic=0, minute=9000) for each in range(4)
    )
    rush = plan.Plan(seed=77, bookings=rivals, faults=())
    without = await soak.run(
        broken, soak.Order(rush, 1, soak.SHORT, CONTROLS["no-constraint"], slug="rush", audited=False), lambda _: None
    )
    assert "I1" in {violation.invariant for violation in without.violations}
