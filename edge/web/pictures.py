"""Stored pictures for pages: by content, made smaller where asked, so that a list of them costs little."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Annotated

import cv2
from fastapi import Path as InPath
from fastapi import Query
from starlette.exceptions import HTTPException
from starlette.responses import Response

from edge.domain.errors import StorageError
from edge.record.images import ImageStore
from models.decoding import decoded
from models.letterbox import Image

Sha256 = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]
WIDTH_MOST_PX = 3840
Width = Annotated[int | None, Query(ge=1, le=WIDTH_MOST_PX)]
_WIDTHS_PX = (96, 192, 384, 768, 1536, WIDTH_MOST_PX)  # few, so that what one viewer asked for serves the next
_TYPES = ("image/jpeg", "image/png")
_KEPT_BYTES = 48 << 20
_SIZES_KEPT = 4096
_QUALITY = 85
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}  # its name says its content


class Pictures:
    """The stored pictures of a station, small ones of late kept in memory.

    Args:
        store: where they lie.
        kept_bytes: how many bytes of small ones are kept.
    """

    def __init__(self, store: ImageStore, kept_bytes: int = _KEPT_BYTES) -> None:
        self._store = store
        self._most_bytes = kept_bytes
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0
        self._sizes: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def original(self, sha256: str) -> tuple[bytes, Path]:
        """The bytes as they were stored, and the file. Raises HTTPException (404), StorageError."""
        for path in (self._store.path_of(sha256, media_type) for media_type in _TYPES):
            try:
                return path.read_bytes(), path
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(f"cannot read the picture {path}: {error}") from error
        raise HTTPException(404)

    def answer(self, sha256: str, width_px: int | None) -> Response:
        """The picture as an answer; at least `width_px` wide if it has as many pixels, or as it was stored.

        Raises:
            HTTPException: it is not there (404).
            StorageError: it cannot be read.
        """
        kept = None if width_px is None else self._find(sha256, _step(width_px))
        if kept is not None:
            return Response(kept, media_type="image/jpeg", headers=_FOR_EVER)
        stored, path = self.original(sha256)
        if width_px is None:
            return Response(stored, media_type=_TYPES[path.suffix == ".png"], headers=_FOR_EVER)
        made = _smaller(stored, path, _step(width_px))
        self._keep(sha256, _step(width_px), made)
        return Response(made, media_type="image/jpeg", headers=_FOR_EVER)

    def size(self, sha256: str) -> tuple[int, int] | None:
        """(width, height) in pixels of a stored picture; None where it was let go of. Raises StorageError."""
        if sha256 not in self._sizes:
            try:
                stored, path = self.original(sha256)
            except HTTPException:
                return None
            shape = _decoded(stored, path, None).shape
            if len(self._sizes) >= _SIZES_KEPT:
                self._sizes.clear()
            self._sizes[sha256] = int(shape[1]), int(shape[0])
        return self._sizes[sha256]

    def _find(self, sha256: str, width_px: int) -> bytes | None:
        with self._lock:
            kept = self._kept.get((sha256, width_px))
            if kept is not None:
                self._kept.move_to_end((sha256, width_px))
            return kept

    def _keep(self, sha256: str, width_px: int, made: bytes) -> None:
        with self._lock:
            self._bytes += len(made) - len(self._kept.pop((sha256, width_px), b""))
            self._kept[sha256, width_px] = made
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1])


def _step(width_px: int) -> int:
    return next(step for step in _WIDTHS_PX if step >= width_px)


def _smaller(stored: bytes, path: Path, width_px: int) -> bytes:
    """The picture as a JPEG at most so wide. Raises StorageError."""
    try:
        image = _decoded(stored, path, width_px)
        height_px, has_px = image.shape[:2]
        if has_px > width_px:
            size = (width_px, max(1, round(height_px * width_px / has_px)))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    except cv2.error as error:
        raise StorageError(f"cannot read the picture {path}: {error}") from error


def _decoded(stored: bytes, path: Path, width_px: int | None) -> Image:
    """The picture, at an eighth of its size where that is enough: a JPEG is read several times as fast so."""
    reduced = path.suffix == ".jpg" and width_px is not None
    image = decoded(stored, cv2.IMREAD_REDUCED_COLOR_8) if reduced else None
    if image is None or (width_px is not None and image.shape[1] < width_px):
        image = decoded(stored, cv2.IMREAD_COLOR)
    if image is None:
        raise StorageError(f"{path} holds no picture: look at the disk")
    return image
