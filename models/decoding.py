"""Bytes of a picture, from wherever they came, become pixels or nothing.

- Damaged, none at all, and larger than any camera's picture are one answer: None. No decoder's error leaves here.
- The limit holds in OpenCV itself, before it asks for memory (`models/__init__.py` sets it before OpenCV is loaded): a
  PNG of 48 KB with 20,000 x 20,000 pixels took 3.4 GB, and one of 60,000 x 60,000 ended the process with an exception.
- The only user of OpenCV's decoders of pictures.
"""

from pathlib import Path

import cv2
import numpy as np

from models import PIXELS_LIMIT
from models.letterbox import Image

FILE_LIMIT_BYTES = 4 * PIXELS_LIMIT  # uncompressed pixels with a fourth channel


def decoded(data: bytes, flags: int) -> Image | None:
    """The pixels, uint8, or None.

    Args:
        data: a whole file's bytes.
        flags: `cv2.IMREAD_GRAYSCALE` for (H, W), `cv2.IMREAD_COLOR` for (H, W, 3) BGR.
    """
    if not data:
        return None
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return None if pixels is None else np.asarray(pixels, np.uint8)


def read_picture(path: Path, flags: int) -> Image | None:
    """A file's pixels, as `decoded`; None also where it cannot be read, is no plain file or is too large for one."""
    data = read_bytes(path)
    return None if data is None else decoded(data, flags)


def read_bytes(path: Path) -> bytes | None:
    """A plain file's bytes if a picture may have so many, else None."""
    try:
        if not path.is_file() or path.stat().st_size > FILE_LIMIT_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None
