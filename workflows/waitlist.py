"""The waitlist is served: what has come free is offered to the first in line. One run at a time."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pitstop.contracts import names
    from pitstop.contracts.waitlist import OfferStep, WaitlistOrder

# The next sweep starts it again: what cannot get through gives way to it.
_A_FEW_TIMES = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=3, maximum_attempts=4)
_LIMIT = timedelta(minutes=5)
_HEARTBEAT = timedelta(seconds=10)


@workflow.defn(name=names.WAITLIST_WORKFLOW)
class WaitlistWorkflow:
    """Started by whoever has let time go, and by the sweep; told while it runs, it looks once more before it ends.

    What is to be done is in the database, and nothing is lost with a run.
    """

    @workflow.init
    def __init__(self, order: WaitlistOrder) -> None:
        self._something_came_free = True

    @workflow.signal(name=names.FREED_SIGNAL)
    def freed(self) -> None:
        self._something_came_free = True

    @workflow.run
    async def run(self, order: WaitlistOrder) -> int:
        """How many offers were made."""
        made = 0
        while self._something_came_free:
            self._something_came_free = False
            try:
                made += await self._offer(order)
            except ActivityError as failure:
                if is_cancelled_exception(failure):
                    raise
                workflow.logger.warning("the waitlist could not be served; the next sweep tries again")
                break
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(order)
        return made

    async def _offer(self, order: WaitlistOrder) -> int:
        made: int = await workflow.execute_activity(
            names.OFFER_FREED_SLOTS,
            OfferStep(order=order, now=workflow.now()),
            result_type=int,
            start_to_close_timeout=_LIMIT,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=_A_FEW_TIMES,
        )
        return made
