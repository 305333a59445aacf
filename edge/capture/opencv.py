"""A camera that OpenCV can open: a device index or path (V4L2), or a video file read as fast as it decodes."""

import cv2
import numpy as np

from edge.capture.camera import Shot
from edge.domain.errors import CameraError


class OpenCvCamera:
    """A free-running `cv2.VideoCapture`; a device that stops answering counts as lost and is reopened by its drain.

    Args:
        source: a device index, a device path or a video file.
    """

    def __init__(self, source: int | str) -> None:
        self._source = source
        self._capture: cv2.VideoCapture | None = None

    def open(self) -> None:
        """Open the device. Raises CameraError."""
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            capture.release()
            raise CameraError(
                f"cannot open camera {self._source!r}: check that it is plugged in and that nobody else holds it",
                "camera_lost",
            )
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._capture = capture

    def trigger(self, number: int) -> None:
        """Nothing to do: the device runs freely."""

    def read(self, timeout_s: float) -> Shot | None:  # noqa: ARG002 - V4L2 waits by its own limit, in this thread only
        """The next image; raises CameraError when the device gives none (a handle that failed once stays dead)."""
        if self._capture is None:
            raise CameraError(f"camera {self._source!r} was read before it was opened", "camera_lost")
        came, image = self._capture.read()
        if not came:
            raise CameraError(f"camera {self._source!r} stopped giving images", "camera_lost")
        return Shot(np.asarray(image, np.uint8))

    def close(self) -> None:
        """Release the device."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
