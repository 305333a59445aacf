"""The station's daemon: starts what the assembly built, watches over it, stops it all again."""

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from types import FrameType

import structlog

from cloud_sync.station.status import UplinkStatus
from cloud_sync.wire.supervisor import Supervisor
from edge.assembly import Assembly, camera_fault
from edge.changeover import Changeover
from edge.config import StationConfig
from edge.lifesign import Lifesign
from edge.masters.keeper import MasterKeeper
from edge.metrics import MetricsServer
from edge.pipeline import model_fault
from edge.record.database import forget_upgrade
from edge.record.lock import sole_owner
from edge.release.doing import before_start
from edge.release.wiring import make_keeper
from edge.supervision import Supervision
from models.bundle_store import clear_unfinished
from models.errors import ModelError

log = structlog.get_logger()
_TICK_S = 0.1
_RETEST_S = 5.0
_STOP_S = 5.0
_SLOW_DISK_S = 2.0
_WIND_DOWN_S = 30.0  # a service manager waits 60 for all of it, then kills
_LAST_ACK_S = 0.5
_NOBODY = Supervisor()


class Daemon:
    """One station, running; the only writer of its data folder.

    Args:
        config: the checked station.toml.
        supervisor: the service manager that started us, if one did.

    Raises:
        InspectdError, ModelError: something needed at the start is missing or broken; nothing is left running.
    """

    def __init__(self, config: StationConfig, supervisor: Supervisor = _NOBODY) -> None:
        self._station = Assembly(config)
        self._masters = MasterKeeper(self._station)
        self._releases = make_keeper(self._station)
        self._lifesign = Lifesign(self._station, self._masters.standings, self._releases.standing)
        self._changeover = Changeover(self._station)
        self._supervision = Supervision(self._station, supervisor)
        self._stop = threading.Event()
        self._retest = threading.Thread()

    def request_stop(self) -> None:
        """Ask the daemon to end; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Run until a stop is requested.

        Raises:
            Exception: whatever ended one of the threads; everything else was stopped first.
        """
        config = self._station.config
        with self._running():
            self._station.health.on_change(self._station.readiness_changed)
            log.info("station runs", station=config.station.id, port=config.line.port)
            self._supervision.started()
            next_retest_s = 0.0
            while not self._stop.wait(_TICK_S):
                now_s = time.monotonic()
                self._check_workers()
                self._watch(now_s)
                if now_s >= next_retest_s:
                    self._start_retest()
                    next_retest_s = now_s + _RETEST_S
            self._wind_down()

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Everything started; at the end stopped the other way round, from the trigger to the record."""
        station = self._station
        with ExitStack() as stack:
            stack.callback(self._lifesign.stop, _STOP_S)
            stack.callback(self._close_engines)
            stack.callback(station.recorder.stop, _STOP_S)
            station.recorder.start()
            if station.uplink is not None:
                stack.callback(station.uplink.stop, _STOP_S)
                station.uplink.start()
            stack.callback(station.port.stop, _STOP_S)
            for output in station.outputs:
                stack.callback(output.stop, _STOP_S)
            stack.callback(station.triage.stop, _STOP_S)
            station.triage.start()
            stack.callback(station.images.stop, _STOP_S)
            station.images.start()
            stack.callback(station.recorder.settle, _STOP_S)
            stack.callback(station.pipeline.stop, _STOP_S)
            station.pipeline.start()
            if station.config.metrics.listen is not None:
                stack.enter_context(MetricsServer(station, station.config.metrics.listen))
            for drain in station.drains.values():
                station.health.raise_fault(
                    camera_fault(drain.camera_id), f"camera {drain.camera_id!r} gave no image yet"
                )
                stack.callback(drain.stop, _STOP_S)
                drain.start()
            stack.callback(self._ask_drains_to_stop)
            station.port.start()
            for output in station.outputs:
                output.start()
            stack.callback(self._changeover.stop, _STOP_S)
            self._changeover.start()
            stack.callback(station.shadow.stop, _STOP_S)
            station.shadow.start()
            stack.callback(self._masters.stop, _STOP_S)
            self._masters.start()
            stack.callback(self._releases.stop, _STOP_S)
            stack.callback(station.metadata.close)
            self._releases.start()
            self._lifesign.start()
            stack.callback(station.port.set_ready, False, "stopping")
            yield

    def _ask_drains_to_stop(self) -> None:
        """All at once: each may be waiting for its camera, and these waits must not add up."""
        for drain in self._station.drains.values():
            drain.stop(0)

    def _wind_down(self) -> None:
        """Say that the station stops, and let the parts in flight come to their end, for 30 s at most."""
        log.info("station stops")
        self._supervision.stopping()
        port, pause = self._station.port, threading.Event()
        port.set_ready(False, "stopping")
        until_s = time.monotonic() + min(self._station.config.line.deadline_ms / 1000, _WIND_DOWN_S)
        while port.waiting() and time.monotonic() < until_s:
            pause.wait(0.01)
        until_s = time.monotonic() + _LAST_ACK_S
        while port.unacknowledged() and time.monotonic() < until_s:
            pause.wait(0.01)

    def _check_workers(self) -> None:
        station = self._station
        failures = [station.port.failure, station.recorder.failure, station.images.failure, station.pipeline.failure]
        failures += [drain.failure for drain in station.drains.values()]
        for failure in failures:
            if failure is not None:
                raise failure
        if station.uplink is not None:
            station.uplink.raise_if_failed()

    def _watch(self, now_s: float) -> None:
        """Look for what hangs without a word: a camera that gives nothing, a disk that does not answer."""
        for drain in self._station.drains.values():
            drain.watch(now_s)
        self._station.pictures.watch(now_s)
        self._station.pipeline.watch(now_s)
        self._supervision.watch(now_s)
        self._masters.watch(datetime.now(UTC), now_s)
        busy_s = self._station.recorder.busy_s(now_s)
        slow = f"the disk has been writing for {busy_s:.0f} s" if busy_s > _SLOW_DISK_S else ""
        self._station.health.set_fault("storage_slow", slow)
        given_up = self._station.recorder.given_up
        lost = f"{given_up} records that the disk did not take are lost; their parts were UNDECIDED or told before"
        self._station.health.set_alarm("records_given_up", lost if given_up else "")
        if self._station.uplink is not None:
            self._watch_uplink(self._station.uplink.status())

    def _watch_uplink(self, sync: UplinkStatus) -> None:
        """What somebody must look at, though inspection goes on: a broker that refuses."""
        denied = f"the broker does not let this station publish to {sync.denied}" if sync.denied else ""
        self._station.health.set_alarm("sync_denied", denied)

    def _start_retest(self) -> None:
        if not self._retest.is_alive():
            self._retest = threading.Thread(target=self._retest_models, name="retest", daemon=True)
            self._retest.start()

    def _retest_models(self) -> None:
        health = self._station.health
        for product in self._station.products.values():
            if model_fault(product.product_id) not in health.faults():
                continue
            try:
                product.engine.selftest()
            except ModelError as error:
                log.warning("self-test fails", product=product.product_id, why=str(error))
            else:
                health.clear(model_fault(product.product_id))

    def _close_engines(self) -> None:
        for engine in list(self._station.engines.values()):
            engine.close()


def run_daemon(config: StationConfig) -> None:
    """Run a station until SIGTERM or SIGINT. Raises InspectdError, ModelError when it cannot start or go on."""
    faulthandler.enable()  # the watchdog's SIGABRT leaves every thread's stack in the log
    with sole_owner(config.station.data_dir):
        forget_upgrade(config.database_path, time.time())
        before_start(config)
        _clear(config)
        daemon = Daemon(config, Supervisor.of(os.environ))

        def stop(_signal: int, _frame: FrameType | None) -> None:
            daemon.request_stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        daemon.run()


def _clear(config: StationConfig) -> None:
    """What a killed import left in the bundle store goes before the line waits for anybody."""
    try:
        for path in clear_unfinished(config.bundles_dir):
            log.info("what an import or a calibration left unfinished is taken away", path=str(path))
    except OSError as error:
        log.warning("what was left unfinished stays", folder=str(config.bundles_dir), why=str(error))
