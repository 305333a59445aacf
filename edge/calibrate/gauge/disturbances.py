"""What a real fixture and camera do to a picture of the same part, made from one: shifts, light and noise, in steps.

Sizes come from the frames' own spread where they show one, within what is usual: a part lies a pixel to two hundredths
of the width elsewhere, light changes by 2 to 15 %, a sensor adds 1 to 5 grey levels of noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture.pictures.checks import Gauge, Signs, locate
from edge.domain.frame import Image

STEPS = (1, 2, 4)
_SHIFT_SHARES = (0.002, 0.02)
_LIGHT_SHARES = (0.02, 0.15)
_NOISE_LEVELS = (1.0, 5.0)
_ALIKE = 0.5
_PLAIN = 2.0  # grey levels: less contrast than this says nothing of place
_FEWEST = 5
_OF_A_NORMAL = 0.6745  # half of a normal distribution lies within so many standard deviations


class Kind(StrEnum):
    """One thing that changes between two pictures of the same part."""

    SHIFT = "shift"
    BRIGHTER = "brighter"
    DARKER = "darker"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Sizes:
    """The first step of each disturbance: px of the frame, share of the light, grey levels; `origin` says whence."""

    shift_px: int
    light_share: float
    noise_levels: float
    origin: str

    def size(self, kind: Kind, step: int) -> str:
        """How much that is, for people."""
        match kind:
            case Kind.SHIFT:
                return f"{self.shift_px * step} px"
            case Kind.BRIGHTER:
                return f"+{self.light_share * step * 100:.3g}%"
            case Kind.DARKER:
                return f"-{_darker(self.light_share * step) * 100:.3g}%"
            case Kind.NOISE:
                return f"{self.noise_levels * step:.1f} grey levels"


def sizes_of(frames: Sequence[Image]) -> Sizes:
    """What these frames of good parts show of their own spread, (H, W, 3) uint8 BGR each."""
    gauge = Gauge()
    signs: list[Signs] = []
    thumbs: list[Image] = []
    for frame in frames:
        signs.append(gauge.signs(frame))
        thumbs.append(gauge.thumbnail())
    width = signs[0].size[0]
    shift, seen = _own_shift(signs, thumbs)
    light = _own_light(signs)
    noise = float(np.median([_noise(frame) for frame in frames]))
    low, high = (share * width for share in _SHIFT_SHARES)
    return Sizes(
        max(1, round(float(np.clip(shift, low, high)))),
        round(float(np.clip(light, *_LIGHT_SHARES)), 4),
        round(float(np.clip(noise, *_NOISE_LEVELS)), 2),
        f"of {len(frames)} frames: {seen}; their light spreads by {light:.1%}, their noise is {noise:.1f} grey levels",
    )


class Disturber:
    """Makes disturbed copies, the same for the same seed.

    Args:
        sizes: of the first steps.
        seed: decides directions and noise.
    """

    def __init__(self, sizes: Sizes, seed: int) -> None:
        self._sizes = sizes
        self._random = np.random.default_rng(seed)
        self._field = np.zeros((0, 0, 1), np.float32)

    def disturb(self, image: Image, kind: Kind, step: int) -> Image:
        """A copy with one disturbance of so many first steps."""
        match kind:
            case Kind.SHIFT:
                return self._shifted(image, self._sizes.shift_px * step)
            case Kind.BRIGHTER:
                return _lit(image, 1 + self._sizes.light_share * step)
            case Kind.DARKER:
                return _lit(image, 1 - _darker(self._sizes.light_share * step))
            case Kind.NOISE:
                return self._noisy(image, self._sizes.noise_levels * step)

    def again(self, image: Image) -> Image:
        """A copy as another look at the same part might be: each disturbance at once, none above its first step."""
        sizes = self._sizes
        moved = self._shifted(image, int(self._random.integers(sizes.shift_px + 1)))
        lit = _lit(moved, 1 + sizes.light_share * float(self._random.uniform(-1, 1)))
        return self._noisy(lit, sizes.noise_levels * float(self._random.uniform(0, 1)))

    def _shifted(self, image: Image, distance_px: int) -> Image:
        """By whole pixels, so that nothing is blurred; what comes in repeats the border."""
        angle = float(self._random.uniform(0, 2 * np.pi))
        right, down = round(distance_px * np.cos(angle)), round(distance_px * np.sin(angle))
        height, width = image.shape[:2]
        edge = distance_px
        framed = cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
        top, left = distance_px - down, distance_px - right
        return np.ascontiguousarray(framed[top : top + height, left : left + width], np.uint8)

    def _noisy(self, image: Image, deviation: float) -> Image:
        """Gaussian; alike in all channels where the picture is grey."""
        height, width = image.shape[:2]
        if self._field.shape[:2] != (2 * height, width):
            self._field = self._random.standard_normal((2 * height, width, 1), np.float32)
        top, turn = int(self._random.integers(height)), int(self._random.integers(width))
        noise = np.roll(self._field[top : top + height], turn, axis=1) * np.float32(deviation)
        if not _is_grey(image):
            noise = np.concatenate([noise, noise[::-1], noise[:, ::-1]], axis=2)
        return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def _own_shift(signs: list[Signs], thumbs: list[Image]) -> tuple[float, str]:
    """How far nine of ten frames lie from their mean, px; 0 where that cannot be seen."""
    if len(thumbs) < _FEWEST or len({each.size for each in signs}) > 1:
        return 0.0, "how parts lie cannot be seen, too few or of different sizes"
    mean = np.asarray(np.round(np.mean(np.stack(thumbs), axis=0)), np.uint8)
    places = [locate(mean, thumb, signs[0].size[0]) for thumb in thumbs]
    if float(mean.std()) < _PLAIN or float(np.median([place.likeness for place in places])) < _ALIKE:
        return 0.0, "how parts lie cannot be seen, they show too little in common"
    shift = float(np.quantile([place.shift_px for place in places], 0.9))
    return shift, f"parts lie within {shift:.1f} px of each other"


def _own_light(signs: list[Signs]) -> float:
    means = np.array([each.mean for each in signs])
    return float(means.std() / max(means.mean(), 1.0))


def _noise(image: Image) -> float:
    """A sensor's noise, grey levels: the middle of what is left when neighbours are taken off.

    The mask is Immerkaer's, 1996, Computer Vision and Image Understanding 64:300; his mean is a median
    here, because a part's edges are no noise.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    mask: NDArray[np.float32] = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(grey, cv2.CV_32F, mask)))) / (6 * _OF_A_NORMAL)


def _lit(image: Image, factor: float) -> Image:
    return np.asarray(cv2.convertScaleAbs(image, alpha=factor), np.uint8)


def _darker(share: float) -> float:
    return min(share, 0.9)


def _is_grey(image: Image) -> bool:
    return bool(np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]))
