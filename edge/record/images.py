"""Image files named by their content: written whole or not at all, once for however many inspections show it."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from edge.domain.errors import StorageError
from edge.domain.frame import Frame
from edge.domain.inspection import ImageRef
from models.durable import sync_directory

_ENCODINGS: Mapping[str, tuple[str, str, list[int]]] = {
    "jpeg": (".jpg", "image/jpeg", [cv2.IMWRITE_JPEG_QUALITY, 95]),
    "png": (".png", "image/png", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
}
_SUFFIXES: Mapping[str, str] = {media_type: suffix for suffix, media_type, _ in _ENCODINGS.values()}


class ImageStore:
    """Content-addressed files below one folder: `ab/abcdef....jpg`.

    Args:
        root: the folder.
        image_format: `jpeg` (quality 95) or `png` (lossless), for what is written from now on.
    """

    def __init__(self, root: Path, image_format: str) -> None:
        self.root = root
        self._suffix, self._media_type, self._options = _ENCODINGS[image_format]

    def put(self, frame: Frame) -> tuple[ImageRef, int]:
        """Store a frame's image; it is on disk when this returns.

        Returns:
            Where it is, and by how many bytes the store grew: 0 where the same content was there before.

        Raises:
            StorageError: it cannot be encoded or written.
        """
        try:
            encoded, data = cv2.imencode(self._suffix, frame.image, self._options)
        except cv2.error as error:
            raise StorageError(f"cannot encode a frame of camera {frame.camera_id!r}: {error}") from error
        if not encoded:
            raise StorageError(f"cannot encode a frame of camera {frame.camera_id!r} as {self._media_type}")
        content = np.asarray(data, np.uint8).data
        ref = ImageRef(hashlib.sha256(content).hexdigest(), content.nbytes, self._media_type)
        try:
            written = _write_once(self.path_of(ref.sha256, ref.media_type), content)
        except OSError as error:
            raise StorageError(f"cannot store an image in {self.root}: {error}") from error
        return ref, ref.size_bytes if written else 0

    def path_of(self, sha256: str, media_type: str) -> Path:
        """Where an image of this content and type lies."""
        return self.root / sha256[:2] / f"{sha256}{_SUFFIXES[media_type]}"

    def remove(self, sha256: str, media_type: str) -> None:
        """Delete an image; one that is not there is no fault. Raises StorageError."""
        path = self.path_of(sha256, media_type)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot delete {path}: {error}") from error

    def files(self) -> Iterator[Path]:
        """Every file in the store, those that a kill left unfinished included."""
        yield from self.root.glob("??/*")


def _write_once(path: Path, data: memoryview) -> bool:
    if path.exists() and path.stat().st_size == data.nbytes:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())
    temporary.rename(path)
    sync_directory(path.parent)
    return True
