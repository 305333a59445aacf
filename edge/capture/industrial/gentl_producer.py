"""A GenTL producer (the vendor's .cti file) and the cameras behind it, through harvesters; its only user.

A producer is one per process, and looking for cameras anew ends the streams of those that run (measured). So the
drivers of one producer share it here, and it looks only while none of them runs.
"""

import os
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.domain.errors import ConfigError

if TYPE_CHECKING:
    from harvesters.core import ImageAcquirer

_SEARCH_PATH = "GENICAM_GENTL64_PATH"


class ProducerError(Exception):
    """The producer or the camera refused."""


def producer_files(configured: Path | None) -> tuple[Path, ...]:
    """The producers to load: the one that is configured, or all on the standard's search path.

    Raises:
        ConfigError: there is none, or harvesters is not installed.
    """
    if find_spec("harvesters") is None:
        raise ConfigError("a genicam:// camera needs harvesters: pip install 'inspectd[genicam]'")
    if configured is not None:
        found = [configured] if configured.is_file() else []
    else:
        folders = [Path(folder) for folder in os.environ.get(_SEARCH_PATH, "").split(os.pathsep) if folder]
        found = sorted(file for folder in folders for file in folder.glob("*.cti"))
    if not found:
        where = f"camera.gentl names {configured}" if configured else f"{_SEARCH_PATH} leads to none"
        raise ConfigError(f"a genicam:// camera needs its vendor's GenTL producer, a .cti file, and {where}")
    return tuple(found)


class Producer:
    """The cameras behind some producers."""

    _loaded: dict[tuple[Path, ...], "Producer"] = {}  # noqa: RUF012 - one per process is the point
    _loading = threading.Lock()

    def __init__(self, files: Sequence[Path]) -> None:
        from harvesters.core import Harvester

        self._harvester: Harvester = Harvester()
        self._lock = threading.Lock()
        self._running = 0
        for file in files:
            self._harvester.add_file(str(file))

    @classmethod
    def of(cls, files: tuple[Path, ...]) -> "Producer":
        """The one of these files in this process. Raises ProducerError."""
        with cls._loading:
            if files not in cls._loaded:
                try:
                    cls._loaded[files] = cls(files)
                except Exception as error:
                    raise ProducerError(f"{', '.join(map(str, files))} cannot be loaded: {error}") from error
            return cls._loaded[files]

    def acquire(self, name: str) -> "ImageAcquirer":
        """The camera of a serial number, id or model, under our control.

        Raises:
            ProducerError: none answers to that name, or several do, or it is not to be had.
        """
        with self._lock:
            try:
                if not self._running:
                    self._harvester.update()
                acquirer = self._harvester.create(self._find(name))
            except ProducerError:
                raise
            except Exception as error:  # the libraries' errors have no common root
                raise ProducerError(str(error) or type(error).__name__) from error
            self._running += 1
            return acquirer

    def release(self, acquirer: "ImageAcquirer") -> None:
        """Let go of a camera; whatever it still refuses is of no interest."""
        with self._lock:
            self._running -= 1
            for step in (acquirer.stop, acquirer.destroy):
                try:
                    step()
                except Exception:  # noqa: BLE001, S112 - a camera that is gone refuses
                    continue

    def _find(self, name: str) -> Any:  # noqa: ANN401 - the library's own record of a camera
        known = self._harvester.device_info_list
        found = [info for info in known if name in {info.serial_number, info.id_, info.model}]
        if len(found) != 1:
            others = ", ".join(f"{info.model} {info.serial_number}" for info in known) or "none"
            raise ProducerError(f"{len(found) or 'no'} cameras are called {name!r}; found: {others}")
        return found[0]
