"""What a training image may look like: crops, turns, scales and light, the same for image and reference. No torch.

Everything random comes from a generator that is made from (seed, epoch, index), so that a picture of an epoch is the
same whoever asks for it, in whatever order, before or after a kill.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.detections import FloatArray, IntArray
from models.letterbox import Image

_KEEP = 0.35
_PAD = 114
_MIN_SIDE_PX = 2.0
_TURNS = 8
_NOISE = np.random.default_rng(0).standard_normal(1 << 20, np.float32)  # drawn once: drawing took half of the time


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture to learn from.

    Args:
        image: (H, W, C) uint8, C = 1 for grey or 3 for BGR.
        reference: as the image, or None.
        boxes_xyxy: (N, 4) float32 pixels.
        class_ids: (N,) int32.
    """

    image: Image
    reference: Image | None
    boxes_xyxy: FloatArray
    class_ids: IntArray


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far pictures may differ from the ones given.

    Args:
        size_px: side of the square that is learned from.
        scales: smallest and largest enlargement, drawn on a logarithmic scale.
        stretch: how far width and height may be enlarged differently, as a factor.
        light: contrast and brightness change by up to this share of the range.
        noise: largest standard deviation of pixel noise, in grey values.
        reference_shift_px: how far the reference may lie beside the image, in pixels of the picture.
        on_defect: share of crops that are placed on a box, if there is one.
        upright: share of pictures that are neither turned nor mirrored: parts come to a station in one pose, and what
            is designed and what is a defect may be a matter of pose.
    """

    size_px: int
    scales: tuple[float, float]
    stretch: float = 1.1
    light: float = 0.2
    noise: float = 4.0
    reference_shift_px: float = 1.5
    on_defect: float = 0.7
    upright: float = 0.5


def augment(sample: Sample, how: Augmentation, rng: np.random.Generator, scale: float = 1.0) -> Sample:
    """A random view of the sample, `size_px` wide and high; `scale` enlarges it beforehand."""
    matrix = _placement(sample, how, rng, scale)
    shift = rng.uniform(-how.reference_shift_px, how.reference_shift_px, 2)
    image = _warp(sample.image, matrix, how.size_px)
    beside = matrix + np.array([[0, 0, shift[0]], [0, 0, shift[1]]])
    reference = None if sample.reference is None else _warp(sample.reference, beside, how.size_px)
    boxes, ids = _move(sample.boxes_xyxy, sample.class_ids, matrix, how.size_px)
    turn = 0 if rng.random() < how.upright else int(rng.integers(_TURNS))
    turned = Sample(_turn(image, turn), _turned(reference, turn), _turn_boxes(boxes, turn, how.size_px), ids)
    return _relit(turned, how, rng)


def mosaic(samples: Sequence[Sample], size_px: int) -> Sample:
    """Four pictures of half the size side by side: more defects and more sizes in one look.

    Args:
        samples: four, each (size_px, size_px, C).
        size_px: of the result.
    """
    half = size_px // 2
    image = np.empty((size_px, size_px, samples[0].image.shape[2]), np.uint8)
    reference = None if samples[0].reference is None else np.empty_like(image)
    boxes, ids = [], []
    for index, sample in enumerate(samples):
        top, left = (index // 2) * half, (index % 2) * half
        place = np.s_[top : top + half, left : left + half]
        image[place] = _resize(sample.image, half)
        if reference is not None and sample.reference is not None:
            reference[place] = _resize(sample.reference, half)
        boxes.append(sample.boxes_xyxy / 2 + np.array([left, top, left, top], np.float32))
        ids.append(sample.class_ids)
    return Sample(image, reference, np.concatenate(boxes).astype(np.float32), np.concatenate(ids))


def relit(image: Image, light: float, noise: float, rng: np.random.Generator) -> Image:
    """Contrast and brightness by a table, then noise: what a lamp and a sensor do.

    Args:
        image: (H, W, C) uint8.
        light: as `Augmentation.light`.
        noise: as `Augmentation.noise`.
        rng: decides how much of each.
    """
    gain, offset = 1 + rng.uniform(-light, light), 255 * rng.uniform(-light, light) / 2
    gamma = np.exp(rng.uniform(-light, light))
    values = 255 * (np.arange(256) / 255) ** gamma
    table = np.clip((values - 127) * gain + 127 + offset, 0, 255).astype(np.uint8)
    lit = np.asarray(cv2.LUT(image, table), np.uint8).reshape(image.shape)
    strength = rng.uniform(0, noise) * (rng.random() < 0.5)  # noqa: PLR2004 - every second picture
    if strength < 0.5:  # noqa: PLR2004 - less than half a grey value is nothing
        return lit
    start = int(rng.integers(_NOISE.size))
    grain = strength * np.take(_NOISE, np.arange(start, start + lit.size), mode="wrap").reshape(lit.shape)
    return np.asarray(cv2.add(lit, grain, dtype=cv2.CV_8U), np.uint8).reshape(lit.shape)


def _placement(sample: Sample, how: Augmentation, rng: np.random.Generator, base: float) -> NDArray[np.float64]:
    """The (2, 3) matrix from given pixels to the picture's: enlarge, then put a point of interest somewhere inside."""
    low, high = np.log(how.scales)
    scale, stretch = base * np.exp(rng.uniform(low, high)), how.stretch ** rng.uniform(-0.5, 0.5)
    factors = np.array([scale * stretch, scale / stretch])
    size = np.array([sample.image.shape[1], sample.image.shape[0]]) * factors
    slack = size - how.size_px
    start = rng.uniform(np.minimum(slack, 0), np.maximum(slack, 0))
    if len(sample.boxes_xyxy) and rng.random() < how.on_defect:
        box = sample.boxes_xyxy[rng.integers(len(sample.boxes_xyxy))]
        centre = (box[:2] + box[2:]) / 2 * factors
        wanted = centre - rng.uniform(0.15, 0.85, 2) * how.size_px
        start = np.clip(wanted, np.minimum(slack, 0), np.maximum(slack, 0))
    return np.array([[factors[0], 0, -start[0]], [0, factors[1], -start[1]]])


def _warp(image: Image, matrix: NDArray[np.float64], size_px: int) -> Image:
    """Bilinear, or area-like where it shrinks much; grey outside."""
    centred = matrix.copy()
    centred[:, 2] += (matrix[:, 0] + matrix[:, 1]) / 2 - 0.5
    flags = cv2.INTER_LINEAR
    warped = cv2.warpAffine(image, centred, (size_px, size_px), flags=flags, borderValue=(_PAD, _PAD, _PAD))
    return np.asarray(warped, np.uint8).reshape(size_px, size_px, image.shape[2])


def _move(boxes: FloatArray, ids: IntArray, matrix: NDArray[np.float64], size_px: int) -> tuple[FloatArray, IntArray]:
    """Boxes in the picture; those of which too little is left are dropped, thin ones are widened to two pixels."""
    scale, shift = np.tile(np.diag(matrix[:, :2]), 2), np.tile(matrix[:, 2], 2)
    moved = _widened(boxes * scale + shift)
    clipped = np.clip(moved, 0, size_px)
    keep = _areas(clipped) > _KEEP * _areas(moved)
    return clipped[keep].astype(np.float32), ids[keep]


def _widened(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """A scratch of one pixel is a defect too: no side under two pixels."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum((boxes[:, 2:] - boxes[:, :2]) / 2, _MIN_SIDE_PX / 2)
    return np.concatenate([middle - half, middle + half], axis=1)


def _areas(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _turn(image: Image, turn: int) -> Image:
    """One of the eight ways to lay a square down."""
    mirrored = image[:, ::-1] if turn >= _TURNS // 2 else image
    return np.ascontiguousarray(np.rot90(mirrored, turn % 4))


def _turned(image: Image | None, turn: int) -> Image | None:
    return None if image is None else _turn(image, turn)


def _turn_boxes(boxes: FloatArray, turn: int, size_px: int) -> FloatArray:
    """As `_turn` does to the pixels: mirror left-right, then quarter turns against the clock."""
    left, top, right, bottom = boxes.T
    if turn >= _TURNS // 2:
        left, right = size_px - right, size_px - left
    for _ in range(turn % 4):
        left, top, right, bottom = top, size_px - right, bottom, size_px - left
    return np.stack([left, top, right, bottom], axis=1).astype(np.float32)


def _relit(sample: Sample, how: Augmentation, rng: np.random.Generator) -> Sample:
    image = relit(sample.image, how.light, how.noise, rng)
    reference = None if sample.reference is None else relit(sample.reference, how.light, how.noise, rng)
    return Sample(image, reference, sample.boxes_xyxy, sample.class_ids)


def _resize(image: Image, side: int) -> Image:
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(side, side, image.shape[2])
