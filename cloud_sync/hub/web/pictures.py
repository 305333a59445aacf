"""Pictures of samples for the pages: by content, no wider than asked for, kept by the browser for good."""

from typing import Annotated, Literal

import cv2
import sqlalchemy as sa
from fastapi import APIRouter, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.labels.golden import Seen, golden_of
from cloud_sync.hub.labels.pictures import read_blob, suffix_of
from cloud_sync.hub.store.file_tables import files
from cloud_sync.hub.store.label_tables import samples
from cloud_sync.hub.web.hub import NO_NUL, hub
from cloud_sync.pages.guard import Operator
from models.decoding import decoded
from models.letterbox import Image

router = APIRouter()
_KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}
_AS_IT_IS = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".bmp": "image/bmp"}
_QUALITY = 92
SIZE_HEADER = "X-Picture-Size"
Name = Annotated[str, Query(max_length=128, pattern=NO_NUL)]
Width = Literal["320", "960", "1920", "3840", "all"]


@router.get("/pictures/golden/{sha256}")
def golden_picture(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
    station: Name,
    product: Name,
    camera: Name,
    width: Annotated[Width, Query()] = "all",
) -> Response:
    """The golden picture of a product, as its station holds it now: no other file of the station's kit."""
    here = hub(request)
    with here.reading() as connection:
        found = golden_of(connection, here.blobs(), Seen(station, product, camera))
    if found is None or found.sha256 != sha256:
        raise HTTPException(404)
    width_px = None if width == "all" else int(width)
    content, kind, _ = picture(here.blobs(), sha256, found.size_bytes, width_px)
    return Response(content, media_type=kind, headers=_KEPT)


@router.get("/pictures/{sha256}")
def sample_picture(
    request: Request,
    session: Operator,  # noqa: ARG001 - the guard
    sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
    width: Annotated[Width, Query()] = "all",
) -> Response:
    """A sample's picture; its own width and height in a header, for boxes are in its own pixels."""
    mark = f'"{sha256}-{width}"'
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers={**_KEPT, "ETag": mark})
    here = hub(request)
    with here.reading() as connection:
        size_bytes = _size_of(connection, sha256)
    if size_bytes is None:
        raise HTTPException(404)
    content, kind, size_px = picture(here.blobs(), sha256, size_bytes, None if width == "all" else int(width))
    headers = {**_KEPT, "ETag": mark, SIZE_HEADER: "{}x{}".format(*size_px)}
    return Response(content, media_type=kind, headers=headers)


def picture(blobs: Blobs, sha256: str, size_bytes: int, width_px: int | None) -> tuple[bytes, str, tuple[int, int]]:
    """Bytes, media type, and the width and height in pixels that the picture has in the store.

    Raises:
        LabelError: it is damaged.
        BlobError: the blob store fails.
        HTTPException: it is no picture.
    """
    content = read_blob(blobs, sha256, size_bytes)
    pixels = decoded(content, cv2.IMREAD_COLOR)
    if pixels is None:
        raise HTTPException(404)
    height, width = pixels.shape[:2]
    kind = _AS_IT_IS.get(suffix_of(content))
    if kind and (width_px is None or width <= width_px):
        return content, kind, (width, height)
    return _encoded(pixels, min(width, width_px or width)), "image/jpeg", (width, height)


def _encoded(pixels: Image, width_px: int) -> bytes:
    height, width = pixels.shape[:2]
    size = width_px, max(1, round(height * width_px / width))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise HTTPException(404)
    return encoded.tobytes()


def _size_of(connection: sa.Connection, sha256: str) -> int | None:
    """How many bytes it has; None where no sample has it, or it is not here."""
    sent = (files.c.station == samples.c.station) & (files.c.sha256 == samples.c.sha256) & (files.c.state == "complete")
    size = sa.case((samples.c.station == "", samples.c.size_bytes), else_=files.c.size_bytes)
    query = sa.select(size).select_from(samples.outerjoin(files, sent)).where(samples.c.sha256 == sha256)
    return connection.scalar(query.where(size.is_not(None)).limit(1))
