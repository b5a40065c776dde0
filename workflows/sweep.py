"""The backstop, started by a Temporal Schedule. Nothing depends on it while everything runs."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from pitstop.contracts import names
    from pitstop.contracts.booking import SweepOrder, SweepReport, SweepStep

# The next sweep comes soon: one that cannot get through gives way to it.
_A_FEW_TIMES = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3)
_LIMIT = timedelta(minutes=5)
_HEARTBEAT = timedelta(seconds=10)


@workflow.defn(name=names.SWEEP_WORKFLOW)
class SweepWorkflow:
    """Holds that lapsed are marked so, stored webhooks applied, and bookings without a workflow taken up again."""

    @workflow.run
    async def run(self, order: SweepOrder) -> SweepReport:
        return SweepReport(
            expired_holds=await self._step(names.EXPIRE_HOLDS, order),
            forgotten_requests=await self._step(names.FORGET_REQUESTS, order),
            applied_events=await self._step(names.DRAIN_INBOX, order),
            revived_bookings=await self._step(names.REVIVE_BOOKINGS, order),
        )

    async def _step(self, activity: str, order: SweepOrder) -> int:
        done: int = await workflow.execute_activity(
            activity,
            SweepStep(now=workflow.now(), order=order),
            result_type=int,
            start_to_close_timeout=_LIMIT,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=_A_FEW_TIMES,
        )
        return done
