"""The audit as an activity: one pass, which says how far it is."""

import asyncio
from collections import Counter

from temporalio import activity

from pitstop.audit.passes import Passes
from pitstop.contracts import names
from pitstop.contracts.audit import AuditOrder, AuditReport

_BEAT_SECONDS = 5


class AuditActivities:
    """Runs a pass and keeps its result. A pass that was cut off has kept nothing, and is made again from its start."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes

    @activity.defn(name=names.AUDIT_BOOKINGS)
    async def audit(self, order: AuditOrder) -> AuditReport:
        counts: dict[str, int] = {}
        beating = asyncio.create_task(_beat(counts))
        try:
            outcome = await self._passes.next(everything=order.everything, progress=counts.update)
        finally:
            beating.cancel()
        discrepancies = Counter(finding.kind.code for finding in outcome.findings)
        checked = outcome.checked
        return AuditReport(
            bookings=checked["bookings"], discrepancies=dict(discrepancies), under_way=checked["under_way"]
        )


async def _beat(counts: dict[str, int]) -> None:
    """Also while the pass pauses or waits for an answer: it says that the worker lives, and what has been read."""
    while True:
        activity.heartbeat(counts)
        await asyncio.sleep(_BEAT_SECONDS)
