"""The audit's last result for Prometheus. It is the database's, so every API process shows the same."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pitstop.domain.audit import kinds
from pitstop.postgres.audit_board import AuditBoard, AuditCounts


class AuditGauges(Collector):
    """What was read before the registry is asked: a collector cannot wait for the database."""

    def __init__(self, counts: AuditCounts | None) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """Nothing before the first pass: an alert on a missing or old timestamp notices that, too."""
        if self._counts is None:
            return
        found = GaugeMetricFamily("pitstop_audit_discrepancies", "What the last audit found.", labels=["kind"])
        for kind in kinds.ALL:
            found.add_metric([kind.code], self._counts.found.get(kind.code, 0))
        yield found
        finished = self._counts.finished_at.timestamp()
        yield GaugeMetricFamily("pitstop_audit_last_run_timestamp_seconds", "When it ended.", value=finished)
        yield GaugeMetricFamily("pitstop_audit_duration_seconds", "How long it took.", value=self._counts.seconds)


async def audit_metrics(board: AuditBoard) -> bytes:
    """The gauges in the text format, to be put after those of the process's own registry."""
    registry = CollectorRegistry()
    registry.register(AuditGauges(await board.counts()))
    return generate_latest(registry)
