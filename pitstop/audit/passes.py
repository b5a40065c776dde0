"""Passes one after the other: each begins where the last one began to read, and is kept."""

from datetime import datetime

from pitstop.audit.auditor import OVERLAP, Auditor, Progress, Scope
from pitstop.audit.ports import Outcome, Records


class Passes:
    """The audit as it is done regularly. Raises `AuditImpossible`; then nothing is kept."""

    def __init__(self, auditor: Auditor, records: Records) -> None:
        self._auditor, self._records = auditor, records

    async def next(
        self, *, everything: bool = False, since: datetime | None = None, progress: Progress = lambda _: None
    ) -> Outcome:
        """What has changed `since`, or since the last pass; everything, if there was none."""
        scope = Scope() if everything else Scope(since=since or await self._since())
        outcome = await self._auditor.run(scope, progress)
        await self._records.keep(outcome)
        return outcome

    async def _since(self) -> datetime | None:
        last = await self._records.last_seen()
        return last - OVERLAP if last else None
