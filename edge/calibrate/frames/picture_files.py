"""Pictures on disk, lossless, written whole or not at all."""

import os
from pathlib import Path

import cv2
import numpy as np

from edge.domain.errors import StorageError
from edge.domain.frame import Image

_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def write_picture(path: Path, image: Image) -> Path:
    """Write an image as PNG, its folder made if need be; it is on disk when this returns. Raises StorageError."""
    temporary = path.with_suffix(".part")
    try:
        content = np.asarray(cv2.imencode(".png", image, _FAST_PNG)[1], np.uint8).data
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fdatasync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except (OSError, cv2.error) as error:
        raise StorageError(f"cannot write the frame {path}: {error}") from error
    return path


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder survive a power cut. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
