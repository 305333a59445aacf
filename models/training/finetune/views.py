"""What a picture with a label of the whole may look like: mirrored, a little larger, moved, otherwise lit. No torch.

All of it stays in view but a narrow rim, because the label may be that of any place.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.letterbox import Image, placement
from models.spec import InputSpec
from models.training.augment import relit


@dataclass(frozen=True, slots=True)
class Views:
    """How far pictures may differ from how a station shows them to the model.

    Args:
        spec: the model's input.
        zoom: larger or smaller by up to this factor.
        stretch: how far width and height may be enlarged differently, as a factor.
        shift: moved by up to this share of the side.
        light: contrast and brightness change by up to this share of the range.
        noise: largest standard deviation of pixel noise, in grey values.
    """

    spec: InputSpec
    zoom: float = 1.1
    stretch: float = 1.05
    shift: float = 0.05
    light: float = 0.2
    noise: float = 4.0


def view(image: Image, how: Views, rng: np.random.Generator) -> Image:
    """One such view.

    Args:
        image: (h, w, 3) uint8 BGR, of any size.
        how: how far it may differ.
        rng: decides in which way.

    Returns:
        (H, W, 3) uint8 of the model's size.
    """
    size = (how.spec.width, how.spec.height)
    matrix = _centred(_drawn(how, rng) @ _letterbox(image, how.spec))
    pad = (float(how.spec.pad_value),) * 3
    warped = cv2.warpAffine(relit(image, how.light, how.noise, rng), matrix, size, borderValue=pad)
    return np.asarray(warped, np.uint8)


def _letterbox(image: Image, spec: InputSpec) -> NDArray[np.float64]:
    """(3, 3), from the image's pixels to the model's, as a station lays it."""
    place = placement(image.shape[1], image.shape[0], spec)
    across, down = place.width / place.frame_width, place.height / place.frame_height
    return np.array([[across, 0, place.left], [0, down, place.top], [0, 0, 1]])


def _drawn(how: Views, rng: np.random.Generator) -> NDArray[np.float64]:
    """(3, 3), a change about the middle of the model's input."""
    zoom, stretch = how.zoom ** rng.uniform(-1, 1), how.stretch ** rng.uniform(-0.5, 0.5)
    mirrored = rng.choice([-1.0, 1.0], 2)
    factors = mirrored * np.array([zoom * stretch, zoom / stretch])
    middle = np.array([how.spec.width, how.spec.height]) / 2
    moved = middle * (1 - factors) + rng.uniform(-how.shift, how.shift, 2) * 2 * middle
    return np.array([[factors[0], 0, moved[0]], [0, factors[1], moved[1]], [0, 0, 1]])


def _centred(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3): the same between pixel centres, which OpenCV counts from, instead of their corners."""
    own = matrix[:2].copy()
    own[:, 2] += (own[:, 0] + own[:, 1]) / 2 - 0.5
    return own
