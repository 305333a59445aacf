"""What a model reports on one frame: the noun that every model kind shares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
Affine = tuple[tuple[float, float, float], tuple[float, float, float]]
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes found on one frame, in that frame's pixel coordinates; no box means: looked, and saw nothing.

    Args:
        boxes_xyxy: (N, 4) float32, pixels of the frame: left, top, right, bottom, right and bottom exclusive.
        scores: (N,) float32 in [0, 1]; 0.5 is the bundle's own threshold.
        class_ids: (N,) int32, indices into the bundle's classes.
        map: (h, w) float32 in [0, 1] where the kind has one, in the model's own grid; else None.
        map_to_frame: from the map's cells, counted from the outer corner of the first, to the frame's pixels; None
            where nobody knows. The map may reach beyond the frame.

    Raises:
        ModelError: a shape, dtype or range is wrong, or a value is not finite.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    class_ids: IntArray
    map: FloatArray | None = None
    map_to_frame: Affine | None = None

    def __post_init__(self) -> None:
        count = len(self.scores)
        _check("boxes_xyxy", self.boxes_xyxy, (count, 4), np.float32)
        _check("scores", self.scores, (count,), np.float32)
        _check("class_ids", self.class_ids, (count,), np.int32)
        if not np.all((self.scores >= 0) & (self.scores <= 1)):
            raise ModelError(f"detections: scores must lie in [0, 1], got {self.scores.min()} to {self.scores.max()}")
        if count and (self.class_ids.min() < 0 or np.any(self.boxes_xyxy[:, :2] > self.boxes_xyxy[:, 2:])):
            raise ModelError("detections: a box ends before it starts, or a class id is negative")
        if self.map is not None:
            _check("map", self.map, self.map.shape if self.map.ndim == 2 else (-1, -1), np.float32)  # noqa: PLR2004
            if self.map.min() < -_TOLERANCE or self.map.max() > 1 + _TOLERANCE:
                raise ModelError(f"detections: map must lie in [0, 1], got {self.map.min()} to {self.map.max()}")

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def frame_score(self) -> float:
        """The frame's own score in [0, 1]: the map's highest value where it has one, else the best box's, else 0."""
        if self.map is not None:
            return float(np.clip(self.map.max(), 0, 1))
        return float(self.scores.max()) if len(self) else 0.0

    @classmethod
    def none(cls, anomaly_map: FloatArray | None = None, map_to_frame: Affine | None = None) -> "Detections":
        """The model looked and saw nothing."""
        nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32)
        return cls(*nothing, anomaly_map, map_to_frame)


def _check(
    name: str, array: NDArray[np.generic], shape: tuple[int, ...], dtype: type[np.float32] | type[np.int32]
) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ModelError(f"detections: {name} must be {shape} {np.dtype(dtype)}, got {array.shape} {array.dtype}")
    if not np.isfinite(array).all():
        raise ModelError(f"detections: {name} holds a value that is not finite: the model is broken")
