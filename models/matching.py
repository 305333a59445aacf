"""Which detection found which labelled box, on one image."""

import numpy as np
from numpy.typing import NDArray

from models.dataset.records import Truth
from models.detections import Detections, FloatArray

_TINY = 1e-9
NONE = -1


def overlaps(first: FloatArray, second: FloatArray) -> NDArray[np.float64]:
    """Intersection over union, (N, M), of boxes (N, 4) and (M, 4) xyxy."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(high - low, 0, None).astype(np.float64).prod(2)
    areas = [(box[:, 2:] - box[:, :2]).astype(np.float64).prod(1) for box in (first, second)]
    union = areas[0][:, None] + areas[1][None] - common
    return np.asarray(common / np.maximum(union, _TINY))


def match(found: Detections, truth: Truth, min_iou: float, *, same_class: bool) -> NDArray[np.int64]:
    """For each detection the box it takes, or -1: strongest first, each the free box it overlaps most.

    Args:
        found: on one image.
        truth: of the same image.
        min_iou: least overlap.
        same_class: whether only boxes of the detection's class are for it; else it takes, and uses up, any.

    Returns:
        (N,) in the order of `found`.
    """
    taken = np.full(len(found), NONE, np.int64)
    if not len(found) or not len(truth):
        return taken
    table = overlaps(found.boxes_xyxy, truth.boxes_xyxy)
    if same_class:
        table[found.class_ids[:, None] != truth.class_ids[None]] = NONE
    for index in np.argsort(-found.scores, kind="stable"):
        best = int(table[index].argmax())
        if table[index, best] >= min_iou:
            taken[index] = best
            table[:, best] = NONE
    return taken
