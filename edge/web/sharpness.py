"""How sharp each camera's newest picture is, for who turns the lens; measured as the station's own checks measure."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2

from edge.capture.pictures.checks import Gauge
from edge.capture.pictures.limits import limits_path, load_limits
from edge.config import StationConfig
from edge.domain.errors import ConfigError
from edge.web.passing import Look
from edge.web.shown_pictures import ShownPictures
from models.decoding import read_picture

_REST = 4.0  # for each second of measuring, so many seconds of rest: a guest takes a fifth of a core at most


@dataclass(frozen=True, slots=True)
class Sharpness:
    """One camera's newest picture that could be measured.

    Args:
        sharpness: as in `Signs`; no unit.
        least: what calibration takes for blurred lies below; None where nothing was learned.
        mean: grey level, 0 to 255: what is too dark or too bright says little.
        picture: content of what was measured.
        missing: why the newest picture could not be measured; empty where it could.
    """

    camera: str
    seq: int
    sharpness: float | None
    least: float | None
    mean: float | None
    picture: str
    missing: str


class FocusAid:
    """Measures the cameras' newest pictures, no faster than a guest may; for one thread.

    Args:
        config: the station's file.
        pictures: where they are found.
    """

    def __init__(self, config: StationConfig, pictures: ShownPictures) -> None:
        self._config = config
        self._pictures = pictures
        self._gauges: dict[str, Gauge] = {}
        self._measured: dict[str, Sharpness] = {}
        self._least: dict[tuple[str, str], float | None] = {}
        self._free_s = 0.0

    def begin(self) -> None:
        """Somebody begins to look: limits may have been learned since."""
        self._least.clear()

    def measure(self, looks: Iterable[Look], product: str) -> Sequence[Sharpness]:
        """What each camera's newest picture shows; what was measured before stands while there is no time for more."""
        for look in looks:
            known = self._measured.get(look.camera)
            if known is not None and (known.picture, known.missing) == (look.picture, look.missing):
                self._measured[look.camera] = replace(known, seq=look.seq)
                continue
            if time.monotonic() >= self._free_s:
                self._measured[look.camera] = self._measure(look, product)
        return [self._measured[name] for name in sorted(self._measured)]

    def _measure(self, look: Look, product: str) -> Sharpness:
        began_s = time.monotonic()
        path = self._pictures.path_of(look.picture) if look.picture else None
        image = None if path is None else read_picture(path, cv2.IMREAD_COLOR)
        least = self._least_of(product, look.camera)
        if image is None:
            missing = look.missing or "gone"
            return Sharpness(look.camera, look.seq, None, least, None, look.picture, missing)
        signs = self._gauges.setdefault(look.camera, Gauge()).signs(image)
        self._free_s = time.monotonic() + _REST * (time.monotonic() - began_s)
        return Sharpness(look.camera, look.seq, signs.sharpness, least, signs.mean, look.picture, look.missing)

    def _least_of(self, product: str, camera: str) -> float | None:
        key = product, camera
        if key not in self._least:
            self._least[key] = self._read_least(product, camera)
        return self._least[key]

    def _read_least(self, product: str, camera: str) -> float | None:
        if not product:
            return None
        try:
            limits = load_limits(limits_path(self._config.station.data_dir, product, camera))
        except ConfigError:  # the daemon and the doctor say so; who turns a lens can do without
            return None
        return None if limits is None else limits.sharpness_low
