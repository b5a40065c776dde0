"""Removing a customer's personal data, and sealing the audit log: the order of events."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from pitstop.contracts import names
    from pitstop.contracts.privacy import EraseAtStripe, EraseRecords, ErasureOrder, Seal, SealOrder
    from pitstop.domain.erasure import ErasedRecords
    from workflows.policies import UNTIL_DONE, local

_DATABASE_LIMIT = timedelta(seconds=10)
# All payments of one customer, one call to Stripe each.
_STRIPE_LIMIT = timedelta(minutes=5)
_HEARTBEAT = timedelta(seconds=20)
_SEAL_LIMIT = timedelta(minutes=2)
# The next one comes soon. A chain that is broken does not mend itself.
_A_FEW_TIMES = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_attempts=3, non_retryable_error_types=["AuditLogChanged"]
)


@workflow.defn(name=names.ERASURE_WORKFLOW)
class ErasureWorkflow:
    """The database in one transaction, then Stripe until it is done: never half of it for good.

    What is open stops all of it: then nothing was removed, and the run ends.
    """

    @workflow.init
    def __init__(self, order: ErasureOrder) -> None:
        self._order = order
        self._erased: ErasedRecords | None = None
        # The database has let go of more since Stripe was told.
        self._stripe_lags = False

    @workflow.run
    async def run(self, order: ErasureOrder) -> ErasedRecords:
        erased = self._erased = await self._erase_records()
        if not erased.open_bookings:
            await self._erase_at_stripe()
        await workflow.wait_condition(workflow.all_handlers_finished)
        while self._stripe_lags:
            self._stripe_lags = False
            await self._erase_at_stripe()
            await workflow.wait_condition(workflow.all_handlers_finished)
        return erased

    @workflow.update(name=names.ERASE_UPDATE)
    async def erase(self) -> ErasedRecords:
        """Brings back what the database did; asked after that, does it again: more may have come since."""
        if self._erased is not None and workflow.patched("what-came-since-is-erased"):
            again = await self._erase_records()
            self._stripe_lags = self._stripe_lags or not again.open_bookings
            return again
        await workflow.wait_condition(lambda: self._erased is not None)
        assert self._erased is not None  # noqa: S101 - just waited for
        return self._erased

    async def _erase_records(self) -> ErasedRecords:
        return await local(
            names.ERASE_RECORDS,
            EraseRecords(order=self._order, now=workflow.now()),
            ErasedRecords,
            _DATABASE_LIMIT,
            "remove the personal data",
        )

    async def _erase_at_stripe(self) -> None:
        workflow.set_current_details("Gone from the database; Stripe is being told.")
        await workflow.execute_activity(
            names.ERASE_AT_STRIPE,
            EraseAtStripe(customer_id=self._order.customer_id, now=workflow.now()),
            start_to_close_timeout=_STRIPE_LIMIT,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=UNTIL_DONE,
            summary="have Stripe forget the address",
        )
        workflow.set_current_details("Gone from the database and from Stripe.")


@workflow.defn(name=names.SEAL_WORKFLOW)
class SealWorkflow:
    """One seal over the audit log; none when nothing new is in it."""

    @workflow.run
    async def run(self, order: SealOrder) -> Seal | None:
        sealed: Seal | None = await workflow.execute_activity(
            names.SEAL_AUDIT_LOG,
            order,
            result_type=Seal | None,  # type: ignore[arg-type]
            start_to_close_timeout=_SEAL_LIMIT,
            retry_policy=_A_FEW_TIMES,
            summary="check the audit log and seal it",
        )
        return sealed
