"""A running station takes what was activated or calibrated anew, without a stop and without a part judged by half.

Invariants:
- A product's bundle is replaced by one assignment, with what belongs to it; a part keeps the one of its trigger.
- What cannot be taken changes nothing and is said once; the product goes on with what it had.
- A graph that was never compiled here is compiled by a process of its own, in idle time: no part waits for that.
- A bundle that ran before stays compiled while it is the previous one: back and forth takes no compilation.
"""

import threading
from pathlib import Path

import structlog

from edge.assembly import Assembly
from edge.capture.pictures.checks import Limits
from edge.capture.pictures.limits import limits_path, load_limits
from edge.config import ProductSection
from edge.domain.errors import InspectdError
from models.bundle_store import active_bundle
from models.errors import ModelError

log = structlog.get_logger()
_EVERY_S = 0.2
_Files = tuple[object, ...]


class Changeover:
    """Looks every fifth of a second, in a thread of its own.

    Args:
        station: what runs.
    """

    def __init__(self, station: Assembly) -> None:
        self._station = station
        self._taken = {section.id: self._files(section) for section in station.config.product}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changeover", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread, waiting at most `timeout_s` seconds for what is being taken."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._take_changed()

    def _take_changed(self) -> None:
        for section in self._station.config.product:
            try:
                files = self._files(section)
                if files == self._taken[section.id]:
                    continue
                self._taken[section.id] = files
                self._take(section)
            except (InspectdError, ModelError) as error:
                log.error("not taken, the product goes on as it was", product=section.id, why=str(error))
            except Exception as error:
                log.error("defect while taking a bundle", product=section.id, exc_info=error)

    def _take(self, section: ProductSection) -> None:
        before = self._station.products[section.id].engine.model_id
        limits = self._load_limits(section)
        self._station.compile_apart(section, self._stop.is_set)
        self._station.take(section)
        for camera_id, found in limits.items():
            self._station.pictures.take(section.id, camera_id, found)
        after = self._station.products[section.id].engine.model_id
        log.info("taken", product=section.id, bundle=after.id, version=after.version, instead_of=before.version)

    def _load_limits(self, section: ProductSection) -> dict[str, Limits | None]:
        data_dir = self._station.config.station.data_dir
        return {
            camera.id: load_limits(limits_path(data_dir, section.id, camera.id))
            for camera in self._station.config.camera
        }

    def _files(self, section: ProductSection) -> _Files:
        """What a product is made of, as it lies on disk now: changes when any of it does."""
        config = self._station.config
        paths = [limits_path(config.station.data_dir, section.id, camera.id) for camera in config.camera]
        return active_bundle(config.bundles_dir, section.bundle), *(_version_of(path) for path in paths)


def _version_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
