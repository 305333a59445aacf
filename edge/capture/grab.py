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
from edge.capture.roi import Roi, cut, holds, with_roi
from edge.config import CameraSection
from edge.domain.errors import CameraError, ConfigError, StorageError
from edge.domain.frame import Frame, Image

SUFFIXES = (".bmp", ".jpg", ".png", ".tiff")
_SETTLE_S = 5.0
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Grabbed:
    """What was seen: the image's file, format and size, images per second, and how old the written one was.

    `roi` is the camera's, if it has one; `roi_fits` says whether its pictures hold it, `whole` whether all is shown.
    """

    camera: str
    path: str
    format: str
    width: int
    height: int
    images: int
    rate_fps: float | None
    age_ms: float
    roi: Roi | None = None
    roi_fits: bool = True
    whole: bool = False

    def as_json(self) -> dict[str, object]:
        """As a JSON object."""
        return asdict(self)


def grab(section: CameraSection, camera: Camera, out: Path, seconds: float, *, whole: bool = False) -> Grabbed:
    """Open the camera, look at it for a while, write the newest image.

    Args:
        section: of the camera.
        camera: its driver, without its roi.
        out: the image file.
        seconds: how long to look.
        whole: write the whole picture with the roi drawn in, instead of what the roi leaves of it.

    Raises:
        ConfigError: `out` is no kind of image file that can be written, or the roi reaches out of the picture.
        CameraError: the camera cannot be opened or gives no image that can be trusted.
        StorageError: the image cannot be written.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--out {out}: expected a file ending in {', '.join(SUFFIXES)}")
    frames, age_ms = look(section, camera, seconds)
    image = _shown(frames[-1], section.roi, whole=whole)
    _write(out, image)
    return _grabbed(section, (out, image), frames, age_ms, whole=whole)


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
        await_first(states, section)
        frames = [_triggered(drain)] if triggered else _watched(latest, section, seconds)
        age_ms = frames[-1].age_ms(time.monotonic())
    finally:
        drain.stop(_STOP_S)
    return frames, age_ms


def await_first(
    states: "queue.SimpleQueue[tuple[bool, str]]", section: CameraSection, patience_s: float | None = None
) -> None:
    """Wait for a camera's first word of how it is.

    Args:
        states: what its drain says: lost, and why.
        section: the camera's.
        patience_s: how long at most; None: what its own time limits make.

    Raises:
        CameraError: it is lost, or says nothing in time.
    """
    own_s = (section.open_timeout_ms + section.read_timeout_ms) / 1000 + _SETTLE_S
    patience_s = own_s if patience_s is None else patience_s
    try:
        lost, why = states.get(timeout=patience_s)
    except queue.Empty:
        raise CameraError(f"camera {section.id!r} gave no image within {patience_s:.1f} s", "no_frame") from None
    if lost:
        raise CameraError(f"camera {section.id!r}: {why}", "camera_lost")


def _shown(frame: Frame, roi: Roi | None, *, whole: bool) -> Image:
    if roi is None:
        return frame.image
    if whole:
        return with_roi(frame.image, roi)
    try:
        return cut(frame.image, roi, frame.camera_id)
    except CameraError as error:
        raise ConfigError(str(error)) from error


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


def _write(out: Path, image: Image) -> None:
    encoded, data = cv2.imencode(out.suffix.lower(), image)
    part = out.with_suffix(".part")
    try:
        if not encoded:
            raise StorageError(f"OpenCV cannot write {out.suffix} images: name another --out")
        part.write_bytes(data.tobytes())
        part.replace(out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from error


def _grabbed(
    section: CameraSection, written: tuple[Path, Image], frames: list[Frame], age_ms: float, *, whole: bool
) -> Grabbed:
    (out, image), first, newest = written, frames[0], frames[-1]
    passed_s = newest.monotonic_s - first.monotonic_s
    return Grabbed(
        camera=section.id,
        path=str(out),
        format=f"{out.suffix.lower().removeprefix('.')}, 8 bit BGR",
        width=image.shape[1],
        height=image.shape[0],
        images=newest.seq - first.seq + 1,
        rate_fps=round((newest.seq - first.seq) / passed_s, 2) if passed_s > 0 else None,
        age_ms=round(age_ms, 2),
        roi=section.roi,
        roi_fits=section.roi is None or holds(newest.size, section.roi),
        whole=whole,
    )
