"""A folder of images or a video file, fed as if a camera had taken them: triggered, or free-running at a pace."""

import queue
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from edge.capture.camera import Shot
from edge.domain.errors import CameraError
from edge.domain.frame import Image
from models.decoding import read_picture

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_DEFAULT_FPS = 30.0


class ReplayCamera:
    """Replays images in the order of their names; ships with the product and drives demo and tests.

    A reopened replay goes on where it was, so a lost and recovered source repeats nothing.

    Args:
        path: a folder of images, or a video file.
        triggered: one image for each software trigger; else one every 1/fps seconds.
        fps: pace of a free-running replay; None takes the video's own, or 30.
        loop: start again at the end instead of failing there.
    """

    def __init__(self, path: Path, *, triggered: bool, fps: float | None = None, loop: bool = False) -> None:
        self._path = path
        self._triggered = triggered
        self._period_s = 1 / (fps or _video_fps(path) or _DEFAULT_FPS)
        self._loop = loop
        self._position = 0
        self._due_s = 0.0
        self._triggers: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._images: Iterator[tuple[str, Image]] = iter(())
        self._next: tuple[str, Image] | None = None

    def open(self) -> None:
        """Find the images. Raises CameraError when there are none, or none is left."""
        with suppress(queue.Empty):
            while True:
                self._triggers.get_nowait()
        self._images = _images_of(self._path, self._position)
        self._due_s = time.monotonic()
        self._prefetch()

    def trigger(self, number: int) -> None:
        """Ask for the next image; ignored by a free-running replay."""
        if self._triggered:
            self._triggers.put(number)

    def read(self, timeout_s: float) -> Shot | None:
        """The next image once it is triggered or due; None after `timeout_s` seconds."""
        self._prefetch()
        number = self._wait(timeout_s)
        if number is None:
            return None
        if self._next is None:
            raise CameraError(f"replay of {self._path} was read before it was opened", "camera_lost")
        (source, image), self._next = self._next, None
        self._position += 1
        return Shot(image, source, number or None)

    def close(self) -> None:
        """Forget the open source; the position stays."""
        self._images = iter(())
        self._next = None

    def _wait(self, timeout_s: float) -> int | None:
        if self._triggered:
            with suppress(queue.Empty):
                return self._triggers.get(timeout=timeout_s)
            return None
        wait_s = self._due_s - time.monotonic()
        time.sleep(max(0.0, min(wait_s, timeout_s)))
        if wait_s > timeout_s:
            return None
        self._due_s = max(self._due_s + self._period_s, time.monotonic() - self._period_s)
        return 0

    def _prefetch(self) -> None:
        if self._next is not None:
            return
        self._next = next(self._images, None)
        if self._next is None and self._loop and self._position:
            self._position = 0
            self._images = _images_of(self._path, 0)
            self._next = next(self._images, None)
        if self._next is None:
            raise CameraError(f"replay of {self._path} is at its end after {self._position} images", "camera_lost")


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in the order of their names. Raises CameraError when it holds none."""
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    except OSError as error:
        raise CameraError(f"cannot list {folder}: {error.strerror}", "camera_lost") from error
    if not files:
        raise CameraError(f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})", "camera_lost")
    return files


def _images_of(path: Path, start: int) -> Iterator[tuple[str, Image]]:
    if path.is_dir():
        return _folder_images(image_files(path), start)
    if path.is_file():
        return _video_images(path, start)
    raise CameraError(f"replay source {path} is neither a folder nor a file: check camera.source", "camera_lost")


def _folder_images(files: list[Path], start: int) -> Iterator[tuple[str, Image]]:
    for file in files[start:]:
        image = read_picture(file, cv2.IMREAD_COLOR)
        if image is None:
            raise CameraError(f"cannot read {file}: gone, or no image", "camera_lost")
        yield file.name, image


def _video_images(path: Path, start: int) -> Iterator[tuple[str, Image]]:
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise CameraError(f"cannot open {path} as a video", "camera_lost")
        index = 0
        while capture.grab():
            if index >= start:
                decoded, image = capture.retrieve()
                if not decoded:
                    raise CameraError(f"cannot decode image {index} of {path}", "camera_lost")
                yield f"{path.name}#{index}", np.asarray(image, np.uint8)
            index += 1
    finally:
        capture.release()


def _video_fps(path: Path) -> float:
    if not path.is_file():
        return 0.0
    capture = cv2.VideoCapture(str(path))
    try:
        return float(capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
