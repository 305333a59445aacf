"""Parts before a camera that collects: pictures of parts, with a sensor's noise, and cameras that show them."""

import queue
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture.camera import Shot
from edge.config import CameraSection
from edge.domain.errors import CameraError

Image = NDArray[np.uint8]


def shown(part: int, shot: int = 0, size: tuple[int, int] = (160, 120)) -> Image:
    """A part, unlike every other; each shot of it has noise of its own."""
    spots = np.random.default_rng(part).integers(40, 216, (size[1] // 13, size[0] // 13, 3), np.uint8)
    picture = cv2.resize(spots, size, interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng((part, shot)).normal(0, 1.5, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def show(folder: Path, images: Iterable[Image]) -> Path:
    """A folder to replay, in this order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number:04}.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return folder


def section(source: Path | str, trigger: str = "free", **more: object) -> CameraSection:
    """A camera of station.toml; the limits are those of a test that cannot wait long."""
    keys = {"id": "top", "source": str(source), "trigger": trigger, "timeout_ms": 300, "fps": 200} | more
    return CameraSection.model_validate(keys)


class MortalCamera:
    """Gives what it is fed for each trigger; None, and the end, is a loss, and `lost` says which openings fail."""

    def __init__(self, images: Iterable[Image | None]) -> None:
        self.lost: list[bool] = []
        self._images = iter(images)
        self._triggers: queue.SimpleQueue[int] = queue.SimpleQueue()

    def open(self) -> None:
        if self.lost and self.lost.pop(0):
            raise CameraError("unplugged", "camera_lost")
        self._triggers = queue.SimpleQueue()

    def trigger(self, number: int) -> None:
        self._triggers.put(number)

    def read(self, timeout_s: float) -> Shot | None:
        try:
            number = self._triggers.get(timeout=timeout_s)
        except queue.Empty:
            return None
        image = next(self._images, None)
        if image is None:
            raise CameraError("the cable is out", "camera_lost")
        return Shot(image, "", number)

    def close(self) -> None: ...
