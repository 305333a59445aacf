"""What a frame shows by itself of whether it can teach: what `edge calibrate` refuses before anything is learned."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture.pictures.checks import BLACK_MEAN
from edge.domain.frame import Image

_FLAT_STD = 2.0
_DETAIL_MIN = 0.015
_OVER, _UNDER = 250, 5
_SEEN_PX = 480


@dataclass(frozen=True, slots=True)
class Looks:
    """Measured on a thumbnail of at most 480 pixels.

    Args:
        mean: grey level, 0 to 255.
        contrast: standard deviation, grey levels.
        detail: the share of the contrast that lies in details of one to two pixels. Contrast divides it, so dark and
            dull parts are not called blurred. Sharp frames of five test sets have 0.036 and more; those blurred beyond
            recognition 0.010 and less.
        over: share of pixels at 250 and above.
        under: share of pixels at 5 and below.
    """

    mean: float
    contrast: float
    detail: float
    over: float
    under: float

    @property
    def flaw(self) -> str | None:
        """Why the frame cannot teach, whatever the others look like: black, flat or blurred out; None if it can."""
        if self.mean < BLACK_MEAN:
            return f"black: mean {self.mean:.1f} of 255"
        if self.contrast < _FLAT_STD:
            return f"flat: contrast {self.contrast:.1f} grey levels"
        return f"blurred: detail {self.detail:.3f} of contrast" if self.detail < _DETAIL_MIN else None


def look(image: Image) -> Looks:
    """Measure an image (H, W, 3) uint8 BGR."""
    shrink = min(1.0, _SEEN_PX / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * shrink)), max(1, round(image.shape[0] * shrink))
    small = image if shrink == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    levels = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    grey = np.asarray(levels, np.float32)
    mean, contrast = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    counts = np.bincount(levels.ravel(), minlength=256)
    over, under = counts[_OVER:].sum() / levels.size, counts[: _UNDER + 1].sum() / levels.size
    return Looks(mean, contrast, _band(grey) / max(contrast, 1e-6), float(over), float(under))


def _band(grey: NDArray[np.float32]) -> float:
    band = cv2.subtract(cv2.GaussianBlur(grey, (0, 0), 1), cv2.GaussianBlur(grey, (0, 0), 2))
    return float(cv2.meanStdDev(band)[1][0, 0])
