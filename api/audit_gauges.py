"""The audit's last result for Prometheus. It is the database's, so every API process shows the same."""

from collections.abc import Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from pitstop.domain.audit import kinds
from pitstop.postgres.audit_board import AuditBoard


class LastAudit:
    """A source of figures: nothing before the first pass, which an alert on an old timestamp notices, too."""

    def __init__(self, board: AuditBoard) -> None:
        self._board = board

    async def read(self) -> Sequence[Metric]:
        counts = await self._board.counts()
        if counts is None:
            return []
        found = GaugeMetricFamily("pitstop_audit_discrepancies", "What the last audit found.", labels=["kind"])
        for kind in kinds.ALL:
            found.add_metric([kind.code], counts.found.get(kind.code, 0))
        finished = counts.finished_at.timestamp()
        return [
            found,
            GaugeMetricFamily("pitstop_audit_last_run_timestamp_seconds", "When it ended.", value=finished),
            GaugeMetricFamily("pitstop_audit_duration_seconds", "How long it took.", value=counts.seconds),
        ]
