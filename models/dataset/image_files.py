"""Image files, decoded whole or not at all, the way training and inspection decode them (EXIF orientation applied).

OpenCV gives a truncated JPEG back as a picture whose lower part is grey and says so on stderr alone; that must not be
learned from. A JPEG whose picture data has no end marker is therefore refused here.
"""

import hashlib
from pathlib import Path

import cv2

from models.decoding import decoded, read_bytes
from models.letterbox import Image

Size = tuple[int, int]
_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", 0xDA, b"\xff\xd9"


def size_of(path: Path) -> Size | None:
    """(width, height) in pixels of an image that decodes whole, else None."""
    pixels = decode(path, cv2.IMREAD_GRAYSCALE)
    return None if pixels is None else (int(pixels.shape[1]), int(pixels.shape[0]))


def decode(path: Path, flags: int) -> Image | None:
    """The pixels, uint8, or None for a file that is missing, broken or truncated.

    Args:
        path: the file.
        flags: `cv2.IMREAD_GRAYSCALE` for (H, W), `cv2.IMREAD_COLOR` for (H, W, 3) BGR.
    """
    raw = read_bytes(path)
    if raw is None or (raw.startswith(_JPEG) and not _jpeg_ends(raw)):
        return None
    return decoded(raw, flags)


def picture_sha256(path: Path) -> str:
    """A name for what the picture shows: equal for one picture in two encodings, sha256 in hex.

    An unreadable file is named by its bytes.
    """
    pixels = decode(path, cv2.IMREAD_COLOR)
    if pixels is None:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _jpeg_ends(raw: bytes) -> bool:
    """Whether an end marker follows the picture data; one inside the EXIF thumbnail before it does not count."""
    at = len(_JPEG)
    while at + 4 <= len(raw) and raw[at] == _JPEG[0]:
        if raw[at + 1] == _JPEG_SCAN:
            return raw.find(_JPEG_END, at) >= 0
        # 0xff may be repeated before a marker; every other marker before the scan carries its length.
        at += 1 if raw[at + 1] == _JPEG[0] else 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
    return False
