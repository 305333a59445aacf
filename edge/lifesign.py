"""What the daemon says of itself each second, in status.json: that it lives, whether it is ready, what it counted.

A thread of its own writes it: a disk that hangs must not hold up the one that watches for hangs.
"""

import dataclasses
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from edge.assembly import Assembly
from edge.line.outputs.teller import Teller
from edge.pipeline import Product
from edge.shadow.figures import ShadowFigures

_EVERY_S = 1.0
log = structlog.get_logger()


class Lifesign:
    """Keeps the status file of one run; a file that cannot be written is a fault of the station.

    Args:
        station: what runs.
        masters: says how each product stands with its master parts.
        release: says how far a release came; None where none ever came.
    """

    def __init__(
        self,
        station: Assembly,
        masters: Callable[[], dict[str, object]],
        release: Callable[[], dict[str, object] | None] = lambda: None,
    ) -> None:
        self._station = station
        self._masters = masters
        self._release = release
        self._started_at = datetime.now(UTC)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lifesign", daemon=True)

    def start(self) -> None:
        """Begin to write it."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread, waiting at most `timeout_s` seconds, and say that the station is stopped."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._write(running=False)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._write(running=True)
            except Exception as error:  # what it reads belongs to others; one bad second must not be the last word
                log.error("defect while writing the status file", exc_info=error)
            self._stop.wait(_EVERY_S)

    def _write(self, *, running: bool) -> None:
        """Replace the file, whole."""
        path = self._station.config.status_path
        temporary = path.with_suffix(".part")
        try:
            temporary.write_text(json.dumps(self._content(running=running), indent=1), encoding="utf-8")
            temporary.rename(path)
        except OSError as error:
            self._station.health.raise_fault("status", f"cannot write {path}: {error}")
        else:
            self._station.health.clear("status")

    def _content(self, *, running: bool) -> dict[str, object]:
        station = self._station
        ready, why = station.health.state()
        return {
            "station": station.config.station.id,
            "running": running,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(),
            "written_at": datetime.now(UTC).isoformat(),
            "ready": ready and running,
            "why": why if running else "stopped",
            "faults": station.health.faults(),
            "alarms": station.health.alarms(),
            "product": station.port.chosen,
            "line": _counters(station.port.counters),
            "outputs": {output.output_id: _output(output) for output in station.outputs},
            "cameras": {name: _counters(drain.counters) for name, drain in station.drains.items()},
            "models": {name: self._model(product) for name, product in station.products.items()},
            "shadows": {name: _shadow(found) for name, found in station.shadow.standings().items()},
            "masters": self._masters(),
            "release": self._release(),
            "images": {"stored": station.images.stored, "dropped": station.images.dropped},
            "disk": dataclasses.asdict(station.images.usage),
            "triage": station.triage.as_json(),
            "sync": self._sync(),
        }

    def _model(self, product: Product) -> dict[str, object]:
        model = product.engine.model_id
        cached = any(engine.cached for engine in list(self._station.engines.values()) if engine.model_id == model)
        named = {"id": model.id, "version": model.version, "sha256": model.sha256, "precision": model.precision.value}
        plan = self._station.plan(product.product_id).as_json()
        return named | {"graph": "cached" if cached else "compiled", "plan": plan}

    def _sync(self) -> dict[str, object] | None:
        if self._station.uplink is None:
            return None
        status = self._station.uplink.status()
        last_ack_at = None if status.last_ack_at is None else status.last_ack_at.isoformat()
        return {
            "connected": status.connected,
            "depth": status.depth,
            "acknowledged": status.acknowledged,
            "resent": status.resent,
            "buried": status.buried,
            "suspects": status.suspects,
            "denied": status.denied,
            "last_ack_at": last_ack_at,
            "last_error": status.last_error,
        }


def _counters(counters: object) -> dict[str, int]:
    return {name: getattr(counters, name) for name in type(counters).__slots__}  # type: ignore[attr-defined]


def _shadow(found: ShadowFigures) -> dict[str, object]:
    named = {"version": None if found.challenger is None else found.challenger.version}
    return {"state": found.state, "why": found.why, **named, **found.as_figures()}


def _output(output: Teller) -> dict[str, object]:
    return {"tells": not output.trouble, "why": output.trouble, **_counters(output.counters)}
