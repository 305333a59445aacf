"""Labels into files and out of them: COCO, as labelling tools write and read it, by the doors of `cloud labels`."""

import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cloud_sync.hub.files.blobs import open_blobs
from cloud_sync.hub.labels.classes import checked_class
from cloud_sync.hub.labels.coco_export import export_coco
from cloud_sync.hub.labels.coco_import import Imported, ImportRequest, import_coco
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.listing import Wanted
from cloud_sync.hub.labels.writing import read
from cloud_sync.hub.retraining.cloud_toml import CloudConfig
from cloud_sync.hub.web.hub import NO_NUL, hub, now_ms
from cloud_sync.pages.acts import noted, turned_out
from cloud_sync.pages.guard import Engineer

router = APIRouter()
UPLOAD_LIMIT_BYTES = 64 * 1024**2
UPLOADS = {"/labels/files/import": UPLOAD_LIMIT_BYTES}
_PIECE_BYTES = 1 << 20
Product = Annotated[str, Query(min_length=1, max_length=128, pattern=NO_NUL)]


@router.get("/labels/files/export")
@noted("export labels", "{product}")
def export_labels(
    request: Request,
    session: Engineer,  # noqa: ARG001 - the guard
    product: Product,
    station: Annotated[str, Query(max_length=63, pattern=NO_NUL)] = "",
    only: Literal["", "unlabelled", "disputed"] = "",
) -> Response:
    """Samples of a product with their pictures as one ZIP file: COCO, labels and proposals."""
    config = hub(request).config
    wanted = Wanted(product, station or None, None, only == "unlabelled", only == "disputed")
    laid = _Laid()
    with read(config.cloud.store) as connection:
        done = export_coco(connection, open_blobs(config.blobs), wanted, laid.folder / "coco")
    turned_out(request, subject=f"{product}: {done.images} images")
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in product)
    headers = {"Content-Disposition": f'attachment; filename="{name}-coco.zip"'}
    return _Sent(laid, headers)


@router.post("/labels/files/import")
@noted("import labels", "{product}")
async def import_labels(
    request: Request,
    session: Engineer,
    product: Product,
    new_class: Annotated[list[Annotated[str, Query(max_length=100)]] | None, Query(max_length=20)] = None,
    *,
    empty_is_good: bool = False,
) -> Response:
    """Add the labels of a COCO file, which is the body: all of them or none, and the same file once."""
    classes = tuple(checked_class(name.strip()) for name in new_class or () if name.strip())
    with tempfile.TemporaryDirectory(prefix="inspectd-import-") as folder:
        file = Path(folder) / "upload.json"
        await _receive(request, file)
        by, at_ms = session.person.name, now_ms()
        wanted = ImportRequest(file, product, by, classes, empty_is_good, at_ms)
        try:
            done = await run_in_threadpool(_import, hub(request).config, wanted)
        except LabelError as error:
            raise LabelError(str(error).replace(str(file), "the file")) from error
    turned_out(request, subject=f"{product}: {done.added} labels")
    said = {"added": done.added, "unchanged": done.unchanged, "silent": done.silent, "again": done.again}
    return JSONResponse(said)


def _import(config: CloudConfig, wanted: ImportRequest) -> Imported:
    return import_coco(config.cloud.store, open_blobs(config.blobs), wanted)


async def _receive(request: Request, file: Path) -> None:
    """The body into a file, piece by piece; how much that may be is the site's to say, see `UPLOADS`."""
    with file.open("wb") as into:
        async for piece in request.stream():
            into.write(piece)


class _Laid:
    """A folder for an export: it goes with the last who knows of it, also where nothing of it was ever sent."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="inspectd-export-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


class _Sent(StreamingResponse):
    """The export as a ZIP file; its folder goes however the sending ends."""

    def __init__(self, laid: _Laid, headers: dict[str, str]) -> None:
        super().__init__(_zipped(laid), media_type="application/zip", headers=headers)
        self._laid = laid

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._laid.remove()


class _Pipe:
    """What a ZIP file is written into, to be taken away as it grows."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, piece: bytes) -> int:
        """See `io.RawIOBase`."""
        self._pieces.append(bytes(piece))
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._size

    def flush(self) -> None:
        """See `io.RawIOBase`."""

    def take(self) -> bytes:
        """What came since."""
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def _zipped(laid: _Laid) -> Iterator[bytes]:
    """The export as a ZIP file, one picture at a time; the folder is gone afterwards."""
    root, pipe = laid.folder / "coco", _Pipe()
    try:
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
            for path in sorted(path for path in root.rglob("*") if path.is_file()):
                with path.open("rb") as content, archive.open(path.relative_to(root).as_posix(), "w") as entry:
                    while piece := content.read(_PIECE_BYTES):
                        entry.write(piece)
                        yield pipe.take()
                path.unlink()
        yield pipe.take()
    finally:
        laid.remove()
