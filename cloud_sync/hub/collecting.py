"""The collector as a process: signals, the lines it says, its end."""

import contextlib
import dataclasses
import faulthandler
import json
import logging
import os
import signal
import sys

from cloud_sync.hub.collector import Collector, collector_link
from cloud_sync.hub.desk import Desk
from cloud_sync.hub.files.file_desks import file_desks
from cloud_sync.hub.labels.drift_desk import DriftDesk
from cloud_sync.hub.metrics import CollectorMetrics, MetricsServer
from cloud_sync.hub.plain import without_password
from cloud_sync.hub.release_figures import add_release_figures
from cloud_sync.hub.station_desks import HealthDesk, StateDesk
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.hub.supervision import CollectorSupervision
from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.link import Address
from cloud_sync.wire.supervisor import Supervisor


def collect_until_signal(
    endpoint: Endpoint, store: str, blobs: str | None, client_id: str, metrics_at: Address | None, *, as_json: bool
) -> None:
    """Collect until SIGTERM or SIGINT; an absent broker is waited for.

    Args:
        endpoint: the broker, and who we are there.
        store: where records go: a file's path or a database URL.
        blobs: where files go: a folder, s3://BUCKET/PREFIX, or None for a folder beside the store's file.
        client_id: our name at the broker; "" for one by chance.
        metrics_at: where Prometheus may read our figures; None: nowhere.
        as_json: say events as JSON on stdout, else as text on stderr.

    Raises:
        StoreError: there is no store.
        BlobError: `blobs` is no place for files.
        OSError: nobody can listen at `metrics_at`.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a new store makes a dozen lines of it
    faulthandler.enable()  # the watchdog's SIGABRT leaves every thread's stack in the log
    metrics, supervision = CollectorMetrics(), CollectorSupervision(Supervisor.of(os.environ))
    serving = MetricsServer(metrics, metrics_at) if metrics_at else contextlib.nullcontext()
    with StoreWriter(store) as writer, file_desks(store, blobs, metrics) as with_blobs, serving:
        add_release_figures(metrics, store)
        ready: dict[str, object] = {"event": "ready", "broker": str(endpoint), "store": without_password(store)}
        collector = Collector(
            writer,
            collector_link(endpoint, client_id),
            [*desks(metrics), *with_blobs],
            on_ready=lambda: _say(ready, as_json=as_json),
            metrics=metrics,
            on_round=lambda: supervision.round(connected=collector.connected),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: collector.stop())
        collector.run()
        supervision.stopping()
    _say({"event": "stopped", **dataclasses.asdict(collector.counts)}, as_json=as_json)


def desks(metrics: CollectorMetrics | None = None) -> list[Desk]:
    """Who deals with what is neither record nor file."""
    return [StateDesk(metrics), HealthDesk(), DriftDesk()]


def _say(event: dict[str, object], *, as_json: bool) -> None:
    """Say it to whoever still reads: a closed pipe must not reach the link, which would start over for ever."""
    with contextlib.suppress(OSError, ValueError):
        _write(event, as_json=as_json)


def _write(event: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
    else:
        sys.stderr.write("cloud collect: " + ", ".join(f"{name} {value}" for name, value in event.items()) + "\n")
