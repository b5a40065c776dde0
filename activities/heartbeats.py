"""A sign of life while an activity works, so that the death of its worker is noticed long before its time limit."""

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

Result = TypeVar("Result")
# Several to a timeout: one that is late, on a busy machine, is no death.
_BEATS_TO_A_TIMEOUT = 4
# And all of them reach the server: by itself the SDK sends one at four fifths of the timeout, and none in between.
OFTEN = timedelta(seconds=0.25)


class Heartbeats(Interceptor):
    """For every activity that has a heartbeat timeout; local ones have none, the workflow task stands for them."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        timeout = activity.info().heartbeat_timeout
        if not timeout:
            return await super().execute_activity(input)
        work = asyncio.ensure_future(super().execute_activity(input))
        beats = asyncio.ensure_future(_beat(timeout / _BEATS_TO_A_TIMEOUT))
        try:
            return await to_its_end(work)
        finally:
            beats.cancel()


async def to_its_end(work: "asyncio.Future[Result]") -> Result:
    """A cancellation can come in the middle. A try that is under way is finished all the same, so that what was done is
    known: a mail half sent may have arrived. Only a worker that has to stop, after its drain, breaks it off.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        details = activity.cancellation_details()
        if details is None or details.worker_shutdown:
            work.cancel()
        return await work


async def _beat(every: timedelta) -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(every.total_seconds())
