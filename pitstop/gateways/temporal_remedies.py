"""How the audit's repairs act: the engine, with the backstop that can be started at once."""

from datetime import timedelta

from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from pitstop.audit.ports import AuditImpossible
from pitstop.contracts import names
from pitstop.gateways.sweep_schedule import sweep_order
from pitstop.gateways.temporal_engine import TemporalEngine
from pitstop.settings import Settings

_LIMIT = timedelta(minutes=20)


class TemporalRemedies(TemporalEngine):
    """Implements the port `Remedies`."""

    def __init__(self, client: Client, settings: Settings) -> None:
        super().__init__(client, settings)
        self._connection, self._queue, self._sweep_order = client, settings.task_queue, sweep_order(settings)

    async def sweep(self) -> None:
        """One more than those of the schedule; whoever else asks for one now shares it."""
        try:
            await self._connection.execute_workflow(
                names.SWEEP_WORKFLOW,
                self._sweep_order,
                id=f"{names.SWEEP_SCHEDULE}/{self._queue}/asked-for",
                task_queue=self._queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                execution_timeout=_LIMIT,
                static_summary="asked for by the audit's repair",
            )
        except (RPCError, RuntimeError, WorkflowFailureError) as error:
            raise AuditImpossible(f"the sweep: {error!r}") from error
