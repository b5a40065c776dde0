"""The backstop's steps: what timers and webhooks left undone because something was down."""

import logging
from datetime import timedelta

from temporalio import activity

from activities.waitlist import WaitlistRounds
from pitstop.contracts import names
from pitstop.contracts.booking import SweepStep
from pitstop.ports import (
    EngineUnavailable,
    HolidayStore,
    Inbox,
    NoRunningWorkflow,
    StoredEvent,
    SweepStore,
    WorkflowReviver,
)

_log = logging.getLogger("pitstop.sweep")
# What was asked for less long ago may be decided on at any moment: a sweep that looks ahead takes it from nobody.
_DECIDED_WITHIN = timedelta(minutes=1)


class SweepActivities:
    """Expires lapsed holds, applies stored webhooks, takes up bookings whose workflow has gone, tops up holidays."""

    def __init__(
        self,
        store: SweepStore,
        inbox: Inbox,
        engine: WorkflowReviver,
        waitlist: WaitlistRounds,
        holidays: HolidayStore,
        soon: timedelta = timedelta(hours=2),
    ) -> None:
        """`soon`: what starts within this time is flagged while its mechanic is offline."""
        self._store = store
        self._soon = soon
        self._inbox = inbox
        self._engine = engine
        self._waitlist = waitlist
        self._holidays = holidays

    @activity.defn(name=names.EXPIRE_HOLDS)
    async def expire_lapsed_holds(self, step: SweepStep) -> int:
        return await self._store.expire_lapsed_holds(step.now, step.order.batch)

    @activity.defn(name=names.FORGET_REQUESTS)
    async def forget_requests(self, step: SweepStep) -> int:
        return await self._store.forget_requests(step.now - max(step.order.overdue, _DECIDED_WITHIN))

    @activity.defn(name=names.DRAIN_INBOX)
    async def drain_inbox(self, step: SweepStep) -> int:
        """Applies what is left in the inbox, oldest first. What cannot be applied now stays for the next sweep."""
        applied = 0
        for event in await self._inbox.unapplied(step.order.batch):
            activity.heartbeat(event.event_id)
            try:
                outcome = await self._apply(event)
            except EngineUnavailable:
                break
            except NoRunningWorkflow:
                continue
            await self._inbox.mark_applied(event.event_id, outcome)
            applied += 1
        return applied

    @activity.defn(name=names.REVIVE_BOOKINGS)
    async def revive_stranded(self, step: SweepStep) -> int:
        """Starts the workflow of each booking that should have moved on by now; one that runs is left alone.

        Then it tells runs of what they have not heard of, looks over the waitlist and tops up public holidays: last, so
        that trouble with these keeps no booking waiting.
        """
        revived = 0
        before = step.now - step.order.overdue
        ended_before = before - (step.order.spans.closing or timedelta(0))
        for standing in await self._store.overdue_bookings(before, ended_before, step.order.batch):
            activity.heartbeat(str(standing.booking_id))
            revived += await self._engine.revive(standing, None)
        await self._tell_runs(step)
        await self._waitlist.go(step.now)
        await self._holidays.top_up(step.now.date(), step.order.batch)
        return revived

    async def _tell_runs(self, step: SweepStep) -> None:
        await self._store.flag_offline(step.now, self._soon, step.order.batch)
        before = step.now - step.order.overdue
        for standing in await self._store.unheard(before, step.order.batch):
            activity.heartbeat(str(standing.booking_id))
            await self._engine.tell_notices_owed(standing)
            await self._store.note_told(standing.booking_id, before)

    async def _apply(self, event: StoredEvent) -> str:
        if event.payment is None or event.booking_id is None:
            return "no booking's"
        objection = await self._inbox.objection(event.booking_id, event.payment)
        if objection:
            _log.error("booking %s, event %s: %s", event.booking_id, event.event_id, objection)
        try:
            await self._engine.signal_payment(event.booking_id, event.payment)
        except NoRunningWorkflow:
            return objection or await self._apply_without_workflow(event)
        return objection or "signalled"

    async def _apply_without_workflow(self, event: StoredEvent) -> str:
        """A payment for a booking that has ended, or whose workflow was terminated, is settled by a new run."""
        standing = await self._store.standing(event.booking_id) if event.booking_id else None
        if standing is None:
            return "no such booking"
        if standing.status.is_end and event.payment and event.payment.kind != "succeeded":
            return "ended"
        if not await self._engine.revive(standing, event.payment):
            # Somebody else has just started it: the next sweep tells it.
            raise NoRunningWorkflow
        return "revived"
