"""The one resize there is: the same at calibration, evaluation and inspection."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.detections import FloatArray
from models.spec import Fit, InputSpec

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies inside the model's input, in input pixels."""

    left: int
    top: int
    width: int
    height: int
    frame_width: int
    frame_height: int

    def to_frame_xyxy(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Boxes (N, 4) in input pixels, moved to frame pixels and clipped to the frame."""
        scale = np.array([self.frame_width / self.width, self.frame_height / self.height] * 2, np.float32)
        shift = np.array([self.left, self.top] * 2, np.float32)
        limit = np.array([self.frame_width, self.frame_height] * 2, np.float32)
        clipped: FloatArray = np.clip((boxes_xyxy - shift) * scale, 0, limit).astype(np.float32, copy=False)
        return clipped


def placement(frame_width: int, frame_height: int, spec: InputSpec) -> Placement:
    """Where a frame of this size goes: everywhere if it is stretched, else as large as fits, centred."""
    if spec.fit is Fit.STRETCH:
        return Placement(0, 0, spec.width, spec.height, frame_width, frame_height)
    scale = min(spec.width / frame_width, spec.height / frame_height)
    width, height = max(1, round(frame_width * scale)), max(1, round(frame_height * scale))
    return Placement((spec.width - width) // 2, (spec.height - height) // 2, width, height, frame_width, frame_height)


def letterbox_into(image: Image, tensor: Image, place: Placement, spec: InputSpec) -> None:
    """Resize `image` (H, W, 3) straight into `tensor` (height, width, 3), padding around it."""
    right, bottom = place.left + place.width, place.top + place.height
    if place.width < spec.width or place.height < spec.height:
        tensor[: place.top] = spec.pad_value
        tensor[bottom:] = spec.pad_value
        tensor[place.top : bottom, : place.left] = spec.pad_value
        tensor[place.top : bottom, right:] = spec.pad_value
    target = tensor[place.top : bottom, place.left : right]
    cv2.resize(image, (place.width, place.height), dst=target, interpolation=cv2.INTER_LINEAR)
