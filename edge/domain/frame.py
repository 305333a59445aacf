"""One image with where and when it came from."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from edge.domain.errors import CameraError

Image = NDArray[np.uint8]
_CHANNELS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One camera image, sealed: its pixels become read-only here.

    Args:
        camera_id: which camera.
        seq: counts the camera's frames from 1; a gap means frames were dropped.
        captured_at: when it arrived, UTC.
        monotonic_s: the same moment on the monotonic clock, seconds; age is measured from it.
        image: (H, W, 3) uint8 BGR.
        source: where a replayed frame comes from (file name); empty for a live camera.
        repeats: bit by bit the camera's frame before it, where that is looked for.

    Raises:
        CameraError: the image is not (H, W, 3) uint8, or a field is out of range.
    """

    camera_id: str
    seq: int
    captured_at: datetime
    monotonic_s: float
    image: Image
    source: str = ""
    repeats: bool = False

    def __post_init__(self) -> None:
        image = self.image
        if image.ndim != _CHANNELS or image.shape[2] != _CHANNELS or image.dtype != np.uint8 or image.size == 0:
            raise CameraError(
                f"camera {self.camera_id!r}: expected an image (H, W, 3) uint8, got {image.shape} {image.dtype}"
            )
        if self.seq < 1 or self.captured_at.tzinfo is None:
            raise CameraError(f"camera {self.camera_id!r}: frame needs a seq from 1 and a time with zone")
        image.flags.writeable = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def held_bytes(self) -> int:
        """Memory that the frame keeps in use: of a part cut out of an image, that of the whole image."""
        whole = self.image.base
        return whole.nbytes if isinstance(whole, np.ndarray) else self.image.nbytes

    def age_ms(self, now_s: float) -> float:
        """How long ago the frame arrived, milliseconds."""
        return (now_s - self.monotonic_s) * 1000
