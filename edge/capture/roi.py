"""A camera's region of interest: every image is cut where it enters, so that all that follows sees the same picture.

The cut is a view: no pixel is copied, and the whole image stays in memory as long as its part does.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import cv2

from edge.capture.camera import Camera, Shot
from edge.config_looks import size_of
from edge.domain.errors import CameraError
from edge.domain.frame import Image

Roi = tuple[int, int, int, int]
Size = tuple[int, int]
_DRAWN_BGR = (0, 200, 255)
_THINNEST_SHARE = 400


class CroppedCamera:
    """Any camera, of whose images only the region of interest is seen.

    Args:
        camera: its driver.
        camera_id: its name in station.toml.
        roi: left, top, right, bottom in pixels of the driver's images.
    """

    def __init__(self, camera: Camera, camera_id: str, roi: Roi) -> None:
        self._camera = camera
        self._camera_id = camera_id
        self._roi = roi

    def open(self) -> None:
        """Connect. Raises CameraError."""
        self._camera.open()

    def trigger(self, number: int) -> None:
        """Ask for one image."""
        self._camera.trigger(number)

    def read(self, timeout_s: float) -> Shot | None:
        """The next image's part. Raises CameraError when the camera is gone, or the part reaches out of its image."""
        shot = self._camera.read(timeout_s)
        return None if shot is None else replace(shot, image=cut(shot.image, self._roi, self._camera_id))

    def close(self) -> None:
        """Let go of the camera."""
        self._camera.close()


def cut(image: Image, roi: Roi, camera_id: str) -> Image:
    """The part of an image (H, W, 3) inside `roi`, as a view.

    Raises:
        CameraError: it reaches out of the image.
    """
    left, top, right, bottom = roi
    size = image.shape[1], image.shape[0]
    if not holds(size, roi):
        raise CameraError(
            f"camera {camera_id!r}: roi {list(roi)} reaches out of its pictures of {size[0]}x{size[1]} pixels: set "
            "camera.roi (`edge camera grab --whole` shows it)",
            "camera_roi",
        )
    return image[top:bottom, left:right]


def as_seen(image: Image, roi: Roi | None) -> Image:
    """A stored picture as its camera shows it: a whole one is cut, as a view; one that was cut before stays."""
    size = image.shape[1], image.shape[0]
    if roi is None or size == size_of(roi) or not holds(size, roi):
        return image
    return image[roi[1] : roi[3], roi[0] : roi[2]]


def holds(size: Size, roi: Roi) -> bool:
    """Whether a picture of this (width, height) holds the whole region."""
    return roi[2] <= size[0] and roi[3] <= size[1]


def whole_size(sizes: Sequence[Size], roi: Roi) -> Size | None:
    """The size of the whole pictures among stored ones: the commonest that holds the region and is not its own."""
    whole = Counter(size for size in sizes if size != size_of(roi) and holds(size, roi))
    return whole.most_common(1)[0][0] if whole else None


def fitting(size: Size, roi: Roi, whole: Size | None) -> Literal["cut", "as it is", "refused"]:
    """What to do with a stored picture of this size: cut a whole one, keep one that was cut before, refuse any other.

    Args:
        size: (width, height) of the picture.
        roi: of the camera that took it.
        whole: the size of that camera's whole pictures, as `whole_size` finds it.
    """
    if size == size_of(roi):
        return "as it is"
    return "cut" if size == whole and holds(size, roi) else "refused"


def with_roi(image: Image, roi: Roi) -> Image:
    """A copy of a whole picture with the region drawn in, for a person to see."""
    drawn = image.copy()
    thickness = max(1, max(image.shape[:2]) // _THINNEST_SHARE)
    left, top, right, bottom = roi
    cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), _DRAWN_BGR, thickness)
    return drawn
