"""A camera that OpenCV can open: a device index or path (V4L2), or a video file read as fast as it decodes."""

from pathlib import Path

import cv2
import numpy as np

from edge.capture.camera import Shot
from edge.capture.devices import device_trouble
from edge.domain.errors import CameraError


class OpenCvCamera:
    """A free-running `cv2.VideoCapture`; a device that stops answering counts as lost and is reopened by its drain.

    Args:
        source: a device index, a device path or a video file.
    """

    def __init__(self, source: int | str) -> None:
        self._source = source
        self._device = Path(f"/dev/video{source}" if isinstance(source, int) else source)
        self._is_device = self._device.is_relative_to("/dev")
        self._capture: cv2.VideoCapture | None = None

    def open(self) -> None:
        """Open the device. Raises CameraError."""
        trouble = device_trouble(self._device) if self._is_device else ""
        if trouble:
            raise CameraError(f"cannot open camera {self._source!r}: {trouble}", "camera_lost")
        capture = cv2.VideoCapture(self._source, cv2.CAP_V4L2 if self._is_device else cv2.CAP_ANY)
        if not capture.isOpened():
            capture.release()
            raise CameraError(
                f"cannot open camera {self._source!r}: check that nobody else holds it, and that it is a camera",
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
