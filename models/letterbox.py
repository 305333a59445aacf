"""The one way from a frame's pixels into a model's input: the same at calibration, evaluation and inspection.

A frame is resized, or, where it was laid on a reference, turned, moved and resized in one go.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.detections import Affine, FloatArray
from models.spec import Fit, InputSpec

Image = NDArray[np.uint8]

_MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies inside the model's input, in input pixels.

    Args:
        left: of what the frame fills.
        top: of it.
        width: of it.
        height: of it.
        frame_width: of the frame, in its own pixels.
        frame_height: of it.
        to_frame: from what is filled to the frame, of the middles of pixels; None where the frame is only resized.
        beyond: what is seen where a frame that was moved or turned does not reach, (height, width, 3).
    """

    left: int
    top: int
    width: int
    height: int
    frame_width: int
    frame_height: int
    to_frame: Affine | None = None
    beyond: Image | None = field(default=None, compare=False, repr=False)

    def to_frame_xyxy(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Boxes (N, 4) in input pixels, moved to frame pixels and clipped to the frame."""
        limit = np.array([self.frame_width, self.frame_height] * 2, np.float32)
        if self.to_frame is not None:
            return np.clip(self._around(boxes_xyxy, np.array(self.to_frame, np.float32)), 0, limit)
        scale = np.array([self.frame_width / self.width, self.frame_height / self.height] * 2, np.float32)
        shift = np.array([self.left, self.top] * 2, np.float32)
        clipped: FloatArray = np.clip((boxes_xyxy - shift) * scale, 0, limit).astype(np.float32, copy=False)
        return clipped

    def grid_to_frame(self, columns: int, rows: int, spec: InputSpec) -> Affine:
        """From a grid over the whole input, in cells from its outer corner, to the frame's pixels, not clipped."""
        wide, high = spec.width / columns, spec.height / rows
        if self.to_frame is None:
            x, y = self.frame_width / self.width, self.frame_height / self.height
            return (wide * x, 0.0, -self.left * x), (0.0, high * y, -self.top * y)
        left, top = self.left + _MIDDLE, self.top + _MIDDLE
        (a, b, c), (d, e, f) = self.to_frame
        return (
            (a * wide, b * high, c - a * left - b * top + _MIDDLE),
            (d * wide, e * high, f - d * left - e * top + _MIDDLE),
        )

    def _around(self, boxes_xyxy: FloatArray, to_frame: FloatArray) -> FloatArray:
        """The upright boxes around boxes that were turned."""
        x, y = boxes_xyxy[:, [0, 2, 2, 0]] - self.left, boxes_xyxy[:, [1, 1, 3, 3]] - self.top
        corners = np.stack([x, y], axis=2) - np.float32(_MIDDLE)
        turned = corners @ to_frame[:, :2].T + to_frame[:, 2] + np.float32(_MIDDLE)
        return np.concatenate([turned.min(axis=1), turned.max(axis=1)], axis=1)


def placement(frame_width: int, frame_height: int, spec: InputSpec) -> Placement:
    """Where a frame of this size goes: everywhere if it is stretched, else as large as fits, centred."""
    if spec.fit is Fit.STRETCH:
        return Placement(0, 0, spec.width, spec.height, frame_width, frame_height)
    scale = min(spec.width / frame_width, spec.height / frame_height)
    width, height = max(1, round(frame_width * scale)), max(1, round(frame_height * scale))
    return Placement((spec.width - width) // 2, (spec.height - height) // 2, width, height, frame_width, frame_height)


def letterbox_into(image: Image, tensor: Image, place: Placement, spec: InputSpec) -> None:
    """Resize `image` (H, W, 3) straight into `tensor` (height, width, 3), padding around it.

    Where a frame that was laid on a reference does not reach, the reference is seen: its own border, repeated, would
    look like a defect there.
    """
    right, bottom = place.left + place.width, place.top + place.height
    if place.width < spec.width or place.height < spec.height:
        tensor[: place.top] = spec.pad_value
        tensor[bottom:] = spec.pad_value
        tensor[place.top : bottom, : place.left] = spec.pad_value
        tensor[place.top : bottom, right:] = spec.pad_value
    target = tensor[place.top : bottom, place.left : right]
    if place.to_frame is not None:
        flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (place.width, place.height)
        turned = np.array(place.to_frame, np.float64)
        if place.beyond is None:
            cv2.warpAffine(image, turned, size, dst=target, flags=flags, borderMode=cv2.BORDER_REPLICATE)
            return
        target[:] = place.beyond
        cv2.warpAffine(image, turned, size, dst=target, flags=flags, borderMode=cv2.BORDER_TRANSPARENT)
        return
    cv2.resize(image, (place.width, place.height), dst=target, interpolation=cv2.INTER_LINEAR)
