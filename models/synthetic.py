"""Defects painted on good frames, the same for the same seed: what a gate has while nobody has labelled a defect."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import overload

import cv2
import numpy as np

from models.letterbox import Image
from models.scoring import read_image

_SHORT_SIDE_MIN = 0.08
_SHORT_SIDE_MAX = 0.25
_DONORS = 8
_SEEDS_APART = 100_003
Paint = Callable[[Image, np.random.Generator], None]


def with_defect(frame: Image, donors: Sequence[Image], seed: int) -> Image:
    """A copy of the frame with one defect: a scratch, a stain, a hole or a patch of another part out of place.

    The kinds follow CutPaste and its "scar" (Li et al. 2021, https://arxiv.org/abs/2104.04015), plus spots brighter
    or darker than their surroundings. Sizes are 8 to 25 % of the frame's short side and contrasts plain to strong: a
    gate compares two models on what either can see; fainter defects drown its answer in noise (DECISIONS.md).

    Args:
        frame: (H, W, 3) uint8 BGR, unchanged.
        donors: good frames to take a patch from; may hold `frame` itself.
        seed: decides kind, place, size and strength.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    random = np.random.default_rng(seed)
    defective = frame.copy()
    donor = donors[int(random.integers(len(donors)))]
    kinds: tuple[Paint, ...] = (_scratch, _stain, _hole, lambda image, rng: _paste(image, donor, rng))
    kinds[int(random.integers(len(kinds)))](defective, random)
    return defective


class Painted(Sequence[Image]):
    """Good frames with one defect on each, painted when they are asked for, so that large ones need not be held.

    Args:
        frames: of good parts.
        seed: of the first; each frame has its own.
    """

    def __init__(self, frames: Sequence[Path], seed: int) -> None:
        self._frames = frames
        self._seed = seed * _SEEDS_APART
        self._donors = [read_image(path) for path in frames[:_DONORS]]

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> "Painted": ...
    def __getitem__(self, index: int | slice) -> "Image | Painted":
        if isinstance(index, slice):
            raise TypeError("painted frames are asked for one by one")
        return with_defect(read_image(self._frames[index]), self._donors, self._seed + index)

    def __len__(self) -> int:
        return len(self._frames)


def _scratch(image: Image, random: np.random.Generator) -> None:
    side = min(image.shape[:2])
    start = _point(image, random)
    steps = np.cumsum(random.normal(0, 1, (4, 2)) + random.normal(0, 2, (1, 2)), axis=0)
    line = (start + steps * side * 0.04).astype(np.int32)
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.polylines(mask, [np.vstack([start.astype(np.int32), line])], False, 255, max(1, round(side * 0.008)))
    _blend(image, np.asarray(cv2.blur(mask, (3, 3)), np.uint8), random)


def _stain(image: Image, random: np.random.Generator) -> None:
    mask = _ellipse(image, random)
    reach = max(3, min(image.shape[:2]) // 20) | 1
    _blend(image, np.asarray(cv2.GaussianBlur(mask, (reach, reach), 0), np.uint8), random)


def _hole(image: Image, random: np.random.Generator) -> None:
    _blend(image, _ellipse(image, random, shrink=0.5), random)


def _paste(image: Image, donor: Image, random: np.random.Generator) -> None:
    """A patch of another good part, rotated, where it does not belong."""
    side = _length(image, random)
    size = min(side, *image.shape[:2], *donor.shape[:2])
    top, left = (int(random.integers(limit - size + 1)) for limit in donor.shape[:2])
    patch = np.rot90(donor[top : top + size, left : left + size], int(random.integers(1, 4)))
    row, column = (int(random.integers(limit - size + 1)) for limit in image.shape[:2])
    image[row : row + size, column : column + size] = patch


def _ellipse(image: Image, random: np.random.Generator, shrink: float = 1.0) -> Image:
    mask = np.zeros(image.shape[:2], np.uint8)
    axes = [max(1, round(_length(image, random) * shrink / 2)) for _ in range(2)]
    x, y = _point(image, random).astype(int)
    cv2.ellipse(mask, (int(x), int(y)), axes, float(random.uniform(0, 180)), 0, 360, 255, -1)
    return mask


def _length(image: Image, random: np.random.Generator) -> int:
    return max(2, round(float(min(image.shape[:2]) * random.uniform(_SHORT_SIDE_MIN, _SHORT_SIDE_MAX))))


def _point(image: Image, random: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A place (x, y) in the frame's inner 90 %."""
    height, width = image.shape[:2]
    return random.uniform(0.05, 0.95, 2) * (width, height)


def _blend(image: Image, mask: Image, random: np.random.Generator) -> None:
    """Moves the pixels under the mask towards white or black."""
    strength = random.uniform(0.6, 1.0) * (mask[..., None].astype(np.float32) / 255)
    target = np.float32(255 if random.random() < 0.5 else 0)  # noqa: PLR2004 - a fair coin
    image[:] = np.clip(image + (target - image) * strength, 0, 255).astype(np.uint8)
