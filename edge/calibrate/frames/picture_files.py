"""Pictures on disk, lossless, written whole or not at all."""

from pathlib import Path

import cv2
import numpy as np

from edge.domain.errors import StorageError
from edge.domain.frame import Image
from models.durable import replace_file

_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def write_picture(path: Path, image: Image) -> Path:
    """Write an image as PNG, its folder made if need be; it is on disk when this returns. Raises StorageError."""
    try:
        replace_file(path, np.asarray(cv2.imencode(".png", image, _FAST_PNG)[1], np.uint8).data)
    except (OSError, cv2.error) as error:
        raise StorageError(f"cannot write the frame {path}: {error}") from error
    return path
