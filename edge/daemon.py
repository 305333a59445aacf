"""The station's daemon: builds everything, owns every thread, stops it all again. The composition root."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import numpy as np
import structlog

from cloud_sync.station.connection import station_link
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire.link import Address as BrokerAddress
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.open import is_replayed, make_camera
from edge.config import CameraSection, ProductSection, StationConfig
from edge.decide.recipe import Recipe, Rule, check_fit
from edge.domain.frame import Frame
from edge.domain.inspection import Committed, Inspection
from edge.domain.part import Part, Verdict
from edge.health import Health
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import granted_cpus, make_plan
from edge.line.port import LinePort, PortTimes
from edge.line.protocol import parse_address
from edge.pipeline import Pipeline, PipelineLimits, Product, model_fault
from edge.record.image_writer import ImageWriter
from edge.record.images import ImageStore
from edge.record.outbox import SqliteOutbox
from edge.record.recorder import Recorder
from models.bundle import open_bundle
from models.bundle_store import active_bundle
from models.errors import ModelError
from models.spec import Kind

log = structlog.get_logger()
_TICK_S = 0.1
_STATUS_S = 1.0
_RETEST_S = 5.0
_STOP_S = 5.0


class Daemon:
    """One station, running.

    Args:
        config: the checked station.toml.

    Raises:
        InspectdError, ModelError: something needed at the start is missing or broken; nothing is left running.
    """

    def __init__(self, config: StationConfig) -> None:
        self._config = config
        self._started_at = datetime.now(UTC)
        self._stop = threading.Event()
        self._health = Health()
        self._engines: dict[Path, OpenVinoEngine] = {}
        self._products = {section.id: self._product(section) for section in config.product}
        self._drains = {section.id: self._drain(section) for section in config.camera}
        self._recorder = Recorder(
            config.station.id,
            config.database_path,
            keeps_image=self._keeps_image,
            on_committed=self._committed,
            on_unrecorded=self._unrecorded,
            on_storage=lambda works, why: self._set_fault("storage", "" if works else why),
        )
        store = ImageStore(config.images_dir, config.retention.image_format)
        self._images = ImageWriter(
            store,
            self._recorder,
            config.retention.quota_bytes,
            lambda works, why: self._set_fault("images", "" if works else why),
        )
        self._pipeline = self._make_pipeline()
        self._port = self._make_port()
        self._uplink = self._make_uplink()

    def request_stop(self) -> None:
        """Ask the daemon to end; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Run until a stop is requested.

        Raises:
            Exception: whatever ended one of the threads; everything else was stopped first.
        """
        with self._running():
            self._health.on_change(self._port.set_ready)
            log.info("station runs", station=self._config.station.id, port=self._config.line.port)
            next_status_s = next_retest_s = 0.0
            while not self._stop.wait(_TICK_S):
                self._check_workers()
                if time.monotonic() >= next_status_s:
                    self._write_status(running=True)
                    next_status_s = time.monotonic() + _STATUS_S
                if time.monotonic() >= next_retest_s:
                    self._retest_models()
                    next_retest_s = time.monotonic() + _RETEST_S
            self._wind_down()

    @contextmanager
    def _running(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.callback(self._write_status, running=False)
            stack.callback(self._close_engines)
            stack.callback(self._recorder.stop, _STOP_S)
            self._recorder.start()
            if self._uplink is not None:
                stack.callback(self._uplink.stop, _STOP_S)
                self._uplink.start()
            stack.callback(self._port.stop, _STOP_S)
            stack.callback(self._images.stop, _STOP_S)
            self._images.start()
            stack.callback(self._pipeline.stop, _STOP_S)
            self._pipeline.start()
            for drain in self._drains.values():
                self._set_fault(_camera_fault(drain.camera_id), f"camera {drain.camera_id!r} is not open yet")
                stack.callback(drain.stop, _STOP_S)
                drain.start()
            self._port.start()
            yield

    def _wind_down(self) -> None:
        log.info("station stops")
        self._port.set_ready(False, "stopping")
        until_s = time.monotonic() + self._config.line.deadline_ms / 1000
        while self._port.waiting() and time.monotonic() < until_s:
            threading.Event().wait(0.01)

    def _check_workers(self) -> None:
        failures = [self._port.failure, self._recorder.failure, self._images.failure]
        failures += [drain.failure for drain in self._drains.values()]
        for failure in failures:
            if failure is not None:
                raise failure
        if self._uplink is not None:
            self._uplink.raise_if_failed()

    def _retest_models(self) -> None:
        faults = self._health.faults()
        for product in self._products.values():
            if model_fault(product.product_id) not in faults:
                continue
            try:
                product.engine.selftest()
            except ModelError as error:
                log.warning("self-test fails", product=product.product_id, why=str(error))
            else:
                self._health.clear(model_fault(product.product_id))

    def _committed(self, committed: Committed, frames: tuple[Frame, ...]) -> None:
        self._port.tell(committed)
        if frames and self._keeps_image(committed.inspection):
            self._images.keep(committed, frames)
        if self._uplink is not None:
            self._uplink.notify()

    def _unrecorded(self, inspection: Inspection) -> None:
        self._port.tell_unrecorded(inspection.part, inspection.all_reasons)

    def _keeps_image(self, inspection: Inspection) -> bool:
        if not any(view.frame is not None for view in inspection.views):
            return False
        match self._config.retention.images:
            case "all":
                return True
            case "not_pass":
                return inspection.verdict is not Verdict.PASS
            case "none":
                return False

    def _set_fault(self, name: str, why: str) -> None:
        if why:
            self._health.raise_fault(name, why)
        else:
            self._health.clear(name)

    def _close_engines(self) -> None:
        for engine in self._engines.values():
            engine.close()

    def _product(self, section: ProductSection) -> Product:
        path = active_bundle(self._config.bundles_dir, section.bundle)
        if path not in self._engines:
            plan = make_plan(self._config.inference, granted_cpus())
            self._engines[path] = OpenVinoEngine(open_bundle(path), plan)
        recipe = make_recipe(section)
        check_fit(recipe, self._engines[path].spec, section.id)
        return Product(section.id, self._engines[path], recipe)

    def _drain(self, section: CameraSection) -> Drain:
        limits = CaptureLimits(
            section.latency_ms / 1000, section.timeout_ms / 1000, section.max_age_ms / 1000, section.buffer_frames
        )
        return Drain(
            section.id,
            make_camera(section),
            limits,
            triggered=section.trigger == "software",
            on_state=lambda lost, why: self._set_fault(
                _camera_fault(section.id), f"camera {section.id!r} is lost: {why}" if lost else ""
            ),
        )

    def _make_pipeline(self) -> Pipeline:
        line = self._config.line
        limits = PipelineLimits(
            line.queue_parts,
            (line.deadline_ms - line.commit_margin_ms) / 1000,
            self._config.inference.timeout_ms / 1000,
        )
        replayed = any(is_replayed(section) for section in self._config.camera)
        return Pipeline(self._products, self._drains, self._recorder, self._health, limits, replayed=replayed)

    def _make_port(self) -> LinePort:
        line = self._config.line
        times = PortTimes(line.deadline_ms / 1000, line.ack_timeout_ms / 1000, line.heartbeat_ms / 1000)
        return LinePort(parse_address(line.port), times, self._accept, self._recorder.record_outcomes)

    def _accept(self, part: Part) -> None:
        self._pipeline.accept(part)

    def _make_uplink(self) -> Uplink | None:
        if self._config.sync.broker is None:
            return None
        link = station_link(self._config.station.id, BrokerAddress.parse(self._config.sync.broker))
        return Uplink(
            station=self._config.station.id,
            outbox=SqliteOutbox(self._recorder),
            link=link,
            settings=UplinkSettings(resend_after_s=self._config.sync.resend_s),
        )

    def _write_status(self, *, running: bool) -> None:
        path = self._config.status_path
        temporary = path.with_suffix(".part")
        try:
            temporary.write_text(json.dumps(self._status(running=running), indent=1), encoding="utf-8")
            temporary.rename(path)
        except OSError as error:
            self._set_fault("status", f"cannot write {path}: {error}")
        else:
            self._health.clear("status")

    def _status(self, *, running: bool) -> dict[str, object]:
        ready, why = self._health.state()
        return {
            "station": self._config.station.id,
            "running": running,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(),
            "written_at": datetime.now(UTC).isoformat(),
            "ready": ready and running,
            "why": why if running else "stopped",
            "faults": self._health.faults(),
            "line": _counters(self._port.counters),
            "cameras": {name: _counters(drain.counters) for name, drain in self._drains.items()},
            "models": {name: _model_status(product) for name, product in self._products.items()},
            "images": {"stored": self._images.stored, "dropped": self._images.dropped},
            "sync": self._sync_status(),
        }

    def _sync_status(self) -> dict[str, object] | None:
        if self._uplink is None:
            return None
        status = self._uplink.status()
        return {"connected": status.connected, "depth": status.depth, "acknowledged": status.acknowledged}


def make_recipe(section: ProductSection) -> Recipe:
    """A product's rules from station.toml, areas in pixels."""
    scale = section.recipe.mm_per_px
    rules = {
        name: Rule(
            rule.min_score,
            max(rule.min_area_px, (rule.min_area_mm2 or 0) / scale**2 if scale else 0),
            rule.max_count,
            np.array(rule.zones, np.float32).reshape(-1, 4),
        )
        for name, rule in section.recipe.classes.items()
    }
    return Recipe(Kind(section.recipe.kind), section.recipe.version, rules)


def run_daemon(config: StationConfig) -> None:
    """Run a station until SIGTERM or SIGINT. Raises InspectdError, ModelError when it cannot start or go on."""
    daemon = Daemon(config)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        daemon.request_stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    daemon.run()


def _camera_fault(camera_id: str) -> str:
    return f"camera:{camera_id}"


def _counters(counters: object) -> dict[str, int]:
    return {name: getattr(counters, name) for name in type(counters).__slots__}  # type: ignore[attr-defined]


def _model_status(product: Product) -> dict[str, object]:
    model = product.engine.model_id
    return {"id": model.id, "version": model.version, "sha256": model.sha256, "precision": model.precision.value}
