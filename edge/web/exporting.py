"""A search to take along: as CSV, or its pictures as a ZIP with the CSV beside them; sent while it is read.

Both end after so many inspections (pictures: so many bytes) or so much time, and say so in their last line, with the
address that goes on from there.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cloud_sync.pages.acts import noted
from cloud_sync.pages.guard import Operator
from cloud_sync.pages.showing import say
from cloud_sync.pages.zip_stream import zipped
from edge.domain.errors import StorageError
from edge.record.recorded import Brief, read_briefs
from edge.record.search import search
from edge.web.asked import Asked
from edge.web.csv_lines import COLUMNS, cells_of, csv_line
from edge.web.here import Here, here

router = APIRouter()
ROWS_MOST = 100_000
PICTURES_MOST = 2_000
PICTURES_MOST_BYTES = 1 << 30
TIME_MOST_S = 120.0
_AT_ONCE = 200
_MARK = "\ufeff"  # so that a spreadsheet reads UTF-8


@dataclass(slots=True)
class _Walk:
    """A walk through the hits of a search; `stopped_at` is where it ended before the end, None where it did not."""

    station: Here
    asked: Asked
    most: int
    stopped_at: int | None = None

    def check(self) -> None:
        """What fails at the first inspection fails here: an error page, and no file that ends early."""
        with self.station.reading() as connection:
            read_briefs(connection, search(connection, self.asked.search(), self.asked.before, 1, work_s=0).seqs)

    def some(self) -> Iterator[list[Brief]]:
        """The inspections, newest first, some at a time, each by a connection of its own. Raises StorageError."""
        until_s, left, before = time.monotonic() + TIME_MOST_S, self.most, self.asked.before
        while True:
            with self.station.reading() as connection:
                hits = search(connection, self.asked.search(), before, min(left, _AT_ONCE))
                found = read_briefs(connection, hits.seqs)
            yield found
            before, left = hits.looked_to_seq, left - len(hits.seqs)
            if hits.at_end:
                return
            if left <= 0 or time.monotonic() >= until_s:
                self.stopped_at = before
                return


@router.get("/history.csv")
@noted("export csv", lambda given: given["asked"].address("/history"))
def export_csv(request: Request, session: Operator, asked: Annotated[Asked, Query()]) -> Response:  # noqa: ARG001
    """The inspections of a search as a table."""
    walk = _Walk(here(request), asked, ROWS_MOST)
    walk.check()
    ends = _Ends(request, asked, "/history.csv")

    def lines() -> Iterator[str]:
        yield _MARK + csv_line(COLUMNS)
        for briefs in walk.some():
            yield "".join(csv_line(cells_of(brief)) for brief in briefs)
        yield csv_line([ends.said(walk.stopped_at)])

    return _download(lines(), "text/csv; charset=utf-8", "history.csv")


@router.get("/history.zip")
@noted("export pictures", lambda given: given["asked"].address("/history"))
def export_pictures(request: Request, session: Operator, asked: Annotated[Asked, Query()]) -> Response:  # noqa: ARG001
    """The pictures of a search, with a manifest of what they are of."""
    station = here(request)
    walk = _Walk(station, asked, PICTURES_MOST)
    walk.check()
    ends = _Ends(request, asked, "/history.zip")
    return _download(zipped(_files(station, walk, ends)), "application/zip", "history.zip")


@dataclass(frozen=True, slots=True)
class _Ends:
    """How an export says where it ended."""

    request: Request
    asked: Asked
    path: str

    def said(self, stopped_at: int | None) -> str:
        """The last line."""
        words = say(self.request)
        if stopped_at is None:
            return words("export.whole")
        return words("export.stopped", seq=stopped_at, address=self.asked.address(self.path, stopped_at))


def _files(station: Here, walk: _Walk, ends: _Ends) -> Iterator[tuple[str, bytes]]:
    lines, size_bytes, stopped_at = [_MARK + csv_line(["file", *COLUMNS])], 0, None
    for brief in chain.from_iterable(walk.some()):
        for picture in (picture for picture in brief.pictures if picture.stored):
            content, suffix = _content(station, picture.sha256)
            name = f"{brief.seq}-{picture.camera}{suffix}" if content else ""
            lines.append(csv_line([name, *cells_of(brief)]))
            if content:
                size_bytes += len(content)
                yield name, content
        if size_bytes >= PICTURES_MOST_BYTES:
            stopped_at = brief.seq
            break
    lines.append(csv_line([ends.said(walk.stopped_at if stopped_at is None else stopped_at)]))
    yield "manifest.csv", "".join(lines).encode()


def _content(station: Here, sha256: str) -> tuple[bytes, str]:
    """The picture's bytes; none where it was let go of since, or cannot be read: then the manifest names no file."""
    try:
        content, path = station.pictures.original(sha256)
    except (HTTPException, StorageError):
        return b"", ""
    return content, path.suffix


def _download(parts: Iterator[str] | Iterator[bytes], media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts, media_type=media_type, headers=headers)
