"""The workflow engine as API and backstop use it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from pitstop.contracts import names
from pitstop.contracts.booking import BookingOrder, Change, ChangeAnswer, HoldAnswer, Spans
from pitstop.contracts.privacy import ErasureOrder
from pitstop.contracts.waitlist import WaitlistOrder
from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Caller
from pitstop.domain.changes import ChangeKind, ChangeOutcome
from pitstop.domain.erasure import ErasedRecords
from pitstop.domain.offering import Patience
from pitstop.domain.saga import HoldOutcome, PaymentEvent, Standing
from pitstop.gateways.payload_codec import data_converter
from pitstop.ports import EngineUnavailable, IdempotencyKeyReused, NoRunningWorkflow
from pitstop.settings import Settings

_log = logging.getLogger("pitstop.engine")
Answer = TypeVar("Answer")

# A caller that waits is told soon that the engine is away; the client's own retries would go on for longer.
_PATIENCE = RetryConfig(max_elapsed_time_millis=2000)
# A client that has never been connected says so with a RuntimeError.
_AWAY = (RPCError, RuntimeError)
_SIGNAL_LIMIT = timedelta(seconds=5)
# How often somebody who waits for a hold looks whether the engine is still there.
_LOOK_SECONDS = 3
# It has gone when it was not there so often in turn: once is a busy machine.
_LOOKS = 2
# It is too busy, or has understood the question: asked again at once it would say the same. Whatever else it says may
# be because its run, or the worker that had its task, has just ended.
_FINAL = frozenset(
    {
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.UNIMPLEMENTED,
    }
)
# Before it is asked again what it has failed to answer.
_PAUSES_SECONDS = (0.1, 0.5)
_ERASURE_LIMIT = timedelta(seconds=20)


def spans_of(settings: Settings) -> Spans:
    """The time spans of a booking that starts now."""
    return Spans(
        hold=timedelta(seconds=settings.hold_seconds),
        hold_grace=timedelta(seconds=settings.hold_grace_seconds),
        reminder_offsets=tuple(timedelta(seconds=offset) for offset in settings.reminder_offsets_seconds),
        database_activity=timedelta(seconds=settings.database_activity_seconds),
        stripe_activity=timedelta(seconds=settings.stripe_activity_seconds),
        mail_activity=timedelta(seconds=settings.mail_activity_seconds),
        intent_patience=timedelta(seconds=settings.intent_patience_seconds),
        waiting_room=timedelta(seconds=settings.waiting_room_seconds),
        closing=timedelta(seconds=settings.closing_seconds),
        offering=Patience(
            preferred=timedelta(seconds=settings.immediate_preferred_seconds),
            wave=timedelta(seconds=settings.immediate_wave_seconds),
            whole=timedelta(seconds=settings.immediate_seconds),
        ),
        to_pay_difference=timedelta(seconds=settings.hold_seconds),
    )


def waitlist_order(settings: Settings) -> WaitlistOrder:
    lasts = timedelta(seconds=settings.waitlist_offer_seconds)
    return WaitlistOrder(lasts=lasts, looks=settings.waitlist_looks)


async def connect(settings: Settings, *, lazy: bool = False, runtime: Runtime | None = None) -> Client:
    """`lazy` connects at the first call: the API starts, and says that it is not ready, while the engine is away."""
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=data_converter(settings),
        retry_config=_PATIENCE,
        lazy=lazy,
        runtime=runtime,
    )


class TemporalEngine:
    """Implements the ports `BookingEngine`, `PaymentMessenger`, `WorkflowReviver`, `WaitlistBell` and `Eraser`."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._spans = spans_of(settings)
        self._hold_limit = self._spans.intent_patience + self._spans.database_activity + timedelta(seconds=5)

    async def hold(self, standing: Standing, summary: str, lasts: timedelta | None = None) -> HoldOutcome:
        """Starts the booking's workflow and brings back the hold or the refusal, in one round trip.

        The update has a new id each time: with a fixed one the server would answer for a run that has closed, and a
        request that was refused could never be made again. The handler gives all who ask the same answer.
        """
        try:
            update = (names.HOLD_UPDATE, standing.fingerprint, HoldAnswer)
            answer = await self._answer(lambda: self._update(standing, summary, *update, lasts=lasts))
        except WorkflowUpdateFailedError as failure:
            if _is_of_another_request(failure):
                raise IdempotencyKeyReused from failure
            raise _unavailable(failure) from failure
        except (*_AWAY, WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as failure:
            # Among them an answer that cannot be opened: the worker has a new key already, this process not yet.
            raise _unavailable(failure) from failure
        return HoldOutcome(refusal=answer.refusal, reason=answer.reason)

    async def change(self, standing: Standing, change_id: UUID, kind: ChangeKind) -> ChangeOutcome:
        """Has the booking's run decide on a change that is on record; a run that was terminated is taken up again."""
        change = Change(change_id=change_id, kind=kind)
        try:
            update = (names.CHANGE_UPDATE, change, ChangeAnswer)
            answer = await self._answer(lambda: self._update(standing, "taken up again by a change", *update))
        except (*_AWAY, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as failure:
            raise _unavailable(failure) from failure
        return ChangeOutcome(refusal=answer.refusal, reason=answer.reason, why=answer.why)

    async def tell_notices_owed(self, standing: Standing) -> None:
        """Has the run send what somebody has put on record."""
        handle = self._client.get_workflow_handle(names.booking_workflow_id(standing.booking_id))
        try:
            await handle.signal(names.NOTICES_SIGNAL, rpc_timeout=_SIGNAL_LIMIT)
        except _AWAY as failure:
            if not (isinstance(failure, RPCError) and failure.status is RPCStatusCode.NOT_FOUND):
                raise EngineUnavailable from failure
            await self.revive(standing, None)

    async def _update(
        self,
        standing: Standing,
        summary: str,
        update: str,
        argument: object,
        answer: type[Answer],
        lasts: timedelta | None = None,
    ) -> Answer:
        """Starts the booking's run, or joins the one that runs, and brings back what its update answers."""
        operation = self._start(standing, summary, lasts)
        # The operation has a failure of its own, which is logged at some later time unless somebody has seen it.
        started = asyncio.ensure_future(operation.workflow_handle())
        started.add_done_callback(_seen)
        try:
            answered: Answer = await self._client.execute_update_with_start_workflow(
                update, argument, result_type=answer, start_workflow_operation=operation
            )
            return answered
        finally:
            started.cancel()

    async def _answer(self, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """Asks again at once where an engine that is there has failed: the same question has the same answer.

        It loses an update now and then, such as with the workflow task that was to bring it ("Aborting an Update",
        docs/architecture/workflow-update.md of the server): nobody is turned away for that.
        """
        for pause in _PAUSES_SECONDS:
            try:
                return await self._while_reachable(ask())
            except (*_AWAY, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError) as failure:
                if not _may_be_lost(failure) or not await self.is_reachable():
                    raise
                _log.warning("the engine has failed, and is asked again: %r", failure)
            await asyncio.sleep(pause)
        return await self._while_reachable(ask())

    async def _while_reachable(self, asking: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer, for which a busy worker is given its time; but nobody waits for a server that hangs."""
        task = asyncio.create_task(asking)
        task.add_done_callback(_seen)
        try:
            async with asyncio.timeout(self._hold_limit.total_seconds()):
                missed = 0
                while not (await asyncio.wait([task], timeout=_LOOK_SECONDS))[0]:
                    missed = 0 if await self.is_reachable() else missed + 1
                    if missed == _LOOKS:
                        _log.warning("the engine is not there: it was looked for %d times", missed)
                        raise EngineUnavailable
                return await task
        finally:
            task.cancel()

    async def wake_waitlist(self) -> None:
        """Starts the run that serves the waitlist, or tells the one that runs to look once more.

        Nothing where another task queue's workers serve it.
        """
        if not self._settings.serves_waitlist:
            return
        try:
            await self._client.start_workflow(
                names.WAITLIST_WORKFLOW,
                waitlist_order(self._settings),
                id=names.waitlist_workflow_id(self._settings.task_queue),
                task_queue=self._settings.task_queue,
                task_timeout=self._task_timeout,
                static_summary="offers what has come free to the first in line",
                start_signal=names.FREED_SIGNAL,
                rpc_timeout=_SIGNAL_LIMIT,
            )
        except _AWAY as failure:
            raise EngineUnavailable from failure

    async def signal_payment(self, booking_id: UUID, event: PaymentEvent) -> None:
        handle = self._client.get_workflow_handle(names.booking_workflow_id(booking_id))
        try:
            await handle.signal(names.PAYMENT_SIGNAL, event, rpc_timeout=_SIGNAL_LIMIT)
        except _AWAY as failure:
            gone = isinstance(failure, RPCError) and failure.status is RPCStatusCode.NOT_FOUND
            raise (NoRunningWorkflow if gone else EngineUnavailable) from failure

    async def revive(self, standing: Standing, event: PaymentEvent | None) -> bool:
        try:
            await self._client.start_workflow(
                names.BOOKING_WORKFLOW,
                self._order(standing),
                id=names.booking_workflow_id(standing.booking_id),
                task_queue=self._settings.task_queue,
                task_timeout=self._task_timeout,
                search_attributes=_search_attributes(standing),
                static_summary="taken up again by the sweep",
                memo=_memo(standing),
                start_signal=names.PAYMENT_SIGNAL if event else None,
                start_signal_args=[event] if event else [],
            )
        except WorkflowAlreadyStartedError:
            return False
        except _AWAY as failure:
            raise EngineUnavailable from failure
        return True

    async def erase(self, customer_id: UUID, by: Caller) -> ErasedRecords:
        """Starts the erasure, or joins the one that runs, and brings back what the database did."""
        order = ErasureOrder(
            customer_id=customer_id,
            actor_role=by.role,
            actor=by.subject,
            address=by.origin.address,
            request_id=by.origin.request_id,
        )
        start = WithStartWorkflowOperation[object, object](
            names.ERASURE_WORKFLOW,
            order,
            id=names.erasure_workflow_id(customer_id),
            task_queue=self._settings.task_queue,
            task_timeout=self._task_timeout,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary="removes a customer's personal data",
        )
        try:
            async with asyncio.timeout(_ERASURE_LIMIT.total_seconds()):
                erased: ErasedRecords = await self._client.execute_update_with_start_workflow(
                    names.ERASE_UPDATE, result_type=ErasedRecords, start_workflow_operation=start
                )
        except (*_AWAY, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as failure:
            raise EngineUnavailable from failure
        return erased

    async def is_reachable(self) -> bool:
        try:
            return await self._client.service_client.check_health(timeout=timedelta(seconds=2))
        except _AWAY:
            return False

    @property
    def _task_timeout(self) -> timedelta:
        return timedelta(seconds=self._settings.workflow_task_seconds)

    def _order(self, standing: Standing, lasts: timedelta | None = None) -> BookingOrder:
        spans = self._spans.model_copy(update={"hold": lasts}) if lasts else self._spans
        return BookingOrder(booking_id=standing.booking_id, fingerprint=standing.fingerprint, spans=spans)

    def _start(
        self, standing: Standing, summary: str, lasts: timedelta | None
    ) -> WithStartWorkflowOperation[object, object]:
        return WithStartWorkflowOperation(
            names.BOOKING_WORKFLOW,
            self._order(standing, lasts),
            id=names.booking_workflow_id(standing.booking_id),
            task_queue=self._settings.task_queue,
            task_timeout=self._task_timeout,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=_search_attributes(standing),
            static_summary=summary,
            memo=_memo(standing),
        )


def _memo(standing: Standing) -> dict[str, str]:
    mechanic = {"mechanic_id": str(standing.mechanic_id)} if standing.mechanic_id else {}
    return {"booking_id": str(standing.booking_id), **mechanic}


def _search_attributes(standing: Standing) -> TypedSearchAttributes:
    known: list[SearchAttributePair[Any]] = [
        # A booking is `holding` for milliseconds: it starts with the status that it is about to have.
        SearchAttributePair(names.BOOKING_STATUS, BookingStatus.AWAITING_PAYMENT),
        SearchAttributePair(names.CUSTOMER_ID, str(standing.customer_id)),
    ]
    if standing.mechanic_id is not None:
        known.append(SearchAttributePair(names.MECHANIC_ID, str(standing.mechanic_id)))
    if standing.start is not None:
        known.append(SearchAttributePair(names.SCHEDULED_FOR, standing.start))
    return TypedSearchAttributes(known)


def _may_be_lost(failure: Exception) -> bool:
    """Whether the engine failed on its way; not that it is too busy, or has understood the question and refuses."""
    if isinstance(failure, RPCError):
        return failure.status not in _FINAL
    return not isinstance(failure, RuntimeError) and not _is_of_another_request(failure)


def _is_of_another_request(failure: Exception) -> bool:
    cause = failure.cause if isinstance(failure, WorkflowUpdateFailedError) else None
    return isinstance(cause, ApplicationError) and cause.type == names.KEY_REUSED


def _unavailable(failure: Exception) -> EngineUnavailable:
    """What whoever has asked is told, which does not say why: the log does."""
    _log.warning("the engine could not be asked: %r", failure)
    return EngineUnavailable()


def _seen(task: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more: how it ends is not to be logged as an error that nobody has seen."""
    if not task.cancelled():
        task.exception()
