"""Temporal away: creating is refused and leaves nothing behind, reading works, webhooks are kept; then all goes on."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from pitstop.contracts.booking import HoldAnswer
from pitstop.devstack.stackfile import Stack
from pitstop.gateways import temporal_engine
from pitstop.ports import EngineUnavailable
from tests.support.gate import Gate, Outage, gate
from tests.support.people import Customer, events
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.sweep import sweep

# The connection itself finds out after 45 s that nobody is there: too late for whoever waits.
_CLIENT_SECONDS = 30


@dataclass
class Api:
    url: str
    gate: Gate


@pytest.fixture
async def api(stack: Stack, customer: Customer) -> AsyncIterator[Api]:
    """An API of the test's own, which finds Temporal behind a gate.

    It would wait for a hold longer than its client does, if it did not see that Temporal hangs.
    """
    async with gate(stack.temporal_address) as before:
        own = settings(stack, temporal_address=before.address, intent_patience_seconds=120)
        async with serving(own) as url:
            customer.api_url = url
            yield Api(url, before)


@pytest.mark.parametrize("outage", ["refuses", "hangs"])
async def test_temporal_away(
    outage: Outage,
    api: Api,
    stack: Stack,
    customer: Customer,
    shop: Shop,
    stripe: StripeControl,
    temporal: Client,
    database: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    booking = await customer.book(shop, shop.start())
    await stripe.endpoint(f"{api.url}/webhooks/stripe", stack.stripe_webhook_secret)
    await api.gate.close(outage)

    key, body = str(uuid4()), customer.request(shop, shop.start(days=5))
    async with asyncio.timeout(_CLIENT_SECONDS):
        refused = await customer.post(body, key)
    assert (refused.status_code, refused.json()["code"]) == (503, "engine_unavailable")
    assert refused.headers["Retry-After"]
    assert await database.fetchval("SELECT count(*) FROM bookings WHERE mechanic_id = $1", shop.mechanic_id) == 1
    assert (await customer.read(booking))["status"] == "awaiting_payment"
    ready = await customer.http.get(f"{api.url}/health/ready")
    assert (ready.status_code, ready.json()["dependencies"]["temporal"]) == (503, "unavailable")

    await stripe.webhooks("drop", times=None)
    await customer.pay(booking)
    [event] = await stripe.events(booking["payment"]["payment_intent_id"], "payment_intent.succeeded")
    assert 204 in await stripe.deliver(event["id"])
    # Stored. A sweep of another test, whose engine is there, may have applied it since.
    assert await database.fetchval("SELECT count(*) FROM webhook_inbox WHERE event_id = $1", event["id"]) == 1

    await api.gate.open()
    await sweep(temporal, stack)
    await customer.sees(booking, "confirmed", "mail_sent")
    opened = await customer.post(body, key)
    assert opened.status_code == 201, opened.text


async def test_no_worker_at_work(
    stack: Stack, customer: Customer, rival: Customer, shop: Shop, database: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """Refused when the patience for a hold is over; then nothing is left, and others can have the slot."""
    alone = settings(stack, task_queue=f"nobody-{uuid4()}", intent_patience_seconds=0.5, database_activity_seconds=0.5)
    async with serving(alone) as url:
        customer.api_url = url
        refused = await customer.post(customer.request(shop, shop.start()))
    assert (refused.status_code, refused.json()["code"]) == (503, "engine_unavailable")
    assert refused.headers["Retry-After"]
    assert await database.fetchval("SELECT count(*) FROM bookings WHERE mechanic_id = $1", shop.mechanic_id) == 0
    await rival.book(shop, shop.start())


async def _slow_answer() -> HoldAnswer:
    await asyncio.sleep(1.5)
    return HoldAnswer()


@pytest.mark.parametrize(
    ("looks", "seen", "answered"),
    [
        (2, [False, True, False, True], True),
        (2, [True, False, False], False),
        # Without the second look, a machine that was busy for a moment costs the customer a booking.
        (1, [False, True, False, True], False),
    ],
)
async def test_it_has_gone_when_it_was_not_there_twice_in_turn(
    stack: Stack, temporal: Client, monkeypatch: pytest.MonkeyPatch, looks: int, seen: list[bool], answered: bool
) -> None:
    """A worker takes its time over a hold, and the engine is asked meanwhile whether it is there."""
    engine, coming = temporal_engine.TemporalEngine(temporal, settings(stack)), iter(seen)

    async def is_reachable() -> bool:
        return next(coming, True)

    monkeypatch.setattr(engine, "is_reachable", is_reachable)
    monkeypatch.setattr(temporal_engine, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(temporal_engine, "_LOOKS", looks)
    if answered:
        assert (await engine._while_reachable(_slow_answer())).refusal is None
    else:
        with pytest.raises(EngineUnavailable):
            await engine._while_reachable(_slow_answer())


async def _ends_badly_when_given_up() -> HoldAnswer:
    """As the engine's client does: whoever cancels it gets an error of its own."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise RuntimeError("cancelled while waiting for the update") from None
    return HoldAnswer()


async def test_what_is_given_up_is_no_error_that_nobody_has_seen(
    stack: Stack, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API answers 503 and says so once; the log has no traceback beside it."""
    engine, unseen = temporal_engine.TemporalEngine(temporal, settings(stack)), list[str]()

    async def is_reachable() -> bool:
        return False

    monkeypatch.setattr(engine, "is_reachable", is_reachable)
    monkeypatch.setattr(temporal_engine, "_LOOK_SECONDS", 0.05)
    gc.collect()  # what earlier tests have left behind is not this one's
    asyncio.get_running_loop().set_exception_handler(lambda _, about: unseen.append(about["message"]))
    with pytest.raises(EngineUnavailable):
        await engine._while_reachable(_ends_badly_when_given_up())
    await asyncio.sleep(0.1)
    gc.collect()
    assert unseen == []


_LOST = [
    RPCError("workflow update was aborted", RPCStatusCode.UNAVAILABLE, b""),
    WorkflowUpdateFailedError(ApplicationError("the update was lost", type="AcceptedUpdateCompletedWorkflow")),
    WorkflowUpdateRPCTimeoutOrCancelledError(),
]


# It is too busy, or has understood: asking again at once would make it worse, or no better.
_REFUSED = [
    RPCError("namespace rate limit exceeded", RPCStatusCode.RESOURCE_EXHAUSTED, b""),
    RPCError("search attribute is not defined", RPCStatusCode.INVALID_ARGUMENT, b""),
]


@pytest.mark.parametrize("refused", _REFUSED, ids=lambda refused: refused.status.name)
async def test_an_engine_that_refuses_is_asked_once(
    stack: Stack, temporal: Client, monkeypatch: pytest.MonkeyPatch, refused: RPCError
) -> None:
    engine, asked = temporal_engine.TemporalEngine(temporal, settings(stack)), list[str]()

    async def ask() -> HoldAnswer:
        asked.append("once")
        raise refused

    with pytest.raises(RPCError):
        await engine._answer(ask)
    assert asked == ["once"]


async def _at_once() -> None: ...


def _lose_one_answer(
    monkeypatch: pytest.MonkeyPatch,
    lost: Exception,
    pauses: tuple[float, ...],
    when: Callable[[], Awaitable[None]] = _at_once,
) -> None:
    """The next one is lost when it has had its effect, and `when` is over."""
    update, failures = temporal_engine.TemporalEngine._update, iter([lost])

    async def loses_one(self: Any, *arguments: Any, **options: Any) -> Any:
        answer = await update(self, *arguments, **options)
        for failure in failures:
            await when()
            raise failure
        return answer

    monkeypatch.setattr(temporal_engine.TemporalEngine, "_update", loses_one)
    monkeypatch.setattr(temporal_engine, "_PAUSES_SECONDS", pauses)


@pytest.mark.parametrize("lost", _LOST, ids=lambda lost: type(lost).__name__)
@pytest.mark.parametrize(("pauses", "status"), [((0.05,), 201), ((), 503)])
async def test_an_answer_that_the_engine_has_lost_is_asked_for_again(
    stack: Stack,
    customer: Customer,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    lost: Exception,
    pauses: tuple[float, ...],
    status: int,
) -> None:
    """Nothing is done twice. Asked once, the customer is told to try again, which is not the customer's business."""
    _lose_one_answer(monkeypatch, lost, pauses)
    async with serving(settings(stack)) as url:
        customer.api_url = url
        key = str(uuid4())
        answer = await customer.post(request := customer.request(shop, shop.start()), key)
        assert answer.status_code == status, answer.text
        again = await customer.post(request, key)
        assert (again.status_code, again.json()["status"]) == (200, "awaiting_payment")
        assert events(await customer.read(again.json())).count("hold_placed") == 1


@pytest.mark.parametrize("pauses", [(0.05,), ()], ids=["asked again", "asked once"])
@pytest.mark.parametrize(("what", "ended"), [("reschedule", False), ("cancel", True)])
async def test_a_change_whose_answer_is_lost_is_made_once(
    stack: Stack,
    customer: Customer,
    shop: Shop,
    temporal: Client,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    ended: bool,
    pauses: tuple[float, ...],
) -> None:
    """A cancelled booking's run has ended before it is asked again: another one says what was decided. Asked once, the
    record says it."""
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    sent = {"start": shop.start(days=5).isoformat()} if what == "reschedule" else {}
    run = temporal.get_workflow_handle(f"booking/{booking['id']}")

    async def until_ended() -> None:
        if ended:
            await run.result()

    _lose_one_answer(monkeypatch, _LOST[0], pauses, until_ended)
    async with serving(settings(stack)) as url:
        customer.api_url = url
        for _ in range(2):
            answer = await customer.ask(booking, what, **sent)
            assert answer.status_code == 200, answer.text
        told = events(await customer.sees(booking, "cancelled" if ended else "confirmed", "mail_sent"))
    assert told.count("cancelled" if ended else "rescheduled") == 1
