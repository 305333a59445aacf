"""What goes wrong with a camera, made from good frames: each fault as a function of an image."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_GAMMA = 2.2


def exposed(image: Image, stops: float) -> Image:
    """As if exposed `stops` EV more, through a camera's gamma."""
    light = np.clip((image / 255.0) ** _GAMMA * 2**stops, 0, 1)
    return np.asarray(light ** (1 / _GAMMA) * 255, np.uint8)


def moved(image: Image, share: float) -> Image:
    """The picture moved to the right by a share of its width; its edge is stretched over what came free."""
    height, width = image.shape[:2]
    right = np.array([[1, 0, round(share * width)], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(image, right, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def blurred(image: Image, sigma_px: float, noise: float = 0.0) -> Image:
    """Out of focus; the sensor's own noise stays sharp."""
    soft = cv2.GaussianBlur(image, (0, 0), sigma_px)
    grain = np.random.default_rng(0).normal(0, noise, image.shape[:2])[..., None] if noise else 0.0
    return np.asarray(np.clip(soft + grain, 0, 255), np.uint8)


def halved(image: Image) -> Image:
    """Half the size."""
    size = image.shape[1] // 2, image.shape[0] // 2
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def black(image: Image) -> Image:
    """A lens cap: a little noise about zero."""
    return np.random.default_rng(0).integers(0, 3, image.shape, np.uint8)


FAULTS: dict[str, tuple[Callable[[Image], Image], set[str]]] = {
    "black": (black, {"camera_black"}),
    "+3 EV": (lambda image: exposed(image, 3), {"camera_clipped", "camera_exposure"}),
    "-2 EV": (lambda image: exposed(image, -2), {"camera_exposure"}),
    "blur of 2 px": (lambda image: blurred(image, 2), {"camera_blurred"}),
    "shift of 5 %": (lambda image: moved(image, 0.05), {"camera_shifted"}),
    "half the size": (halved, {"camera_size"}),
}
