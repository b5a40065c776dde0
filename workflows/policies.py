"""How the saga's steps are tried again, by name.

Steps on the database, and first tries everywhere, are local activities: they cost no round trip to the server, and
each of them is safe to run again after a crash. What has to outlast an outage becomes an ordinary activity, which an
operator sees waiting in the UI.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

Result = TypeVar("Result")

# What has to be done is tried until it is done, quickly at first (a worker or a server that restarts), then patiently.
UNTIL_DONE = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
)
ONE_TRY = RetryPolicy(maximum_attempts=1)
# Counted, not timed: the engine does not hold the retries of a local activity to its schedule-to-close timeout.
TRIES_WHILE_CUSTOMER_WAITS = 3
WHILE_CUSTOMER_WAITS = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_attempts=TRIES_WHILE_CUSTOMER_WAITS
)
# How soon the death of a worker is noticed that is at an activity on somebody else's server. Without a heartbeat it
# would be the activity's whole time limit. Much less than this, and a worker that is only slow, on a busy machine, is
# taken for dead: its try is repeated for nothing (safely, by its idempotency key).
HEARTBEAT = timedelta(seconds=2)
# A pause between two tries that is longer than this is left to a timer of the server.
LOCAL_PATIENCE = timedelta(seconds=5)


async def local(activity: str, argument: Any, result: type[Result], limit: timedelta, summary: str) -> Result:
    """A step on the database, tried until it is done; each try takes at most `limit`."""
    outcome: Result = await workflow.execute_local_activity(
        activity,
        argument,
        result_type=result,
        start_to_close_timeout=limit,
        retry_policy=UNTIL_DONE,
        local_retry_threshold=LOCAL_PATIENCE,
        summary=summary,
    )
    return outcome


async def local_or_none(
    activity: str, argument: Any, result: type[Result], limit: timedelta, summary: str
) -> Result | None:
    """As `local`, for a step that may have nothing to bring back."""
    return await local(activity, argument, cast("type[Result | None]", result | None), limit, summary)


async def local_while_customer_waits(
    activity: str, argument: Any, result: type[Result], patience: timedelta, summary: str
) -> Result:
    """A step inside the customer's request: some tries that take `patience` in all, then `FailureError`.

    Not `ActivityError`: the failure of a local activity comes as it is.
    """
    outcome: Result = await workflow.execute_local_activity(
        activity,
        argument,
        result_type=result,
        start_to_close_timeout=patience / TRIES_WHILE_CUSTOMER_WAITS,
        retry_policy=WHILE_CUSTOMER_WAITS,
        summary=summary,
    )
    return outcome


async def persistent(
    activity: str,
    argument: Any,
    result: type[Result],
    limit: timedelta,
    summary: str,
    patience: timedelta | None = None,
    cancellation: ActivityCancellationType = ActivityCancellationType.TRY_CANCEL,
    when_delayed: Callable[[], None] | None = None,
) -> Result:
    """A step on somebody else's server: one quick local try, and if that fails an activity that never gives up.

    With `patience` it gives up after so long, with `FailureError`. `when_delayed` is called when the first try fails.
    """
    try:
        first: Result = await workflow.execute_local_activity(
            activity,
            argument,
            result_type=result,
            start_to_close_timeout=limit,
            retry_policy=ONE_TRY,
            cancellation_type=cancellation,
            summary=summary,
        )
        return first
    except FailureError as failure:
        if is_cancelled_exception(failure):
            raise
    if when_delayed is not None:
        when_delayed()
    later: Result = await workflow.execute_activity(
        activity,
        argument,
        result_type=result,
        start_to_close_timeout=limit,
        schedule_to_close_timeout=patience,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=UNTIL_DONE,
        cancellation_type=cancellation,
        summary=summary,
    )
    return later


def readable(offset: timedelta) -> str:
    """A span as an operator reads it: `24 h`, `90 min`, `20 s`."""
    total = offset.total_seconds()
    for unit, size in (("h", 3600), ("min", 60)):
        if total >= size and total % size == 0:
            return f"{total / size:.0f} {unit}"
    return f"{total:g} s"
