"""One look at one camera, as `edge camera grab` takes it: an image file, and how the images come."""

import queue
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from edge.capture.camera import Camera
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.latest import Latest
from edge.capture.open import is_replayed
from edge.config import CameraSection
from edge.domain.errors import CameraError, ConfigError, StorageError
from edge.domain.frame import Frame

SUFFIXES = (".bmp", ".jpg", ".png", ".tiff")
_SETTLE_S = 5.0
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Grabbed:
    """What was seen: the image's file, format and size, images per second, and how old the written one was."""

    camera: str
    path: str
    format: str
    width: int
    height: int
    images: int
    rate_fps: float | None
    age_ms: float

    def as_json(self) -> dict[str, object]:
        """As a JSON object."""
        return asdict(self)


def grab(section: CameraSection, camera: Camera, out: Path, seconds: float) -> Grabbed:
    """Open the camera, look at it for a while, write the newest image.

    Raises:
        ConfigError: `out` is no kind of image file that can be written.
        CameraError: the camera cannot be opened or gives no image that can be trusted.
        StorageError: the image cannot be written.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--out {out}: expected a file ending in {', '.join(SUFFIXES)}")
    frames, age_ms = look(section, camera, seconds)
    _write(out, frames[-1])
    return _grabbed(section.id, out, frames, age_ms)


def look(section: CameraSection, camera: Camera, seconds: float) -> tuple[list[Frame], float]:
    """Open the camera, look at it for a while: the first frame and the newest, or the one that was triggered; its age.

    Raises:
        CameraError: the camera cannot be opened or gives no image that can be trusted.
    """
    states: queue.SimpleQueue[tuple[bool, str]] = queue.SimpleQueue()
    triggered = section.trigger == "software"
    limits = CaptureLimits(0.0, section.timeout_ms / 1000, section.max_age_ms / 1000, section.buffer_frames)
    drain = Drain(section.id, camera, limits, triggered=triggered, on_state=lambda lost, why: states.put((lost, why)))
    latest = Latest(drain)
    drain.start()
    try:
        _await_first(states, section)
        frames = [_triggered(drain)] if triggered else _watched(latest, section, seconds)
        age_ms = frames[-1].age_ms(time.monotonic())
    finally:
        drain.stop(_STOP_S)
    return frames, age_ms


def _await_first(states: "queue.SimpleQueue[tuple[bool, str]]", section: CameraSection) -> None:
    patience_s = (section.open_timeout_ms + section.read_timeout_ms) / 1000 + _SETTLE_S
    try:
        lost, why = states.get(timeout=patience_s)
    except queue.Empty:
        raise CameraError(f"camera {section.id!r} gave no image within {patience_s:.1f} s", "no_frame") from None
    if lost:
        raise CameraError(f"camera {section.id!r}: {why}", "camera_lost")


def _triggered(drain: Drain) -> Frame:
    claim = drain.claim(time.monotonic())
    return drain.take(claim, time.monotonic() + _SETTLE_S)


def _watched(latest: Latest, section: CameraSection, seconds: float) -> list[Frame]:
    until_s, patience_s = time.monotonic() + seconds, _SETTLE_S + section.read_timeout_ms / 1000
    first = newest = latest.take(time.monotonic() + patience_s)
    while time.monotonic() < until_s:
        try:
            newest = latest.take(time.monotonic() + patience_s)
        except CameraError:
            if not is_replayed(section):
                raise
            break
    return [first, newest]


def _write(out: Path, frame: Frame) -> None:
    encoded, data = cv2.imencode(out.suffix.lower(), frame.image)
    part = out.with_suffix(".part")
    try:
        if not encoded:
            raise StorageError(f"OpenCV cannot write {out.suffix} images: name another --out")
        part.write_bytes(data.tobytes())
        part.replace(out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from error


def _grabbed(camera_id: str, out: Path, frames: list[Frame], age_ms: float) -> Grabbed:
    first, newest = frames[0], frames[-1]
    passed_s = newest.monotonic_s - first.monotonic_s
    rate_fps = round((newest.seq - first.seq) / passed_s, 2) if passed_s > 0 else None
    width, height = newest.size
    images = newest.seq - first.seq + 1
    kind = f"{out.suffix.lower().removeprefix('.')}, 8 bit BGR"
    return Grabbed(camera_id, str(out), kind, width, height, images, rate_fps, round(age_ms, 2))
