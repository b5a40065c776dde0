"""The bookings' open runs as the audit reads them: the engine's index for many, a description for one."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from uuid import UUID

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from pitstop.audit.ports import AuditImpossible
from pitstop.contracts import names
from pitstop.domain.audit.facts import Run

_OPEN = f"WorkflowType = '{names.BOOKING_WORKFLOW}' AND ExecutionStatus = 'Running'"
_PAGE = 500
# How many ids one query names: the server limits the query's length.
_NAMED = 100
_PREFIX = "booking/"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RPCError, RuntimeError) as error:
        raise AuditImpossible(f"Temporal: {error!r}") from error


class TemporalRuns:
    """Implements the port `Runs`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def open_runs(self, ids: Collection[UUID]) -> dict[UUID, Run]:
        found: dict[UUID, Run] = {}
        wanted = list(ids)
        for some in (wanted[at : at + _NAMED] for at in range(0, len(wanted), _NAMED)):
            named = ", ".join(f"'{names.booking_workflow_id(id)}'" for id in some)
            async for page in self._pages(f"{_OPEN} AND WorkflowId IN ({named})"):
                found |= {run.booking_id: run for run in page}
        return found

    def all_open(self) -> AsyncIterator[list[Run]]:
        return self._pages(_OPEN)

    async def _pages(self, query: str) -> AsyncIterator[list[Run]]:
        with _translated():
            listing = self._client.list_workflows(query, page_size=_PAGE)
            while True:
                await listing.fetch_next_page()
                yield [run for each in listing.current_page or () if (run := _run(each)) is not None]
                if not listing.next_page_token:
                    return

    async def described(self, booking_id: UUID) -> Run | None:
        handle = self._client.get_workflow_handle(names.booking_workflow_id(booking_id))
        try:
            with _translated():
                execution = await handle.describe()
        except AuditImpossible as failure:
            cause = failure.__cause__
            if isinstance(cause, RPCError) and cause.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        if execution.status is not WorkflowExecutionStatus.RUNNING:
            return None
        pending = execution.raw_description.pending_activities
        return _run(execution, tuple(sorted(each.activity_type.name for each in pending if each.attempt > 1)))


def _run(execution: WorkflowExecution, retrying: tuple[str, ...] = ()) -> Run | None:
    try:
        booking_id = UUID(execution.id.removeprefix(_PREFIX))
    except ValueError:
        return None
    shown = execution.typed_search_attributes.get(names.BOOKING_STATUS)
    return Run(booking_id, shown, execution.start_time, retrying)
