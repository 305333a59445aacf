"""The station's figures for Prometheus, at `[metrics] listen`: collected when somebody asks, on a thread of its own.

`HELP` says what each means. Counters begin at zero with the daemon, but for lost records: those are counted since the
database was made.
"""

import time
from collections.abc import Iterator, Mapping
from itertools import product
from types import TracebackType
from typing import Self

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.scraping import hurry
from edge.assembly import Assembly, camera_fault
from edge.domain.errors import OutputError, StorageError
from edge.domain.inspection import Outcome
from edge.domain.part import Verdict
from edge.domain.sample import SampleReason
from edge.record.spool import Spool, read_spool
from edge.shadow.figures import ShadowFigures
from edge.standing import installed_version
from edge.tally import BOUNDS_S, NOT_TOLD

log = structlog.get_logger()
_STOP_S = 2.0
HELP = {
    "inspectd_station_info": "Always 1; its labels say which station this is and which version runs.",
    "inspectd_start_time_seconds": "When this run began, since 1970 by this station's clock.",
    "inspectd_ready": "1 while the station can inspect.",
    "inspectd_parts_total": "Parts of this run, by the verdict that the line was told and what became of it.",
    "inspectd_told_latency_seconds": "From the trigger to the verdict's being told.",
    "inspectd_shadow_looking": "1 while a challenger looks at the product's parts beside its model.",
    "inspectd_shadow_parts_total": "Parts that a challenger saw, by what came of it: agreed, disagreed or skipped.",
    "inspectd_shadow_undecided_total": "Parts to which the challenger had no answer; among those disagreed.",
    "inspectd_shadow_faults_total": "Answers of the challenger that were none: a broken graph, a process that ended.",
    "inspectd_camera_lost": "1 while a camera gives no images.",
    "inspectd_fault": "1 for each open fault: the station is not ready.",
    "inspectd_alarm": "1 for each open alarm: somebody must look at it.",
    "inspectd_drift_alarm": "1 while scores, brightness, focus or overrules are not as when the model went live.",
    "inspectd_samples_total": "Samples kept for retraining in this run, by each of their reasons.",
    "inspectd_samples_refused_total": "Views worth a sample for which the hour's budget had no room, by reason.",
    "inspectd_triage_missed_total": "Inspections that were not looked at for samples and drift, or not wholly.",
    "inspectd_spool_readable": "1 while the database can be read; else the figures that come from it are missing.",
    "inspectd_outbox_records": "Records that the cloud has not acknowledged, by stream.",
    "inspectd_dead_letter_records": "Records that can never be sent, by stream.",
    "inspectd_lost_records_total": "Records given up unsent because the disk was full, by stream.",
    "inspectd_uploads_waiting": "Images that wait to go up.",
    "inspectd_spool_bytes": "The database with its journal.",
    "inspectd_images_bytes": "Images on the station's disk.",
    "inspectd_disk_free_bytes": "Free on the file system that the records lie on.",
    "inspectd_link_connected": "1 while the broker answers.",
    "inspectd_link_denied": "1 while the broker refuses a topic to the station.",
    "inspectd_records_sent_total": "Records sent first on their connection.",
    "inspectd_records_resent_total": "Records sent again, unacknowledged for too long.",
    "inspectd_records_acknowledged_total": "Records that the cloud acknowledged in this run.",
    "inspectd_sync_faults_total": "Faults of the sync that were tried again.",
    "inspectd_last_ack_age_seconds": "Since the last acknowledgement; missing before the first.",
    "inspectd_certificate_left_seconds": "Until the end of the certificate by which the broker knows this station.",
}


class StationMetrics(Collector):
    """What a scrape finds; called on the server's threads.

    Args:
        station: what runs.
    """

    def __init__(self, station: Assembly) -> None:
        self._station = station
        self._started_s = time.time()

    def collect(self) -> Iterator[Metric]:
        """Every figure as it is now."""
        yield from self._line()
        yield from self._shadows()
        yield from self._health()
        yield from self._triage()
        yield from self._spool()
        yield from self._link()

    def _line(self) -> Iterator[Metric]:
        tally = self._station.tally
        parts = dict(_NO_PARTS)
        parts.update(tally.parts.items())
        yield _counter("inspectd_parts", ("verdict", "outcome"), parts)
        name, within = "inspectd_told_latency_seconds", list(tally.within)
        sums = [sum(within[: place + 1]) for place in range(len(within))]
        buckets = list(zip([*map(str, BOUNDS_S), "+Inf"], sums, strict=True))
        yield HistogramMetricFamily(name, HELP[name], buckets=buckets, sum_value=tally.told_s)

    def _shadows(self) -> Iterator[Metric]:
        shadows = self._station.shadow.standings()
        looking: _Values = {(product,): found.state == "looking" for product, found in shadows.items()}
        yield _gauge("inspectd_shadow_looking", ("product",), looking)
        yield _counter("inspectd_shadow_parts", ("product", "outcome"), _shadowed(shadows))
        undecided: _Values = {(product,): found.undecided for product, found in shadows.items()}
        yield _counter("inspectd_shadow_undecided", ("product",), undecided)
        faults: _Values = {(product,): found.faults for product, found in shadows.items()}
        yield _counter("inspectd_shadow_faults", ("product",), faults)

    def _health(self) -> Iterator[Metric]:
        station, health = self._station, self._station.health
        faults = health.faults()
        named: _Values = {(station.config.station.id, installed_version()): 1}
        yield _gauge("inspectd_station_info", ("station", "version"), named)
        yield _gauge("inspectd_start_time_seconds", (), {(): self._started_s})
        yield _gauge("inspectd_ready", (), {(): not faults})
        lost: _Values = {(camera,): camera_fault(camera) in faults for camera in station.drains}
        yield _gauge("inspectd_camera_lost", ("camera",), lost)
        yield _gauge("inspectd_fault", ("fault",), {(name,): 1 for name in faults})
        yield _gauge("inspectd_alarm", ("alarm",), {(name,): 1 for name in health.alarms()})

    def _triage(self) -> Iterator[Metric]:
        desk = self._station.triage
        counts, named = desk.counts, list(SampleReason)
        drifted: _Values = {(sign.product, sign.camera, sign.sign): sign.alarm for sign in desk.signs()}
        yield _gauge("inspectd_drift_alarm", ("product", "camera", "sign"), drifted)
        yield _counter("inspectd_samples", ("reason",), {(reason.value,): counts.kept[reason] for reason in named})
        refused: _Values = {(reason.value,): counts.refused[reason] for reason in named}
        yield _counter("inspectd_samples_refused", ("reason",), refused)
        yield _counter("inspectd_triage_missed", (), {(): counts.skipped + counts.unmeasured + counts.faults})

    def _spool(self) -> Iterator[Metric]:
        try:
            spool = read_spool(self._station.config.database_path)
        except StorageError as error:
            log.warning("figures are missing", why=str(error))
            yield _gauge("inspectd_spool_readable", (), {(): 0})
            return
        yield _gauge("inspectd_spool_readable", (), {(): 1})
        yield from self._kept(spool)

    def _kept(self, spool: Spool) -> Iterator[Metric]:
        streams = [stream.value for stream in spool.lanes]
        waiting: _Values = {(stream.value,): lane.rows for stream, lane in spool.lanes.items()}
        yield _gauge("inspectd_outbox_records", ("stream",), waiting)
        dead: _Values = {(name,): spool.dead.get(name, 0) for name in streams}
        lost: _Values = {(name,): spool.losses.get(name, 0) for name in streams}
        yield _gauge("inspectd_dead_letter_records", ("stream",), dead)
        yield _counter("inspectd_lost_records", ("stream",), lost)
        yield _gauge("inspectd_uploads_waiting", (), {(): spool.uploads})
        yield _gauge("inspectd_spool_bytes", (), {(): spool.database_bytes})
        yield _gauge("inspectd_images_bytes", (), {(): self._station.images.usage.images_bytes})
        yield _gauge("inspectd_disk_free_bytes", (), {(): spool.disk_free_bytes})

    def _link(self) -> Iterator[Metric]:
        uplink = self._station.uplink
        if uplink is None:
            return
        sync = uplink.status()
        yield _gauge("inspectd_link_connected", (), {(): sync.connected})
        yield _gauge("inspectd_link_denied", (), {(): bool(sync.denied)})
        yield _counter("inspectd_records_sent", (), {(): sync.sent})
        yield _counter("inspectd_records_resent", (), {(): sync.resent})
        yield _counter("inspectd_records_acknowledged", (), {(): sync.acknowledged})
        yield _counter("inspectd_sync_faults", (), {(): sync.faults})
        if sync.last_ack_age_s is not None:
            yield _gauge("inspectd_last_ack_age_seconds", (), {(): sync.last_ack_age_s})
        yield from self._certificate()

    def _certificate(self) -> Iterator[Metric]:
        from cloud_sync.wire.identity_files import own_standing

        config = self._station.config
        identity = Endpoint.parse(config.sync.broker or "", config.identity_dir).identity
        if identity is None:
            return
        try:
            left_s = own_standing(identity).not_after.timestamp() - time.time()
        except LinkError as error:
            log.warning("figures are missing", why=str(error))
            return
        yield _gauge("inspectd_certificate_left_seconds", (), {(): left_s})


class MetricsServer:
    """Serves the figures over HTTP; a context manager. It listens where it is told to and nowhere else.

    Args:
        station: what runs.
        listen: HOST:PORT.

    Raises:
        OutputError: it cannot listen there.
    """

    def __init__(self, station: Assembly, listen: str) -> None:
        host, _, port = listen.rpartition(":")
        registry = CollectorRegistry()
        registry.register(StationMetrics(station))
        try:
            self._server, self._thread = start_http_server(int(port), host.strip("[]"), registry)
        except OSError as error:
            raise OutputError(f"cannot serve metrics at {listen}: {error}") from error
        hurry(self._server)
        log.info("metrics are served", at=f"http://{listen}/metrics")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_STOP_S)


_Values = Mapping[tuple[str, ...], float]
_VERDICTS = (*(verdict.value for verdict in Verdict), NOT_TOLD)
# From the start: Prometheus sees no increase where a figure comes with its first 1.
_NO_PARTS: dict[tuple[str, ...], float] = dict.fromkeys(product(_VERDICTS, (outcome.value for outcome in Outcome)), 0)


def _shadowed(shadows: Mapping[str, ShadowFigures]) -> _Values:
    """Counts by (product, outcome)."""
    found: dict[tuple[str, ...], float] = {}
    for name, one in shadows.items():
        found[name, "agreed"] = one.parts - one.disagreements
        found[name, "disagreed"] = one.disagreements
        found[name, "skipped"] = one.skipped
    return found


def _gauge(name: str, labels: tuple[str, ...], values: _Values) -> Metric:
    family = GaugeMetricFamily(name, HELP[name], labels=labels)
    for at, value in values.items():
        family.add_metric(at, float(value))
    return family


def _counter(name: str, labels: tuple[str, ...], values: _Values) -> Metric:
    family = CounterMetricFamily(name, HELP[f"{name}_total"], labels=labels)
    for at, value in values.items():
        family.add_metric(at, float(value))
    return family
