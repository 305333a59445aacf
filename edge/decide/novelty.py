"""Which pictures are unlike those before them, by a few numbers a picture and no second network. Pure.

A picture is described by how strong the contrast is in each of its 64 cells and how far the cells' brightness lies
from its own, both sorted: where a part lies, and how bright it is lit, does not count. It is new where its distance to
the three pictures most like it, of the last 256, is among the greatest of late.

What that is worth was measured on real pictures, one unusual among twenty (tests/benchmarks/test_triage.py): in the
twentieth part of them that it picks there are 4 to 20 times as many unusual ones as chance would pick.
"""

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain.frame import Image

CELLS = 8
MEMORY = 256
WARM_UP = 64
_SIDE_PX = 128
_SAMPLE_PX = 480
_NEAREST = 3
_LEVELS = 20.0  # of brightness that weigh as much as contrast that is e times as strong

Description = NDArray[np.float32]


class Novelty:
    """Remembers pictures of one product before one camera, and says which are new.

    Args:
        share: of the pictures that are called new, in [0, 0.5]; 0: none.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._seen: deque[Description] = deque(maxlen=MEMORY)
        self._distances: deque[float] = deque(maxlen=MEMORY)

    def sees(self, description: Description) -> bool:
        """Whether a picture is unlike those before it; it is one of them from now on."""
        distance = self._distance(description)
        usual = self._distances
        is_new = len(usual) >= WARM_UP and distance > float(np.quantile(np.asarray(usual), 1 - self._share))
        if len(self._seen) >= _NEAREST:
            usual.append(distance)
        self._seen.append(description)
        return is_new and self._share > 0

    def _distance(self, description: Description) -> float:
        if len(self._seen) < _NEAREST:
            return 0.0
        apart = np.square(np.stack(self._seen) - description).mean(1)
        return float(np.partition(apart, _NEAREST - 1)[:_NEAREST].mean())


def describe(image: Image) -> Description:
    """128 numbers of an image (H, W, 3) uint8 BGR of any size; a millisecond at most."""
    height, width = image.shape[:2]
    shrink = min(1.0, _SAMPLE_PX / max(height, width))
    sample = cv2.resize(
        image, (max(1, round(width * shrink)), max(1, round(height * shrink))), interpolation=cv2.INTER_NEAREST
    )
    grey = cv2.resize(cv2.cvtColor(sample, cv2.COLOR_BGR2GRAY), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    step = _SIDE_PX // CELLS
    cells = grey.astype(np.float32).reshape(CELLS, step, CELLS, step).transpose(0, 2, 1, 3).reshape(CELLS**2, -1)
    contrast, level = np.log1p(cells.std(1)), cells.mean(1)
    return np.concatenate([np.sort(contrast), np.sort(level - level.mean()) / _LEVELS]).astype(np.float32)
