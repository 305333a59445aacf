"""Frames that are not taken like the rest of their set: of another size, clipped, blurred, shifted. Pure.

What is usual comes from the set itself, by medians and quartiles of the side that a fault does not reach, so that up
to a third of faulty frames does not become what is usual; sets that vary by nature, as castings under six lights do,
widen their own limits. Where parts lie anywhere, no shift is judged.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture.pictures.checks import Grey
from edge.capture.pictures.flaws import Looks

FEWEST = 20
_DETAIL_MIN_OF_MEDIAN = 0.25
_ONE_SIZE = 0.8
_CLIPPED_ROOM, _CLIPPED_SPREADS = 0.25, 6.0
_DARK_OF_MEDIAN, _DARK_SPREADS = 0.4, 6.0
_DULL_OF_MEDIAN = 0.55
_DETAIL_SPREADS, _SHARPNESS_SPREADS = 5.0, 6.0
_SEARCHED = 0.125
_IN_PLACE = (0.035, 0.7)
_SHIFT_ROOM, _SHIFT_SPREADS = 0.04, 4.0
_LIKENESS_OF_MEDIAN = 0.6
_BETTER_THERE = 0.1
_REFERENCE_FRAMES = 300


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """What is compared of a frame.

    Args:
        size: (width, height) in pixels.
        looks: of the frame by itself.
        sharpness: at full resolution, as `Gauge` measures it.
        thumb: (h, w) uint8 grey, at most 128 pixels.
    """

    size: tuple[int, int]
    looks: Looks
    sharpness: float
    thumb: Grey


def odd_frames(signs: Sequence[Signs]) -> dict[int, str]:
    """Index of each frame that is not like the rest, and why: a reason word, a colon, and figures."""
    found = _other_sizes(signs)
    for judge in (_ill_lit, _unsharp, _displaced):
        rest = [index for index in range(len(signs)) if index not in found]
        found |= {rest[at]: why for at, why in judge([signs[index] for index in rest]).items()}
    return found


def _other_sizes(signs: Sequence[Signs]) -> dict[int, str]:
    if len(signs) < FEWEST:
        return {}
    usual, count = Counter(each.size for each in signs).most_common(1)[0]
    if count < _ONE_SIZE * len(signs):
        return {}
    why = f"others are {usual[0]}x{usual[1]} pixels"
    return {at: f"size: {each.size[0]}x{each.size[1]}, {why}" for at, each in enumerate(signs) if each.size != usual}


def _ill_lit(signs: Sequence[Signs]) -> dict[int, str]:
    if len(signs) < FEWEST:
        return {}
    over, under = (np.array([getattr(each.looks, name) for each in signs]) for name in ("over", "under"))
    mean = np.array([each.looks.mean for each in signs])
    dark = _low_limit(mean, _DARK_OF_MEDIAN, _DARK_SPREADS)
    found = {int(at): f"clipped: {under[at]:.0%} underexposed, {_usually(under)}" for at in _clipped(under)}
    found |= {
        int(at): f"clipped: underexposed, mean grey level {mean[at]:.0f}, usual {np.median(mean):.0f}"
        for at in np.flatnonzero(mean < dark)
    }
    return found | {int(at): f"clipped: {over[at]:.0%} overexposed, {_usually(over)}" for at in _clipped(over)}


def _clipped(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Frames of which far more is clipped than of most; the lower half of the set says what is usual."""
    low, usual = np.quantile(shares, (0.25, 0.5))
    room = max(_CLIPPED_ROOM * (1 - usual), _CLIPPED_SPREADS * (usual - low))
    return np.flatnonzero(shares > usual + room)


def _usually(shares: NDArray[np.float64]) -> str:
    return f"usual {np.median(shares):.0%}"


def _unsharp(signs: Sequence[Signs]) -> dict[int, str]:
    """Frames of one part are alike sharp: one far below the others was shaken or out of focus."""
    if not signs:
        return {}
    detail, sharpness = np.array([each.looks.detail for each in signs]), np.array([each.sharpness for each in signs])
    limits = _DETAIL_MIN_OF_MEDIAN * float(np.median(detail)), 0.0
    if len(signs) >= FEWEST:
        limits = (
            max(limits[0], _low_limit(detail, _DULL_OF_MEDIAN, _DETAIL_SPREADS)),
            _low_limit(sharpness, _DULL_OF_MEDIAN, _SHARPNESS_SPREADS),
        )
    # Sharpness is measured on bands, which see little of a sparse picture, so that it doubts only where detail may.
    soft = (sharpness < limits[1]) & (detail < np.median(detail))
    return _blurred("sharpness", sharpness, soft) | _blurred("detail", detail, detail < limits[0])


def _blurred(what: str, values: NDArray[np.float64], which: NDArray[np.bool_]) -> dict[int, str]:
    usual = np.median(values)
    return {int(at): f"blurred: {what} {values[at]:.3f}, usual {usual:.3f}" for at in np.flatnonzero(which)}


def _low_limit(values: NDArray[np.float64], of_median: float, spreads: float) -> float:
    """Far below the median by the spread of the upper half, in proportion; never above a share of the median."""
    usual, high = (max(float(value), 1e-6) for value in np.quantile(values, (0.5, 0.75)))
    return usual * min(of_median, float((usual / high) ** spreads))


def _displaced(signs: Sequence[Signs]) -> dict[int, str]:
    """Frames whose content lies elsewhere than in the others, where it is plain that they are in one place."""
    if len(signs) < FEWEST or len({each.size for each in signs}) > 1:
        return {}
    step = -(-len(signs) // _REFERENCE_FRAMES)
    middle = np.median(np.stack([each.thumb for each in signs[::step]]), axis=0)
    found = np.array([_place(np.asarray(middle, np.uint8), each.thumb) for each in signs])
    shift, there, here = found.T
    low, usual, high = np.quantile(shift, (0.25, 0.5, 0.75))
    likeness = float(np.median(there))
    if high > _IN_PLACE[0] or likeness < _IN_PLACE[1]:
        return {}
    far = shift > max(_SHIFT_ROOM, high + _SHIFT_SPREADS * (high - low))
    sure = (there > _LIKENESS_OF_MEDIAN * likeness) & (there - here > _BETTER_THERE)
    return {
        int(at): f"shifted: {shift[at]:.1%} of the width from where the others lie, usual {usual:.1%}"
        for at in np.flatnonzero(far & sure)
    }


def _place(reference: Grey, thumb: Grey) -> tuple[float, float, float]:
    """(how far the reference's middle is found from its own place, in widths; how alike it is there; and here)."""
    height, width = reference.shape
    down, right = round(height * _SEARCHED), round(width * _SEARCHED)
    middle = reference[down : height - down, right : width - right]
    likeness = cv2.matchTemplate(thumb, middle, cv2.TM_CCOEFF_NORMED)
    _, there, _, (x, y) = cv2.minMaxLoc(likeness)
    return float(np.hypot(x - right, y - down)) / width, float(there), float(likeness[down, right])
