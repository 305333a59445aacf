"""Every part's pictures judged by their camera's checks, and the alarm where a camera stays bad.

Invariants:
- A finding makes its own part UNDECIDED at once; the alarm, which drops `ready`, waits for three pictures in a row.
- An alarm closes after three good pictures, or when no picture came for ten seconds: a line that honours `ready` sends
  nothing, so nothing could ever show that the camera is good again. After that pause one bad picture opens it again.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from edge.capture.open import is_replayed
from edge.capture.pictures.checks import Check, Finding, Gauge, Limits, find
from edge.capture.pictures.limits import limits_path, load_limits
from edge.capture.scales import load_scale
from edge.config import CameraSection, StationConfig
from edge.domain.frame import Frame, Image
from edge.health import Health

log = structlog.get_logger()
_OPEN_AFTER = 3
_CLOSE_AFTER = 3
_QUIET_S = 10.0
_COMPRESSED = ("rtsp://", "rtsps://", "http://", "https://")


@dataclass(frozen=True, slots=True)
class CameraRules:
    """How a camera's pictures are judged.

    Args:
        off: checks that are not made.
        live: it is a device, so a picture repeats only when it is stuck, and its size never changes.
        scaled: (width, height) of the pictures in which its scale was measured, where a recipe's areas go by that:
            areas of pictures of another size would be wrong, so no other will do, whatever is off.
    """

    off: frozenset[Check] = frozenset()
    live: bool = False
    scaled: tuple[int, int] | None = None

    @property
    def notes_repeats(self) -> bool:
        """Whether a picture that repeats the one before it counts."""
        return self.live and Check.FROZEN not in self.off


@dataclass(slots=True)
class _Alarm:
    bad: int = 0
    good: int = 0
    open: bool = False
    seen_s: float = 0.0


class PictureWatch:
    """Judges pictures in one thread; `watch` may be called from another.

    Args:
        cameras: by camera id.
        limits: by product id and camera id; where there are none, only what holds of every picture is checked.
        health: where alarms are raised.
    """

    def __init__(
        self, cameras: Mapping[str, CameraRules], limits: Mapping[tuple[str, str], Limits | None], health: Health
    ) -> None:
        self._cameras = cameras
        self._limits = limits
        self._health = health
        self._gauges = {camera_id: Gauge() for camera_id in cameras}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._alarms: dict[tuple[str, Check], _Alarm] = {}
        self._changing = threading.Lock()

    def reasons(self, product_id: str, frame: Frame) -> tuple[str, ...]:
        """Why the picture cannot be trusted, as the verdict's reasons; empty where it can."""
        rules = self._cameras[frame.camera_id]
        limits = self._limits.get((product_id, frame.camera_id))
        found = [*find(self._gauges[frame.camera_id], frame.image, limits), *self._by_the_last(frame, rules, limits)]
        found = [*(finding for finding in found if finding.check not in rules.off), *_unscaled(frame.size, rules)]
        self._tell(frame.camera_id, found, time.monotonic())
        return tuple(dict.fromkeys(finding.reason for finding in found))

    def doubts(self, product_id: str, camera_id: str, image: Image) -> tuple[str, ...]:
        """Why a stored picture would not be trusted, by the same limits; opens and closes no alarm. From any thread.

        Whether it repeats the one before it says nothing of a stored picture.
        """
        rules = self._cameras[camera_id]
        found = find(Gauge(), image, self._limits.get((product_id, camera_id)))
        wanted = [finding for finding in found if finding.check not in rules.off]
        wanted += _unscaled((image.shape[1], image.shape[0]), rules)
        return tuple(dict.fromkeys(finding.reason for finding in wanted))

    def take(self, product_id: str, camera_id: str, limits: Limits | None) -> None:
        """Judge by these limits from the next picture on. From any thread."""
        self._limits = {**self._limits, (product_id, camera_id): limits}

    def watch(self, now_s: float) -> None:
        """Close the alarms of cameras that gave no picture for a while, on probation."""
        with self._changing:
            for (camera_id, check), alarm in self._alarms.items():
                if alarm.open and now_s - alarm.seen_s > _QUIET_S:
                    alarm.open, alarm.bad, alarm.good = False, _OPEN_AFTER - 1, 0
                    self._health.clear(picture_fault(camera_id, check))

    def _by_the_last(self, frame: Frame, rules: CameraRules, limits: Limits | None) -> list[Finding]:
        if not rules.live:
            return []
        found = []
        if frame.repeats:
            found.append(Finding(Check.FROZEN, "the picture is the one before it, bit by bit"))
        first = self._sizes.setdefault(frame.camera_id, frame.size)
        if limits is None and frame.size != first:
            found.append(Finding(Check.SIZE, f"{frame.size} pixels, its first picture had {first}"))
        return found

    def _tell(self, camera_id: str, found: list[Finding], now_s: float) -> None:
        why = {finding.check: finding.why for finding in found}
        with self._changing:
            for check in Check:
                alarm = self._alarms.get((camera_id, check))
                if alarm is None and check not in why:
                    continue
                alarm = self._alarms.setdefault((camera_id, check), _Alarm())
                alarm.seen_s = now_s
                alarm.bad, alarm.good = (alarm.bad + 1, 0) if check in why else (0, alarm.good + 1)
                self._change(camera_id, check, alarm, why.get(check, ""))

    def _change(self, camera_id: str, check: Check, alarm: _Alarm, why: str) -> None:
        if not alarm.open and alarm.bad >= _OPEN_AFTER:
            alarm.open = True
            self._health.raise_fault(picture_fault(camera_id, check), f"camera {camera_id!r} is {check}: {why}")
        elif alarm.open and alarm.good >= _CLOSE_AFTER:
            alarm.open = False
            self._health.clear(picture_fault(camera_id, check))


def _unscaled(size: tuple[int, int], rules: CameraRules) -> list[Finding]:
    if rules.scaled is None or size == rules.scaled:
        return []
    why = f"{size} pixels, and its scale was measured in {rules.scaled}: run `edge camera scale --save` again"
    return [Finding(Check.SIZE, why)]


def picture_fault(camera_id: str, check: Check) -> str:
    """The name of the alarm that a check of a camera raises."""
    return f"camera:{camera_id}:{check}"


def camera_rules(section: CameraSection) -> CameraRules:
    """How a camera is judged: a replayed folder may repeat a picture, and so does compressed video of a still scene."""
    compressed = str(section.source).startswith(_COMPRESSED)
    off = section.checks.off
    if off is None:
        off = ["frozen"] if compressed else []
    live = "://" in str(section.source) or not is_replayed(section)
    return CameraRules(frozenset(Check(name) for name in off), live)


def make_watch(config: StationConfig, health: Health) -> PictureWatch:
    """The checks of a station's cameras, with what calibration learned. Raises ConfigError for a file of no use."""
    limits = {
        (product, camera): found
        for product, camera in _pairs(config)
        if (found := load_limits(limits_path(config.station.data_dir, product, camera))) is not None
    }
    for product, camera in _pairs(config):
        if (product, camera) not in limits:
            log.info("no limits learned: black, clipped, frozen alone are checked", product=product, camera=camera)
    return PictureWatch({camera.id: _rules(config, camera) for camera in config.camera}, limits, health)


def _rules(config: StationConfig, section: CameraSection) -> CameraRules:
    wanted = any(recipe.wants_scale for product in config.product for recipe in product.recipes)
    kept = load_scale(config.station.data_dir, section.id) if wanted else None
    return replace(camera_rules(section), scaled=None if kept is None else kept.frame_size)


def _pairs(config: StationConfig) -> list[tuple[str, str]]:
    return [(product.id, camera.id) for product in config.product for camera in config.camera]
