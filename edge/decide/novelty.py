"""Which pictures are unlike those before them, by a few numbers a picture and no second network. Pure.

A picture is described by how strong the contrast is in each of its 64 cells and how far the cells' brightness lies
from its own, both sorted: where a part lies, and how bright it is lit, does not count. It is new where its distance to
the three pictures most like it, of the last 256, is among the greatest of late.

What that is worth was measured on real pictures, one unusual among twenty (tests/benchmarks/test_triage.py): in the
twentieth part that it picks there are 7 to 21 times as many unusual ones as chance would pick where whole pictures
differ (steel, small parts), and about twice as many where a defect is small on parts of all shapes (magnetic tiles: 0.6
to 3.7 times). So it is one reason among others, and no detector.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS = 8
MEMORY = 256
WARM_UP = 64
_SIDE_PX = 128
_NEAREST = 3
_LEVELS = 20.0  # of brightness that weigh as much as contrast that is e times as strong

Description = NDArray[np.float32]
Grey = NDArray[np.uint8]


class Novelty:
    """Remembers pictures of one product before one camera, and says which are new.

    Args:
        share: of the pictures that are called new, in [0, 0.5]; 0: none.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._seen = np.empty((MEMORY, 2 * CELLS**2), np.float32)
        self._distances = np.empty(MEMORY, np.float32)
        self._pictures = 0

    def sees(self, description: Description) -> bool:
        """Whether a picture is unlike those before it; it is one of them from now on."""
        held, place = min(self._pictures, MEMORY), self._pictures % MEMORY
        distance = self._distance(description, held)
        usual = self._distances[:held]
        is_new = self._share > 0 and held >= WARM_UP and distance > float(np.quantile(usual, 1 - self._share))
        self._seen[place], self._distances[place] = description, distance
        self._pictures += 1
        return is_new

    def _distance(self, description: Description, held: int) -> float:
        if held < _NEAREST:
            return 0.0
        apart = np.square(self._seen[:held] - description).mean(1)
        return float(np.partition(apart, _NEAREST - 1)[:_NEAREST].mean())


def describe(sample: Grey) -> Description:
    """128 numbers of a picture's grey sample (h, w) uint8 of any size, as the camera's checks take it."""
    grey = cv2.resize(sample, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    step = _SIDE_PX // CELLS
    cells = grey.reshape(CELLS, step, CELLS, step).transpose(0, 2, 1, 3).reshape(CELLS**2, -1)
    level, square = cells.mean(1), np.square(cells).mean(1)
    contrast = np.log1p(np.sqrt(np.maximum(square - np.square(level), 0)))
    return np.concatenate([np.sort(contrast), np.sort(level - level.mean()) / _LEVELS]).astype(np.float32)
