"""Labels into files and out of them: COCO, as labelling tools write and read it, by the doors of `cloud labels`."""

import logging
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cloud_sync.hub.files.blobs import Blobs, open_blobs
from cloud_sync.hub.labels.classes import checked_class, known_classes
from cloud_sync.hub.labels.coco_export import ANNOTATIONS, PROPOSALS, CocoLists, Exported, read_picture
from cloud_sync.hub.labels.coco_import import Imported, ImportRequest, import_coco
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.listing import SampleView, Wanted, walk_samples
from cloud_sync.hub.retraining.cloud_toml import CloudConfig
from cloud_sync.hub.web.hub import NO_NUL, Hub, hub, now_ms
from cloud_sync.pages.acts import noted, turned_out
from cloud_sync.pages.guard import Engineer
from cloud_sync.pages.showing import say
from cloud_sync.pages.zip_stream import zipped

router = APIRouter()
UPLOAD_LIMIT_BYTES = 64 * 1024**2
UPLOADS = {"/labels/files/import": UPLOAD_LIMIT_BYTES}
_PIECE_BYTES = 1 << 20
_LOG = logging.getLogger(__name__)
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
    """Samples of a product with their pictures as one ZIP file: COCO, labels and proposals; sent while it is made."""
    here = hub(request)
    wanted = Wanted(product, station or None, None, only == "unlabelled", only == "disputed")
    with here.reading() as connection:
        classes = known_classes(connection, product)
    stream = zipped(_files(here, wanted, classes, say(request)))
    first = next(stream)  # what fails at the first picture is an error page, and no file that ends early
    turned_out(request, subject=" ".join(filter(None, (product, station, only))))
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in product)
    return _Sent(first, stream, {"Content-Disposition": f'attachment; filename="{name}-coco.zip"'})


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


def _files(
    here: Hub, wanted: Wanted, classes: Sequence[str], words: Callable[..., str]
) -> Iterator[tuple[str, bytes | Iterator[bytes]]]:
    """Pictures as they are read, then what is said of them: the lists alone grow on the disk meanwhile."""
    blobs = open_blobs(here.config.blobs)
    with tempfile.TemporaryDirectory(prefix="inspectd-export-") as folder:
        with CocoLists(Path(folder), classes) as lists:
            yield from lists.pictures(walk_samples(here.reading, wanted), partial(_picture, blobs))
        for name in (ANNOTATIONS, PROPOSALS):
            yield name, _pieces(Path(folder) / name)
        yield "left-out.txt", _left_out(lists.done, words).encode()


def _picture(blobs: Blobs, sample: SampleView) -> bytes:
    """No bytes where it is damaged: it is left out by name, half of a file would help nobody. Raises BlobError."""
    try:
        return read_picture(blobs, sample)
    except LabelError as error:
        _LOG.error("left out of an export: sample %s: %s", sample.id, error)
        return b""


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _left_out(done: Exported, words: Callable[..., str]) -> str:
    """What is not in the file, and why."""
    lines = [words("labels.left_waiting", count=done.waiting), words("labels.left_damaged", count=len(done.unreadable))]
    return "".join(f"{line}\n" for line in (*lines, *done.unreadable))


class _Sent(StreamingResponse):
    """A ZIP file as it is made; what it needed meanwhile goes however the sending ends."""

    def __init__(self, first: bytes, stream: Generator[bytes], headers: dict[str, str]) -> None:
        super().__init__(chain([first], stream), media_type="application/zip", headers=headers)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await run_in_threadpool(self._stream.close)
