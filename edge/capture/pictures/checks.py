"""Whether a camera's picture can be trusted: an image and limits in, findings out. Pure, under a millisecond at 1080p.

One house for these measures: `edge calibrate` refuses frames and learns limits by them, the station judges by them.
Brightness and place are measured on a strided sample of at most 480 pixels, sharpness on bands of whole rows at full
resolution, because a sample cannot see a blur that is smaller than its stride.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain.frame import Image

Grey = NDArray[np.uint8]
BLACK_MEAN = 4.0
WHOLLY_CLIPPED = 0.9
_CLIPPED_LEVEL = 250
_SAMPLE_PX = 480
_THUMB_PX = 128
_BAND_ROWS = 16
_BANDS = 6
_SEARCHED = 0.125
_PROBED_ROWS = 8
_ROUNDING = 20 / 12 * 1.25  # what rounding to whole grey levels, twice, adds to a Laplacian's mean square


class Check(StrEnum):
    """What can be wrong with a picture; the verdict's reason is `camera_` and this word."""

    BLACK = "black"
    CLIPPED = "clipped"
    FROZEN = "frozen"
    BLURRED = "blurred"
    SHIFTED = "shifted"
    SIZE = "size"
    EXPOSURE = "exposure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check that a picture failed, and why."""

    check: Check
    why: str

    @property
    def reason(self) -> str:
        """The word the verdict carries."""
        return f"camera_{self.check}"


@dataclass(frozen=True, slots=True)
class Signs:
    """What was measured of one image.

    Args:
        size: (width, height) in pixels.
        mean: grey level, 0 to 255.
        clipped: share of pixels at 250 and above.
        sharpness: of pairs of pixels: root mean square of the Laplacian over the contrast; no unit.
    """

    size: tuple[int, int]
    mean: float
    clipped: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where the reference was found: px of the frame from its own place, and how alike it is there, -1 to 1."""

    shift_px: float
    likeness: float


@dataclass(frozen=True, slots=True, eq=False)
class PlaceLimits:
    """How far from the reference, px, and how little like it a good frame may be; the reference is (H, W) uint8."""

    reference: Grey
    shift_high_px: float
    likeness_low: float


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """What calibration saw of one product through one camera, with room.

    Args:
        size: (width, height) of every good frame; None where they differ.
        mean_low: good frames are brighter, grey level.
        mean_high: good frames are darker, grey level.
        clipped_high: share of clipped pixels a good frame may have.
        sharpness_low: below this a frame is blurred.
        place: None where the parts lie anywhere, so that no shift of the camera can be told from theirs.
    """

    size: tuple[int, int] | None
    mean_low: float
    mean_high: float
    clipped_high: float
    sharpness_low: float
    place: PlaceLimits | None = None


class Gauge:
    """Measures images, one at a time, in buffers it uses again; for one thread."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._sample_size = self._thumb_size = (0, 0)
        self._colour = self._bands = np.empty((0, 0, 3), np.uint8)
        self._grey = self._halved = self._thumb = np.empty((0, 0), np.uint8)
        self._bright = np.empty((0, 0), np.bool_)
        self._laplacian = np.empty((0, 0), np.int16)
        self._tops: list[int] = []

    def signs(self, image: Image) -> Signs:
        """Measure an image (H, W, 3) uint8 BGR; its sample stays for `thumbnail` and `place`."""
        size = image.shape[1], image.shape[0]
        if size != self._size:
            self._prepare(size)
        cv2.resize(image, self._sample_size, dst=self._colour, interpolation=cv2.INTER_NEAREST)
        cv2.cvtColor(self._colour, cv2.COLOR_BGR2GRAY, dst=self._grey)
        bright = cv2.countNonZero(np.greater_equal(self._grey, _CLIPPED_LEVEL, out=self._bright).view(np.uint8))
        return Signs(size, cv2.mean(self._grey)[0], bright / self._grey.size, self._sharpness(image))

    def sample(self) -> Grey:
        """The last measured image, grey, at most 480 pixels; it is overwritten when the next one is measured."""
        return self._grey

    def thumbnail(self) -> Grey:
        """The last measured image, grey, at most 128 pixels; a copy."""
        return self._thumbnail().copy()

    def place(self, reference: Grey) -> Place:
        """Where a reference thumbnail of the same shape is found in the last measured image."""
        return locate(reference, self._thumbnail(), self._size[0])

    def _thumbnail(self) -> Grey:
        cv2.resize(self._grey, self._thumb_size, dst=self._thumb, interpolation=cv2.INTER_AREA)
        return self._thumb

    def _prepare(self, size: tuple[int, int]) -> None:
        width, height = size
        self._sample_size, self._thumb_size = _shrunk(size, _SAMPLE_PX), _shrunk(size, _THUMB_PX)
        self._colour = np.empty((*self._sample_size[::-1], 3), np.uint8)
        self._grey = np.empty(self._sample_size[::-1], np.uint8)
        self._bright = np.empty(self._grey.shape, np.bool_)
        self._thumb = np.empty(self._thumb_size[::-1], np.uint8)
        bands = max(1, min(_BANDS, height // _BAND_ROWS))
        rows = min(_BAND_ROWS, height) // 2 * 2
        self._bands = np.empty((bands * rows, width // 2 * 2, 3), np.uint8)
        self._halved = np.empty((bands * rows // 2, width // 2), np.uint8)
        self._laplacian = np.empty(self._halved.shape, np.int16)
        self._tops = [(height - rows) * (2 * band + 1) // (2 * bands) for band in range(bands)]
        self._size = size

    def _sharpness(self, image: Image) -> float:
        """Over pairs of pixels: what noise adds is halved, and a blur of two pixels still shows."""
        if not self._halved.size:
            return 0.0
        rows, width = len(self._bands) // len(self._tops), self._bands.shape[1]
        for band, top in enumerate(self._tops):
            self._bands[band * rows : (band + 1) * rows] = image[top : top + rows, :width]
        halved = cv2.resize(self._bands, self._halved.shape[::-1], interpolation=cv2.INTER_AREA)
        cv2.cvtColor(halved, cv2.COLOR_BGR2GRAY, dst=self._halved)
        cv2.Laplacian(self._halved, cv2.CV_16S, dst=self._laplacian)
        inner = self._laplacian.reshape(len(self._tops), rows // 2, -1)[:, 1:-1]
        power = float(np.square(inner, dtype=np.float32).mean()) if inner.size else 0.0
        contrast = float(cv2.meanStdDev(self._halved)[1][0, 0])
        return float(np.sqrt(max(0.0, power - _ROUNDING))) / max(contrast, 1e-6)


def locate(reference: Grey, thumb: Grey, width_px: int) -> Place:
    """Where a reference lies in a thumbnail of the same shape, whose frame is `width_px` wide.

    Normalised correlation of the reference's middle three quarters, sought within an eighth of each side. Phase
    correlation was tried: on a fixed camera over a belt it took moving bottles for shifts of a third of the width.
    """
    height, width = reference.shape
    down, right = round(height * _SEARCHED), round(width * _SEARCHED)
    middle = reference[down : height - down, right : width - right]
    _, likeness, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(thumb, middle, cv2.TM_CCOEFF_NORMED))
    return Place(float(np.hypot(x - right, y - down)) * width_px / width, float(likeness))


def same_picture(image: Image, last: Image) -> bool:
    """Whether two images are the same bit by bit; a sensor's noise differs in the few rows that are looked at first."""
    step = max(1, image.shape[0] // _PROBED_ROWS)
    return image.shape == last.shape and np.array_equal(image[::step], last[::step]) and np.array_equal(image, last)


def wholly(signs: Signs) -> tuple[Finding, ...]:
    """What is wrong with a picture of anything: black, or clipped nearly everywhere."""
    if signs.mean < BLACK_MEAN:
        return (Finding(Check.BLACK, f"mean grey level {signs.mean:.1f} of 255"),)
    if signs.clipped > WHOLLY_CLIPPED:
        return (Finding(Check.CLIPPED, f"{signs.clipped:.0%} of the picture is overexposed"),)
    return ()


def against(signs: Signs, limits: Limits) -> tuple[Finding, ...]:
    """What is wrong with a picture beside those that calibration saw."""
    if limits.size is not None and signs.size != limits.size:
        return (Finding(Check.SIZE, f"{_by(signs.size)} pixels, calibrated with {_by(limits.size)}"), *wholly(signs))
    found = [finding for finding in wholly(signs) if finding.check is Check.BLACK]
    if signs.clipped > limits.clipped_high:
        found.append(Finding(Check.CLIPPED, f"{signs.clipped:.1%} overexposed, limit {limits.clipped_high:.1%}"))
    if not limits.mean_low <= signs.mean <= limits.mean_high:
        why = f"mean grey level {signs.mean:.0f}, calibrated {limits.mean_low:.0f} to {limits.mean_high:.0f}"
        found.append(Finding(Check.EXPOSURE, why))
    if signs.sharpness < limits.sharpness_low:
        found.append(Finding(Check.BLURRED, f"sharpness {signs.sharpness:.3f}, limit {limits.sharpness_low:.3f}"))
    return tuple(found)


def displaced(place: Place, limits: PlaceLimits) -> tuple[Finding, ...]:
    """Whether a picture lies elsewhere than those that calibration saw, or looks like none of them."""
    if place.likeness < limits.likeness_low:
        why = f"likeness to the reference {place.likeness:.2f}, limit {limits.likeness_low:.2f}"
        return (Finding(Check.SHIFTED, why),)
    if place.shift_px > limits.shift_high_px:
        return (
            Finding(Check.SHIFTED, f"{place.shift_px:.0f} px from the reference, limit {limits.shift_high_px:.0f}"),
        )
    return ()


def find(gauge: Gauge, image: Image, limits: Limits | None) -> tuple[Finding, ...]:
    """Everything that is wrong with one picture; without limits, only what is wrong with a picture of anything."""
    signs = gauge.signs(image)
    if limits is None:
        return wholly(signs)
    found = against(signs, limits)
    if limits.place is None or any(finding.check in {Check.SIZE, Check.BLACK} for finding in found):
        return found
    return (*found, *displaced(gauge.place(limits.place.reference), limits.place))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _shrunk(size: tuple[int, int], most: int) -> tuple[int, int]:
    shrink = min(1.0, most / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))
