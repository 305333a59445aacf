"""The same place with its defect and without: what a detector that sees no reference can still learn from one.

Where a golden reference was laid on a picture, a defect can be mended by putting the reference's pixels in its place.
Seen both ways, what is designed is told from what went wrong. A patch may leave a seam, so half of the pictures are
made the other way round, defects put onto the reference: a seam then says nothing.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.detections import FloatArray
from models.letterbox import Image
from models.training.augment import Sample

_MARGIN_PX = 3
_SHARE = 0.5
_ONTO_REFERENCE = 0.5


def mended(sample: Sample, rng: np.random.Generator) -> Sample:
    """A picture in which about half of the defects are mended; without its reference.

    Defects that touch each other are all kept, because a patch would cut one of them.

    Args:
        sample: with the reference as it lies on the image.
        rng: decides which defects, and which way.
    """
    if sample.reference is None:
        return sample
    boxes = _pixels(sample.boxes_xyxy, sample.image)
    kept = (rng.random(len(boxes)) >= _SHARE) | _touching(boxes)
    onto_reference = rng.random() < _ONTO_REFERENCE
    base, patch = (sample.reference, sample.image) if onto_reference else (sample.image, sample.reference)
    image = base.copy()
    for left, top, right, bottom in boxes[kept if onto_reference else ~kept]:
        image[top:bottom, left:right] = patch[top:bottom, left:right]
    return replace(
        sample, image=image, reference=None, boxes_xyxy=sample.boxes_xyxy[kept], class_ids=sample.class_ids[kept]
    )


def _pixels(boxes: FloatArray, image: Image) -> NDArray[np.int64]:
    """(N, 4) whole pixels of the boxes with a margin, inside the image."""
    height, width = image.shape[:2]
    wide = np.concatenate([np.floor(boxes[:, :2]) - _MARGIN_PX, np.ceil(boxes[:, 2:]) + _MARGIN_PX], axis=1)
    return np.asarray(np.clip(wide, 0, [width, height, width, height]), np.int64)


def _touching(boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) which boxes overlap another one than themselves."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = (high > low).all(axis=2)
    return np.asarray(common.sum(axis=1) > 1)
