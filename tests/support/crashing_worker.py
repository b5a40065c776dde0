"""A worker that ends itself with SIGKILL at one point of one activity, such as CRASH_AT=confirm_booking:after.

`before`: the activity has not begun. `after`: it has had its effect, and nobody has been told. Without CRASH_AT it
works like any other.
"""

import asyncio
import os
import signal
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

import worker
from pitstop.gateways.temporal_engine import connect
from pitstop.settings import Settings


class _Crash(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        self._die_at(f"{name}:before")
        result = await super().execute_activity(input)
        self._die_at(f"{name}:after")
        return result

    def _die_at(self, point: str) -> None:
        if os.environ.get("CRASH_AT") == point:
            os.kill(os.getpid(), signal.SIGKILL)


class _Crashes(Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Crash(next)


async def _work() -> None:
    settings = Settings()
    async with worker.at_work(await connect(settings), settings, [_Crashes()]):
        await asyncio.Event().wait()


def main() -> None:
    asyncio.run(_work())
