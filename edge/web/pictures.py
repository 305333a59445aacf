"""Stored pictures as answers: by content, as they were stored or smaller, so that a list of them costs little."""

from pathlib import Path
from typing import Annotated

from fastapi import Path as InPath
from fastapi import Query
from starlette.exceptions import HTTPException
from starlette.responses import Response

from edge.domain.errors import StorageError
from edge.web.picture_size import size_in_file
from edge.web.shown_pictures import MEDIA_TYPE, WIDTHS, ShownPictures

Sha256 = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]
Width = Annotated[int | None, Query(ge=1, le=WIDTHS[-1])]
_STORED_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}  # its name says its content


class Pictures:
    """The stored pictures of a station.

    Args:
        shown: makes them smaller, and keeps what it made.
    """

    def __init__(self, shown: ShownPictures) -> None:
        self._shown = shown

    def original(self, sha256: str) -> tuple[bytes, Path]:
        """The bytes as they were stored, and the file. Raises HTTPException (404), StorageError."""
        path = self._path(sha256)
        try:
            return path.read_bytes(), path
        except FileNotFoundError as error:
            raise HTTPException(404) from error
        except OSError as error:
            raise StorageError(f"cannot read the picture {path}: {error}") from error

    def answer(self, sha256: str, width_px: int | None) -> Response:
        """The picture as an answer; at least `width_px` wide if it has as many pixels, or as it was stored.

        Raises:
            HTTPException: it is not there (404).
            StorageError: it cannot be read.
        """
        if width_px is None:
            stored, path = self.original(sha256)
            return Response(stored, media_type=_STORED_TYPES[path.suffix], headers=_FOR_EVER)
        path, made = self._path(sha256), self._shown.shown(sha256, width_px)
        if made is None:
            raise StorageError(f"{path} holds no picture: look at the disk")
        return Response(made, media_type=MEDIA_TYPE, headers=_FOR_EVER)

    def size(self, sha256: str) -> tuple[int, int] | None:
        """(width, height) in pixels of a stored picture; None where it was let go of, or is no picture."""
        path = self._shown.path_of(sha256)
        return None if path is None else size_in_file(path)

    def _path(self, sha256: str) -> Path:
        path = self._shown.path_of(sha256)
        if path is None:
            raise HTTPException(404)
        return path
