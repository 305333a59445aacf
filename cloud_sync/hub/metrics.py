"""What a collector does, as Prometheus reads it: counters, histograms, and gauges that are asked at each reading."""

from collections.abc import Callable
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from cloud_sync.hub.group import Taken
from cloud_sync.wire.link import Address
from cloud_sync.wire.scraping import hurry

_COMMIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MESSAGES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_LAG_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 6 * 3600.0, 24 * 3600.0)


class CollectorMetrics:
    """One collector's figures since its start; no label names a station, so their number stays small."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._messages = self._counter("messages", "Messages that were taken in.")
        self._records = self._counter("records", "Records: new ones, ones that came again, quarantined ones.", "fate")
        self._letters = self._counter(
            "dead_letters", "What was not our protocol: kept, or dropped beyond a limit.", "fate"
        )
        self._faults = self._counter("store_faults", "Commits that failed and were tried again.")
        self._losses = self._counter("link_losses", "How often the broker was lost.")
        self._commit_s = self._histogram("commit_seconds", "How long a transaction took.", _COMMIT_S)
        self._group = self._histogram("group_messages", "Messages in one transaction.", _MESSAGES)
        self._lag_s = self._histogram(
            "lag_seconds", "From the trigger of a part, by its station's clock, to the commit here.", _LAG_S
        )

    def ask(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that is asked whenever somebody reads."""
        Gauge(f"inspectd_collector_{name}", text, registry=self.registry).set_function(value)

    def committed(self, messages: int, taken: Taken, took_s: float, now_ms: int) -> None:
        """One transaction is done."""
        inserted = taken.inserted
        self._messages.inc(messages)
        self._group.observe(messages)
        self._commit_s.observe(took_s)
        fates = (
            ("stored", inserted.stored),
            ("again", inserted.duplicates),
            ("quarantined", len(inserted.quarantined)),
        )
        for fate, count in fates:
            self._records.labels(fate).inc(count)
        self._letters.labels("kept").inc(len(taken.dead) - len(inserted.dropped))
        self._letters.labels("dropped").inc(len(inserted.dropped))
        for made_at_ms in inserted.made_at_ms:
            self._lag_s.observe(max(0.0, (now_ms - made_at_ms) / 1000))

    def store_failed(self) -> None:
        """A commit failed."""
        self._faults.inc()

    def link_lost(self) -> None:
        """The broker is gone."""
        self._losses.inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"inspectd_collector_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"inspectd_collector_{name}", text, registry=self.registry, buckets=buckets)


class MetricsServer:
    """Answers Prometheus at an address; a context manager. Raises OSError where it cannot listen."""

    def __init__(self, metrics: CollectorMetrics, address: Address) -> None:
        try:
            self._server, self._thread = start_http_server(address.port, address.host, metrics.registry)
        except OSError as error:
            raise OSError(f"nobody can listen for Prometheus at {address}: {error}") from error
        hurry(self._server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2.0)
