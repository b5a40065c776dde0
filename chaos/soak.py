"""The big run: bookings of every kind while parts of the stack die, then rest, the checks and the product's audit."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx
from pydantic import BaseModel
from temporalio.client import Client

from bench import seed as shop
from bench.figures import percentile
from chaos import evidence, plan, shops
from chaos.checks import violations
from chaos.customers import Customer
from chaos.evidence import Evidence
from chaos.faults import Saboteur
from chaos.stack import Broken
from chaos.story import Story
from chaos.violation import Violation
from chaos.world import CALLER, Spans, World, without_grace
from pitstop.devstack.names import ROOT
from pitstop.devstack.stackfile import Stack

LONG = Spans(hold=20, grace=3, reminders=(25, 12), sweep=5, wave=3, search=20, offer=15)
SHORT = Spans(hold=8, grace=2, reminders=(12, 6), sweep=2, wave=1, search=8, offer=8)
# How long all may take to come to rest: the sessions that begin soon, the longest pause between two tries of a step
# (30 s), and a busy machine.
REST_SECONDS = 420.0
_AUDIT_SECONDS = 180

Say = Callable[[str], None]


class Span(BaseModel):
    """How long something took, in seconds: without faults, with them, and the ratio of the two."""

    what: str
    calm: int
    calm_p50: float
    calm_p95: float
    faulty: int
    faulty_p50: float
    faulty_p95: float
    ratio_p50: float
    ratio_p95: float


class Results(BaseModel):
    """`restless`: what had not come to rest in time. `audit`: what the product's own audit says, if it has one.

    `left_out`: faults of processes for which the machine was too slow.
    """

    seed: int
    minutes: float
    bookings: dict[str, int]
    endings: dict[str, int]
    answers: dict[str, int]
    deeds: dict[str, int]
    faults: dict[str, int]
    left_out: int
    spans: list[Span]
    restless: list[str]
    violations: list[Violation]
    audit: dict[str, object] | None

    @property
    def clean(self) -> bool:
        findings = (self.audit or {}).get("findings")
        return not (self.violations or self.restless or findings)


@dataclass(frozen=True, slots=True)
class Order:
    """What run is wanted. `before` is SQL that takes a guard away, for a control. `slug` names the service booked."""

    plan: plan.Plan
    seconds: float
    spans: Spans
    before: str | None = None
    slug: str = "chaos"
    audited: bool = True
    bounded: bool = False


async def run(stack: Broken, order: Order, say: Say) -> Results:
    now = stack.now
    temporal = await Client.connect(now.temporal_address, namespace=now.temporal_namespace)
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=0)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as http:
        world = await _open(stack, http, temporal, order)
        saboteur = Saboteur(stack, http, bounded=order.bounded)
        began = time.monotonic()
        say(f"{len(order.plan.bookings)} bookings and {len(order.plan.faults)} faults in {order.seconds:.0f} s")
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_tell(world, saboteur, began, say))
            await asyncio.gather(_trade(world, order.plan, began), _break(world, saboteur, order.plan, began))
            watch.cancel()
        say("all customers have their answers and no fault is in force; waiting for rest")
        restless = await evidence.wait_for_rest(now, temporal, REST_SECONDS)
        say("at rest" if not restless else f"not at rest: {restless[:5]}")
        found = await evidence.gather(now, http, temporal)
    audit = await asyncio.to_thread(_audit, now) if order.audited else None
    return _results(order, world.stories, found, saboteur, restless, audit, time.monotonic() - began)


async def _open(stack: Broken, http: httpx.AsyncClient, temporal: Client, order: Order) -> World:
    async with shop.superuser(stack.now.database_url) as connection:
        offer = await shops.online(connection, order.slug)
        await without_grace(connection, offer.service_id)
        others = await shops.others(connection, order.slug)
        if order.before:
            await connection.execute(order.before)
    return World(stack, http, temporal, offer, str(order.plan.seed), order.spans, others)


async def _break(world: World, saboteur: Saboteur, planned: plan.Plan, began: float) -> None:
    world.peace = None
    try:
        await saboteur.carry_out(planned.faults, began)
    finally:
        world.peace = time.monotonic()


async def _trade(world: World, planned: plan.Plan, began: float) -> None:
    async def one(booking: plan.Booking) -> None:
        await asyncio.sleep(max(0.0, began + booking.at - time.monotonic()))
        await Customer(world, world.story(booking)).live()

    await asyncio.gather(*(one(booking) for booking in planned.bookings))


async def _tell(world: World, saboteur: Saboteur, began: float, say: Say) -> None:
    while True:
        await asyncio.sleep(10)
        answered = sum(story.opened is not None or story.refused is not None for story in world.stories)
        struck = saboteur.injected.total()
        say(f"{time.monotonic() - began:4.0f} s: {len(world.stories)} customers, {answered} answered, {struck} faults")


def _audit(stack: Stack) -> dict[str, object] | None:
    """The product's own audit of the same data; None where the product has none."""
    if not (ROOT / "pitstop" / "audit").exists():
        return None
    import subprocess

    command = [sys.executable, "-m", "pitstop.audit", "--all", "--json", "--settle", "5"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=dict(os.environ) | stack.environment,
        capture_output=True,
        timeout=_AUDIT_SECONDS,
        check=False,
    )
    try:
        report: dict[str, object] = json.loads(done.stdout)
    except ValueError:
        return {"clean": False, "findings": [f"it ended with {done.returncode}: {done.stderr.decode()[-500:]}"]}
    return report


def _results(
    order: Order,
    stories: Sequence[Story],
    found: Evidence,
    saboteur: Saboteur,
    restless: list[str],
    audit: dict[str, object] | None,
    seconds: float,
) -> Results:
    answers = Counter(str(answer) for story in stories for answer in story.answers)
    return Results(
        seed=order.plan.seed,
        minutes=round(seconds / 60, 1),
        bookings=dict(Counter(str(story.plan.kind) for story in stories)),
        endings=dict(Counter(str(row["status"]) for row in found.bookings)),
        answers=dict(sorted(answers.items())),
        deeds=_deeds(found),
        faults=dict(sorted(saboteur.injected.items())),
        left_out=saboteur.left_out,
        spans=_spans(stories, found),
        restless=restless,
        violations=violations(found, stories, CALLER),
        audit=audit,
    )


def _deeds(found: Evidence) -> dict[str, int]:
    """What else came about: changes as they were decided on, differences to be paid, places in line, text messages."""
    changes = Counter(f"{row['kind'].replace('_', ' ')}: {row['outcome']}" for row in found.changes)
    dearer = Counter(f"difference: {row['status']}" for row in found.supplements)
    line = Counter(f"in line: {row['status']}" for row in found.entries)
    texts = Counter(f"text message: {row['status']}" for row in found.texts)
    return dict(sorted((changes + dearer + line + texts).items()))


def _spans(stories: Sequence[Story], found: Evidence) -> list[Span]:
    """From the first call to the answer, and from the payment to the session that was made for it."""
    made = {row["booking_id"]: row["created_at"] for row in found.sessions}
    opened = [(story, UUID(story.opened["id"])) for story in stories if story.opened]
    held = [(story.plan.calm, story.hold_seconds) for story, _ in opened if story.hold_seconds is not None]
    # A time below zero is a payment whose answer was lost: its customer learned of it later than we did.
    confirmed = [
        (story.plan.calm, max((made[booking] - story.paid_at) / timedelta(seconds=1), 0.001))
        for story, booking in opened
        if story.paid_at and booking in made and story.plan.kind in _AT_ONCE
    ]
    return [*_span("first call to held", held), *_span("paid to confirmed", confirmed)]


# A lost webhook is found out when the hold ends: that is no measure of how fast a part recovers.
_AT_ONCE = frozenset(plan.Kind) - {plan.Kind.LOST_WEBHOOK, plan.Kind.CALLED_OFF_PAID, plan.Kind.LATE_SLOT_TAKEN}


def _span(what: str, values: Sequence[tuple[bool, float]]) -> list[Span]:
    calm, faulty = ([value for is_calm, value in values if is_calm is wanted] for wanted in (True, False))
    if not calm or not faulty:
        return []
    figures = [percentile(each, percent) for each in (calm, faulty) for percent in (50, 95)]
    return [
        Span(
            what=what,
            calm=len(calm),
            calm_p50=figures[0],
            calm_p95=figures[1],
            faulty=len(faulty),
            faulty_p50=figures[2],
            faulty_p95=figures[3],
            ratio_p50=figures[2] / figures[0],
            ratio_p95=figures[3] / figures[1],
        )
    ]
