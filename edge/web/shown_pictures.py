"""Stored pictures as browsers are served them: small, JPEG, made once for however many look.

- A picture is decoded at a reduced scale where the codec can, so that a large frame costs little.
- Who asks for what another is being served waits for that one.
- Memory is bounded: what was asked for longest ago goes first.
"""

import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path

import cv2

from edge.record.images import ImageStore
from edge.web.picture_size import size_of
from models.decoding import decoded, read_bytes
from models.letterbox import Image

WIDTHS = (96, 160, 320, 480, 640, 960, 1280, 1920, 3840)
MEDIA_TYPE = "image/jpeg"
_KEPT_BYTES = 32 << 20
_PATIENCE_S = 10.0
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]
_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
_TYPES = ("image/jpeg", "image/png")


class ShownPictures:
    """The pictures of one station; from any thread.

    Args:
        images: where the daemon keeps them.
        kept_bytes: of what was made, so much is kept for who asks next.
    """

    def __init__(self, images: ImageStore, kept_bytes: int = _KEPT_BYTES) -> None:
        self.made = 0
        self._images = images
        self._most_bytes = kept_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], Future[bytes | None]] = OrderedDict()
        self._bytes = 0

    def path_of(self, sha256: str) -> Path | None:
        """Where the picture lies; None where it is not, or no longer."""
        paths = (self._images.path_of(sha256, media_type) for media_type in _TYPES)
        return next((path for path in paths if path.is_file()), None)

    def shown(self, sha256: str, width: int) -> bytes | None:
        """The picture as a JPEG, at most about `width` pixels wide and never enlarged; None where it is not there.

        Args:
            sha256: its content, 64 hex digits.
            width: as it is shown; the next of `WIDTHS` is served, so that many screens share one.
        """
        key = sha256, next((each for each in WIDTHS if each >= width), WIDTHS[-1])
        with self._lock:
            found = self._kept.get(key)
            making = self._kept.setdefault(key, Future())
            self._kept.move_to_end(key)
        if found is None:
            self._make(key, making)
        return making.result(_PATIENCE_S)

    def _make(self, key: tuple[str, int], making: Future[bytes | None]) -> None:
        made: bytes | None = None
        try:
            path = self.path_of(key[0])
            data = None if path is None else read_bytes(path)
            made = None if data is None else reduced(data, key[1])
        finally:
            self._keep(key, made)
            making.set_result(made)

    def _keep(self, key: tuple[str, int], made: bytes | None) -> None:
        with self._lock:
            if made is None:  # it may come yet, so it is asked for again
                self._kept.pop(key, None)
                return
            self.made += 1
            self._bytes += len(made)
            for old in [each for each, done in self._kept.items() if done.done()]:
                if self._bytes <= self._most_bytes:
                    break
                self._bytes -= len(self._kept.pop(old).result() or b"")


def reduced(data: bytes, width: int) -> bytes | None:
    """A picture's file as a JPEG at most `width` pixels wide; as it is where it is one; None where it is no picture."""
    size = size_of(data)
    if size is None:
        return None
    if data.startswith(b"\xff\xd8") and size[0] <= width:
        return data
    flags = next((flags for factor, flags in _REDUCED if size[0] >= factor * width), cv2.IMREAD_COLOR)
    image = decoded(data, flags)
    return None if image is None else _encoded(image, width)


def _encoded(image: Image, width: int) -> bytes:
    height, wide = image.shape[:2]
    if wide > width:
        size = width, max(1, round(height * width / wide))
        return cv2.imencode(".jpg", cv2.resize(image, size, interpolation=cv2.INTER_AREA), _JPEG)[1].tobytes()
    return cv2.imencode(".jpg", image, _JPEG)[1].tobytes()
