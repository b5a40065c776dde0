"""An erasure that is asked for again while its run goes on, with a store and a Stripe that the test holds up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.privacy import ErasureActivities
from pitstop.contracts import names
from pitstop.contracts.privacy import ErasureOrder
from pitstop.devstack.stackfile import Stack
from pitstop.domain.caller import Caller, Role
from pitstop.domain.erasure import ErasedRecords
from pitstop.postgres.erasure import PostgresErasure
from pitstop.postgres.pool import open_pool
from workflows.privacy import ErasureWorkflow


class _Store:
    """Has as many bookings to erase as the test puts there, each with one payment of that name."""

    def __init__(self, *bookings: str) -> None:
        self.bookings, self.intents = list(bookings), list[str]()
        self.times = 0

    async def erase(self, customer_id: UUID, by: Caller, now: datetime) -> ErasedRecords:
        self.times += 1
        erased, self.bookings = self.bookings, []
        self.intents += erased
        return ErasedRecords(bookings=len(erased))

    async def intents_to_forget(self, customer_id: UUID) -> list[str]:
        return list(self.intents)

    async def intent_forgotten(self, payment_intent_id: str, now: datetime) -> None:
        self.intents.remove(payment_intent_id)

    async def complete(self, customer_id: UUID, left_at_stripe: int, now: datetime, asked_until: datetime) -> None:
        """What is on record of it is not looked at here."""


class _Stripe:
    """Answers nothing before it is `open`."""

    def __init__(self) -> None:
        self.asked, self.open = asyncio.Event(), asyncio.Event()

    async def forget_address(self, payment_intent_id: str) -> None:
        self.asked.set()
        await self.open.wait()


class _Erasing:
    """Asks as the API does."""

    def __init__(self, client: Client, queue: str) -> None:
        self._client, self._queue, self.customer = client, queue, uuid4()

    async def ask(self) -> ErasedRecords:
        order = ErasureOrder(
            customer_id=self.customer, actor_role="operator", actor="an operator", address=None, request_id=None
        )
        start = WithStartWorkflowOperation[object, object](
            names.ERASURE_WORKFLOW,
            order,
            id=names.erasure_workflow_id(self.customer),
            task_queue=self._queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        erased: ErasedRecords = await self._client.execute_update_with_start_workflow(
            names.ERASE_UPDATE, result_type=ErasedRecords, start_workflow_operation=start
        )
        return erased

    @property
    def run(self) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(names.erasure_workflow_id(self.customer))


@asynccontextmanager
async def _erasing(client: Client, store: _Store, stripe: _Stripe) -> AsyncIterator[_Erasing]:
    queue = f"erasing-again-{uuid4()}"
    # Of the gateway nothing else is asked.
    steps = ErasureActivities(store, stripe)  # type: ignore[arg-type]
    async with Worker(
        client,
        task_queue=queue,
        workflows=[ErasureWorkflow],
        activities=[steps.erase_records, steps.erase_at_stripe],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield _Erasing(client, queue)


async def test_asked_once_it_is_done_once(temporal: Client) -> None:
    store, stripe = _Store("one"), _Stripe()
    stripe.open.set()
    async with _erasing(temporal, store, stripe) as erasing:
        assert (await erasing.ask()).bookings == 1
        await erasing.run.result()
    assert (store.times, store.intents) == (1, [])


async def test_stripe_is_told_of_what_has_come_since_it_was_begun(temporal: Client) -> None:
    """The step that is under way has its list already."""
    store, stripe = _Store("one"), _Stripe()
    async with _erasing(temporal, store, stripe) as erasing:
        await erasing.ask()
        await asyncio.wait_for(stripe.asked.wait(), 20)
        store.bookings += ["two", "three"]
        assert (await erasing.ask()).bookings == 2
        assert (store.times, store.bookings) == (2, [])
        stripe.open.set()
        await erasing.run.result()
    assert store.intents == []


async def test_it_is_not_complete_before_the_last_has_been_told(stack: Stack) -> None:
    first, customer, by = datetime.now(UTC), uuid4(), Caller(Role.OPERATOR, "an operator")
    second = first + timedelta(seconds=1)
    async with open_pool(stack.worker_database_url, 1, "erasing-again") as pool:
        store = PostgresErasure(pool)
        completed = "SELECT completed_at FROM erasures WHERE customer_id = $1"
        for asked in (first, second):
            await store.erase(customer, by, asked)
        await store.complete(customer, 0, second, first)
        assert await pool.fetchval(completed, customer) is None
        await store.complete(customer, 0, second, second)
        assert await pool.fetchval(completed, customer) == second
