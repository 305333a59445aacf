"""Frames that show the very same part again, with nothing but noise between them. Pure.

Such a frame is no further part: counted as one, it would make a proof look better than it is. Mere look-alikes, the
same part in another light or place included, differ by more than noise and stay: the split deals them together.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain.frame import Image

Small = NDArray[np.uint8]
_SIDE = 64
_NOISE = 3.0
_ROUNDING = 0.5
_RESIDUE = (0.8, 1.45)
_SPOT = 6.0
_FLICKER = 0.15
_CHUNK = 512
_TINY = 1e-6


def small(image: Image) -> Small:
    """What is compared of an image (H, W, 3): (64, 64) uint8 grey."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def residue_limit(size: tuple[int, int]) -> float:
    """How far noise alone sets two such thumbnails apart, grey levels, root mean square.

    A noise of 3 grey levels in both frames, averaged over what a thumbnail's pixel covers, and rounding. On six test
    sets the least that two good parts were apart is 1.03, mostly 3 to 7; noise of 2 in both made 0.5 to 0.8.

    Args:
        size: (width, height) of the frames.
    """
    noise = _NOISE / max(1.0, float(np.sqrt(size[0] * size[1])) / _SIDE)
    return float(np.clip(np.hypot(_ROUNDING, np.sqrt(2) * noise), *_RESIDUE))


def is_copy(one: Small, other: Small, limit: float) -> bool:
    """Whether nothing but noise and a lamp's flicker lies between two thumbnails; one spot apart is enough for no."""
    first, second = (_centred(each.astype(np.float32)) for each in (one.ravel(), other.ravel()))
    gain = float(first @ second) / max(float(first @ first), _TINY)
    if abs(gain - 1) > _FLICKER:
        return False
    rest = np.abs(second - gain * first)
    return float(np.sqrt(np.mean(rest**2))) <= limit and float(rest.max()) <= _SPOT * limit


def copies(smalls: Sequence[Small], limits: Sequence[float]) -> dict[int, int]:
    """Of each frame that copies an earlier one, which: its index to that of the first such frame.

    Args:
        smalls: N thumbnails.
        limits: N residue limits; the lower one of a pair counts.
    """
    if not smalls:
        return {}
    flat = np.stack([each.ravel() for each in smalls])
    found: dict[int, int] = {}
    for start in range(0, len(flat), _CHUNK):
        for index, candidates in _candidates(flat, limits, start):
            first = next((one for one in candidates if one not in found and _copy(smalls, limits, one, index)), None)
            if first is not None:
                found[index] = first
    return found


def _candidates(flat: Small, limits: Sequence[float], start: int) -> list[tuple[int, list[int]]]:
    """Each frame of a chunk with the earlier ones that are near enough as a whole, by one matrix product."""
    chunk, bounds = _centred(flat[start : start + _CHUNK].astype(np.float32)), np.array(limits)
    powers = np.square(chunk).sum(axis=1)
    near: list[list[int]] = [[] for _ in chunk]
    for begin in range(0, start + len(chunk), _CHUNK):
        block = _centred(flat[begin : begin + _CHUNK].astype(np.float32))
        products = chunk @ block.T
        rest = powers[:, None] - np.square(products) / np.maximum(np.square(block).sum(axis=1), _TINY)
        allowed = np.minimum.outer(bounds[start : start + len(chunk)], bounds[begin : begin + len(block)])
        for row, column in zip(*np.nonzero(rest <= allowed**2 * flat.shape[1] * 1.01), strict=True):
            if begin + column < start + row:
                near[row].append(begin + int(column))
    return [(start + row, columns) for row, columns in enumerate(near) if columns]


def _copy(smalls: Sequence[Small], limits: Sequence[float], one: int, other: int) -> bool:
    return is_copy(smalls[one], smalls[other], min(limits[one], limits[other]))


def _centred(values: NDArray[np.float32]) -> NDArray[np.float32]:
    centred: NDArray[np.float32] = values - values.mean(axis=-1, keepdims=True)
    return centred
