"""Figures that are read from the database when somebody scrapes: what is open, and what is late."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

import asyncpg
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pitstop.postgres.pulse import Pulse

_log = logging.getLogger("pitstop.api")
# However often somebody scrapes, the database is asked once in so long.
_FRESH_SECONDS = 5.0


class Source(Protocol):
    """Some figures. `read` asks the database as lightly as it can."""

    async def read(self) -> Sequence[Metric]: ...


class Backlogs:
    """What is open and what is late. An age is that of the oldest, 0 when there is none."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    async def read(self) -> Sequence[Metric]:
        now = await self._pulse.backlog()
        bookings = GaugeMetricFamily("pitstop_bookings_open", "Bookings that have not ended.", labels=["status"])
        for status in ("holding", "awaiting_payment", "pending", "confirmed", "in_progress"):
            bookings.add_metric([status], now.bookings.get(status, 0))
        return [
            bookings,
            _gauge("pitstop_holds_live", "Holds whose time to pay is not over.", now.holds_live),
            _gauge("pitstop_notices_overdue", "Mails due for over a minute and not sent.", now.notices_overdue),
            _gauge("pitstop_refunds_owed", "Refunds that Stripe has not accepted yet.", now.refunds_owed),
            _gauge("pitstop_refund_oldest_seconds", "Age of the oldest refund owed.", now.oldest_refund_seconds),
            _gauge("pitstop_webhooks_unapplied", "Webhooks stored and not applied yet.", now.webhooks_unapplied),
            _gauge("pitstop_webhook_oldest_seconds", "Age of the oldest of them.", now.oldest_webhook_seconds),
        ]


class Figures(Collector):
    """What the sources said last. While the database is away there are none, and `pitstop_figures_read` says 0."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = tuple(sources)
        self._metrics: list[Metric] = []
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    async def refresh(self) -> None:
        """Before `collect`, which cannot wait: reads what is too old. One reading at a time, whoever asks."""
        async with self._reading:
            if time.monotonic() - self._read_at >= _FRESH_SECONDS or not self._read_at:
                self._metrics = [metric for source in self._sources for metric in await _read(source)]
                self._read_at = time.monotonic()

    def collect(self) -> Iterable[Metric]:
        return self._metrics


async def _read(source: Source) -> Sequence[Metric]:
    read = GaugeMetricFamily("pitstop_figures_read", "1 when these figures could be read.", labels=["source"])
    try:
        metrics, there = await source.read(), 1
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _log.warning("no figures of %s: %r", type(source).__name__, error)
        metrics, there = [], 0
    read.add_metric([type(source).__name__.lower()], there)
    return [*metrics, read]


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)
