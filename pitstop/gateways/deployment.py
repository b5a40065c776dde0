"""The versions of the worker deployment (Temporal's Worker Versioning), and which of them gets the bookings.

A booking lives for weeks, and its code must not: pinned to its first version, it would need workers of that version
until its session is over, and would never get a mended step. So its next step runs on the current version, whatever
version began it, and a version that is not current has no work, save for bookings that were pinned to it by hand. That
the current code can go on with them is proven before it works: the tests replay the histories of every release, and
`python -m deploy.release check` the open bookings themselves.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import RoutingConfig, WorkerDeploymentInfo
from temporalio.api.enums.v1 import TaskQueueType, WorkerDeploymentVersionStatus, WorkerStatus, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    ListWorkersRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from pitstop.contracts import names
from pitstop.settings import Settings

Summary = WorkerDeploymentInfo.WorkerDeploymentVersionSummary
Answer = TypeVar("Answer")
# A worker that has just begun to poll is known to the server within moments. It takes few questions about a deployment:
# where many workers start at once, they wait for their turn.
_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.5
# A worker asks for work once a minute at least: one that was not heard of for longer has gone.
_A_WORKER_IS_HEARD_OF = timedelta(seconds=75)
# What stands for the workers that run without versions.
UNVERSIONED = "unversioned"
_PINNED = 'TemporalWorkflowVersioningBehavior = "Pinned"'


class VersionUnknown(Exception):
    """No worker of this version has ever worked on the deployment, or none does now."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version. `share` (per cent) is what it gets of the bookings; `state` is the server's word, in lower case.

    `open_bookings` are those whose last step ran on it, `pinned` those of them that stay with it.
    """

    build_id: str
    state: str
    share: float
    workers: int
    open_bookings: int
    pinned: int
    last_current: datetime | None

    @property
    def needs_workers(self) -> bool:
        return self.share > 0 or self.pinned > 0


def worker_options(settings: Settings) -> WorkerDeploymentConfig | None:
    if settings.versioning == "off":
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.deployment_name, settings.build),
        use_worker_versioning=True,
        # Here, not at the workflows: the server takes none from a worker that has no version.
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


class Deployment:
    """The deployment that the settings name."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._service = client.workflow_service
        self._name = settings.deployment_name
        self._task_queue = settings.task_queue
        booking = f'WorkflowType = "{names.BOOKING_WORKFLOW}" AND TaskQueue = "{settings.task_queue}"'
        self._open = f'{booking} AND ExecutionStatus = "Running"'

    async def versions(self) -> list[Version]:
        """All versions, the newest first, and then `unversioned` workers, if there are any or they have bookings."""
        info = await self._info() or WorkerDeploymentInfo()
        workers = await self._workers()
        summaries = sorted(info.version_summaries, key=lambda summary: summary.create_time.ToDatetime(), reverse=True)
        listed = [await self._version(summary, info.routing_config, workers) for summary in summaries]
        return [*listed, *await self._unversioned(info.routing_config, workers.get(UNVERSIONED, 0))]

    async def current(self) -> str | None:
        """The build id of the current version; None when bookings go to workers without a version."""
        info = await self._info()
        return (info.routing_config.current_deployment_version.build_id or None) if info else None

    async def make_current(self, build_id: str | None) -> None:
        """From now on this version gets every booking at its next step; None: workers without a version do.

        Ends a ramp of this version. `VersionUnknown` unless its workers poll every task queue of the present one.
        """
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self._client.namespace, deployment_name=self._name, build_id=build_id or ""
        )
        try:
            await _patiently(lambda: self._service.set_worker_deployment_current_version(request))
        except RPCError as error:
            raise _refused(error, build_id) from error

    async def ramp(self, build_id: str, percent: float) -> None:
        """This version gets so many per cent of the bookings, each booking always the same side. `VersionUnknown`."""
        request = SetWorkerDeploymentRampingVersionRequest(
            namespace=self._client.namespace,
            deployment_name=self._name,
            build_id=build_id if percent else "",
            percentage=percent,
        )
        try:
            await _patiently(lambda: self._service.set_worker_deployment_ramping_version(request))
        except RPCError as error:
            raise _refused(error, build_id) from error

    async def take_over(self, build_id: str) -> None:
        """Makes the version of a worker that has just begun to poll the current one."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while await self.current() != build_id:
            try:
                await self.make_current(build_id)
            except VersionUnknown:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    async def pin(self, workflow_id: str, build_id: str) -> None:
        """The booking stays with this version to its end, whichever is current."""
        version = WorkerDeploymentVersion(self._name, build_id)._to_proto()
        kind = VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED
        await self._override(
            workflow_id, VersioningOverride(pinned=VersioningOverride.PinnedOverride(behavior=kind, version=version))
        )

    async def unpin(self, workflow_id: str) -> None:
        await self._override(workflow_id, None)

    async def open_bookings(self, build_id: str | None = None, *, pinned: bool = False) -> AsyncIterator[str]:
        """The workflow ids of open bookings: all of them, or those whose last step ran on this version."""
        query = self._open
        if build_id is not None:
            query += f" AND {self._on(build_id)}"
        if pinned:
            query += f" AND {_PINNED}"
        async for execution in self._client.list_workflows(query):
            yield execution.id

    async def _override(self, workflow_id: str, override: VersioningOverride | None) -> None:
        request = UpdateWorkflowExecutionOptionsRequest(
            namespace=self._client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            workflow_execution_options=WorkflowExecutionOptions(versioning_override=override),
            update_mask=FieldMask(paths=["versioning_override"]),
        )
        await self._service.update_workflow_execution_options(request)

    async def _info(self) -> WorkerDeploymentInfo | None:
        request = DescribeWorkerDeploymentRequest(namespace=self._client.namespace, deployment_name=self._name)
        try:
            answer = await _patiently(lambda: self._service.describe_worker_deployment(request))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return answer.worker_deployment_info

    async def _workers(self) -> dict[str, int]:
        """How many workers of each build id poll the task queue; under the empty one those without a version."""
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=self._task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        heard, leaving = datetime.now(UTC) - _A_WORKER_IS_HEARD_OF, await self._leaving()
        found: dict[str, set[str]] = {}
        for poller in (await self._service.describe_task_queue(request)).pollers:
            options = poller.deployment_options
            versioned = options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
            ours = versioned and options.deployment_name == self._name
            there = poller.last_access_time.ToDatetime(UTC) > heard and poller.identity not in leaving
            if there and (ours or not versioned):
                found.setdefault(options.build_id if ours else UNVERSIONED, set()).add(poller.identity)
        return {build: len(identities) for build, identities in found.items()}

    async def _leaving(self) -> set[str]:
        """Workers that have said goodbye. An older server, which has no list of workers, does not know of any."""
        request = ListWorkersRequest(namespace=self._client.namespace, query=f'TaskQueue="{self._task_queue}"')
        try:
            answer = await self._service.list_workers(request)
        except RPCError as error:
            if error.status is RPCStatusCode.UNIMPLEMENTED:
                return set()
            raise
        working = WorkerStatus.WORKER_STATUS_RUNNING
        return {worker.worker_identity for worker in answer.workers if worker.status != working}

    async def _version(self, summary: Summary, routing: RoutingConfig, workers: dict[str, int]) -> Version:
        build = summary.deployment_version.build_id
        return Version(
            build,
            WorkerDeploymentVersionStatus.Name(summary.status).rpartition("_")[2].lower(),
            _share(routing, build),
            workers.get(build, 0),
            *await self._bookings(build),
            summary.last_current_time.ToDatetime(UTC) if summary.HasField("last_current_time") else None,
        )

    async def _unversioned(self, routing: RoutingConfig, workers: int) -> list[Version]:
        bookings = await self._count(f"{self._open} AND TemporalWorkerDeploymentVersion IS NULL")
        share = _share(routing, "")
        state = "current" if share else "drained" if not bookings else "draining"
        return [Version(UNVERSIONED, state, share, workers, bookings, 0, None)] if workers or bookings else []

    async def _bookings(self, build_id: str) -> tuple[int, int]:
        on_it = f"{self._open} AND {self._on(build_id)}"
        return await self._count(on_it), await self._count(f"{on_it} AND {_PINNED}")

    async def _count(self, query: str) -> int:
        return (await self._client.count_workflows(query)).count

    def _on(self, build_id: str) -> str:
        return f'TemporalWorkerDeploymentVersion = "{self._name}:{build_id}"'


def _share(routing: RoutingConfig, build_id: str) -> float:
    """Per cent of the bookings. The empty build id stands for workers without a version."""
    ramped = routing.ramping_version_percentage if routing.HasField("ramping_deployment_version") else 0.0
    share = 0.0
    if routing.current_deployment_version.build_id == build_id:
        share += 100 - ramped
    if ramped and routing.ramping_deployment_version.build_id == build_id:
        share += ramped
    return share


async def _patiently(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer, once the server has time for the question."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except RPCError as error:
            if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED or time.monotonic() > until:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)


def _refused(error: RPCError, build_id: str | None) -> Exception:
    """A version that cannot be given work as a `VersionUnknown`; every other error as it is."""
    if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION):
        return VersionUnknown(f"{build_id or 'workers without a version'}: {error.message}")
    return error
