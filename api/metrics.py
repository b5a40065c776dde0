"""What this process measures of itself, for Prometheus. Labels are route templates, never ids: there are few."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    disable_created_metrics,
)
from prometheus_client import ProcessCollector as ProcessFigures
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.shedding import Lanes
from api.streams import Streams
from pitstop.postgres.pool import Pool

# A series more for each, which says when counting began: the process's own start says nearly the same.
disable_created_metrics()  # type: ignore[no-untyped-call]
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# A path that leads nowhere, a static file, a request that was shed before it found its route.
_NO_ROUTE = "none"


class Meters:
    """The registry of one process: several of them are scraped one by one."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self.requests = Counter(
            "pitstop_http_requests", "Requests answered.", (*labels, "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "pitstop_http_request_seconds", "Until the answer begins.", labels, buckets=_BUCKETS, registry=self.registry
        )
        self.in_flight = Gauge(
            "pitstop_http_requests_in_flight", "Requests without an end of their answer.", registry=self.registry
        )
        for collector in (ProcessFigures, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", _NO_ROUTE)
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)


class Measuring:
    """ASGI middleware, outermost: it sees what clients see."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._meters.in_flight.track_inprogress():
            await self._app(scope, receive, self._timed(scope, send))

    def _timed(self, scope: Scope, send: Send) -> Send:
        asked = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._meters.answered(scope, message["status"], time.perf_counter() - asked)
            await send(message)

        return timed


class Occupancy(Collector):
    """How full lanes, pools and streams are at this moment."""

    def __init__(self, lanes: Lanes, pools: dict[str, Pool], streams: Streams) -> None:
        self._lanes = lanes
        self._pools = pools
        self._streams = streams

    def collect(self) -> Iterable[Metric]:
        yield from self._of_lanes()
        yield from self._of_pools()
        yield GaugeMetricFamily("pitstop_event_streams", "Event streams that are open.", value=self._streams.open)

    def _of_lanes(self) -> Iterable[Metric]:
        for name, value in (("running", lambda lane: lane.running), ("waiting", lambda lane: lane.waiting)):
            yield _by("lane", f"pitstop_lane_{name}", f"Requests {name}.", list(self._lanes), value)
        shed = CounterMetricFamily(
            "pitstop_lane_shed", "Requests turned away, or gone while they waited.", labels=["lane", "reason"]
        )
        for lane in self._lanes:
            for reason in ("full", "patience", "gone"):
                shed.add_metric([lane.name, reason], lane.shed[reason])
        yield shed

    def _of_pools(self) -> Iterable[Metric]:
        state = GaugeMetricFamily(
            "pitstop_database_connections", "Connections to PostgreSQL.", labels=["pool", "state"]
        )
        most = GaugeMetricFamily("pitstop_database_connections_limit", "The most there can be.", labels=["pool"])
        for name, pool in self._pools.items():
            state.add_metric([name, "idle"], pool.get_idle_size())
            state.add_metric([name, "used"], pool.get_size() - pool.get_idle_size())
            most.add_metric([name], pool.get_max_size())
        yield from (state, most)


def _by(label: str, name: str, what: str, things: Iterable[Any], value: Callable[[Any], float]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=[label])
    for thing in things:
        family.add_metric([thing.name], value(thing))
    return family
