"""A booking's mails and messages on their way: beside the timers, each by its key, as long as it is of use."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pitstop.contracts import names
    from pitstop.contracts.booking import SendNotice
    from pitstop.domain.notices import NoticeKind
    from pitstop.domain.saga import NoticeDue, NoticeOutcome
    from workflows.policies import local, persistent

# How long a mail is tried that is not bound to the session's time.
PATIENCE = timedelta(days=3)
SHORTEST_PATIENCE = timedelta(minutes=1)


class Letters:
    """Those of one booking. `limit`: what one try may take; `step_limit`: what a step on the database may take."""

    def __init__(self, booking_id: UUID, limit: timedelta, step_limit: timedelta) -> None:
        self._booking_id = booking_id
        self._limit = limit
        self._step_limit = step_limit
        self._posted: set[str] = set()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._stopped: set[asyncio.Task[None]] = set()

    @property
    def posted(self) -> frozenset[str]:
        """The keys of those that have been posted: what is owed besides is yet to be."""
        return frozenset(self._posted)

    def post(self, notices: Iterable[NoticeDue], patience: timedelta) -> None:
        """Sends them beside the timers: one that does not get through holds up neither the next nor the session."""
        for notice in notices:
            self._posted.add(notice.key)
            self._under_way[notice.key] = asyncio.create_task(self.send(notice.kind, notice, patience))

    def keys_under_way(self) -> set[str]:
        return {key for key, letter in self._under_way.items() if not letter.done()}

    def forget_all_but(self, keys: set[str]) -> None:
        """What was sent before may be sent again, except for these."""
        self._posted = keys

    async def arrive(self) -> None:
        """Returns when each has been sent or given up."""
        await asyncio.gather(*self._under_way.values())

    async def stop(self) -> None:
        """A try that is under way is waited for: a confirmation must not come after the cancellation."""
        for letter in self._under_way.values():
            self._stopped.add(letter)
            letter.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        self._under_way.clear()

    async def send(self, kind: NoticeKind, due: NoticeDue | None = None, patience: timedelta = PATIENCE) -> None:
        """Sends the notice if it is owed: the database knows, and knows whether it was sent before."""
        offset, key = (due.offset, due.key) if due else (None, None)
        now = workflow.now()
        notice = SendNotice(booking_id=self._booking_id, now=now, kind=kind, reminder_offset=offset, key=key)
        try:
            await persistent(
                names.SEND_NOTICE,
                notice,
                NoticeOutcome,
                self._limit,
                f"mail: {kind}",
                patience,
                workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                self._unless_stopped,
            )
        except FailureError as failure:
            # A try that was under way when the mail was stopped, and then failed, comes back as that failure.
            if is_cancelled_exception(failure) or (self._is_stopped() and workflow.patched("stopped-mail-is-skipped")):
                raise
            await local(names.GIVE_UP_NOTICE, notice, type(None), self._step_limit, f"give the mail up: {kind}")

    def _unless_stopped(self) -> None:
        """For a first try that has failed: there is no second one of a mail that was stopped meanwhile."""
        if self._is_stopped() and workflow.patched("stopped-mail-is-not-tried-again"):
            raise asyncio.CancelledError

    def _is_stopped(self) -> bool:
        """Not the run's own task: when an operator has called it off, it still sends what is to be said of that."""
        return asyncio.current_task() in self._stopped
